// Taking a Service over, as the modes see it: what is asked, what is planned, what is held. Types only.
// plan.ts makes the plan and changes nothing; apply.ts does it and undoes it. See DESIGN §7.
import type { IngressListener } from '../../netstack/link/ingress-config.codec.ts';

/** Where kt keeps what it needs to undo: annotations and labels of the cluster's objects. */
export const JOURNAL_ANNOTATION = 'kt/journal';
export const LABEL_SERVICE = 'kt/service';

export type TakeoverKind = 'exchange' | 'mesh' | 'preview';

/** One port of the Service that comes to the laptop. */
export interface WantedPort {
  /** Service port or target port, number or name, as the user wrote it. */
  readonly remote: string;
  /** Port on the laptop; the number of the target port where the user named none. */
  readonly local?: number;
}

/** One port as it was understood: everything about it is known. */
export interface TakenPort {
  readonly servicePort: number;
  readonly name?: string;
  readonly protocol: 'TCP' | 'UDP';
  /** The agent's port, where the rule listens. */
  readonly listen: number;
  readonly local: number;
}

export interface Step {
  /** `create service/orders-kt-origin`: as shown by --plan. */
  readonly text: string;
  readonly undo: string;
}

export interface TakeoverPlan {
  readonly kind: TakeoverKind;
  readonly namespace: string;
  readonly service: string;
  /** Those that come to the laptop. */
  readonly ports: readonly TakenPort[];
  /** All that the agent listens on: also those that only lead on to the origin. */
  readonly listeners: readonly IngressListener[];
  /** The Service is taken already: its agent is joined, nothing is created. */
  readonly joins: boolean;
  readonly steps: readonly Step[];
  /** What the user should know before: `internalTrafficPolicy: Local`, an HPA, other Services over the same pods. */
  readonly warnings: readonly string[];
}

/** A Service whose traffic goes to an ingress agent that runs. */
export interface Takeover {
  readonly plan: TakeoverPlan;
  /** Label selector of the agent's pods, as a query: `kt/role=ingress,kt/service=orders`. */
  readonly agentSelector: string;
  /**
   * Gives the Service back to its original pods and removes agent and origin; called by whoever leaves last.
   * Safe to call again, and after any part of it was done by someone else. Rejects with a KtError that names what is left.
   */
  restore(signal?: AbortSignal): Promise<void>;
}
