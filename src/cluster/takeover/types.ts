// Taking a Service over, as the modes see it: what is asked, what is planned, what is held. Types and names only.
// plan.ts makes the plan and changes nothing; apply.ts does it, restore.ts undoes it. See DESIGN §7.
import type { IngressListener } from '../../netstack/link/ingress-config.codec.ts';

/** What kt needs to undo, on the Service itself. */
export const JOURNAL_ANNOTATION = 'kt/journal';
export const LABEL_SERVICE = 'kt/service';
/** On the origin of a Service that is being given back: nobody is to take it again. */
export const ENDING_ANNOTATION = 'kt/ending';

export type TakeoverKind = 'exchange' | 'mesh' | 'preview';

/** The fields of a Kubernetes Service (v1) that count here; all others stay as they are. */
export interface ServiceObject {
  readonly metadata: {
    readonly name: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly creationTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly externalName?: string;
    readonly selector?: Readonly<Record<string, string>>;
    readonly internalTrafficPolicy?: string;
    readonly externalTrafficPolicy?: string;
    readonly publishNotReadyAddresses?: boolean;
    readonly ports?: readonly ServicePort[];
  };
}

export interface ServicePort {
  readonly name?: string;
  readonly protocol?: string;
  readonly port: number;
  readonly targetPort?: number | string;
  readonly appProtocol?: string;
}

/** One port of the Service that comes to the laptop. */
export interface WantedPort {
  /** Service port or target port, number or name, as the user wrote it. */
  readonly remote: string;
  /** Port on the laptop; the number of the target port where the user named none. */
  readonly local?: number;
  /** Where the user said it: one number can be a TCP and a UDP port. */
  readonly protocol?: 'TCP' | 'UDP';
}

/** A port of the Service and where the agent listens for it. */
export interface ListenPort {
  readonly servicePort: number;
  readonly name?: string;
  readonly protocol: 'TCP' | 'UDP';
  readonly listen: number;
  /** The Service's target port where that is a name: the agent's container has to have a port of that name. */
  readonly targetName?: string;
}

/** A port that comes to the laptop. */
export interface TakenPort extends ListenPort {
  readonly local: number;
}

/** Who takes it, from where, with which kt. */
export interface TakeoverOwner {
  readonly session: string;
  readonly user: string;
  readonly host: string;
  readonly version: string;
}

/** Which agent: its Deployment, and the labels of its pods. */
export interface AgentIdentity {
  readonly deployment: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** A mark as a label of a pod: mesh in manual mode. */
export interface MarkLabel {
  readonly name: string;
  readonly value: string;
}

/** A Deployment whose pods are gone while the laptop has the Service, and how many there were. */
export interface ScaledWorkload {
  readonly name: string;
  readonly replicas: number;
}

/** What is done to the cluster, and how it is undone: as --plan shows it. */
export interface Step {
  readonly text: string;
  readonly undo: string;
}

export interface TakeoverPlan {
  readonly kind: TakeoverKind;
  readonly namespace: string;
  readonly service: string;
  /** As it was; for a preview, the Service that is to be made. */
  readonly original: ServiceObject;
  /** The Service's own, also where it is taken already. */
  readonly selector: Readonly<Record<string, string>>;
  /** Those that come to the laptop. */
  readonly ports: readonly TakenPort[];
  /** All that the agent listens on: also those that only lead on to the origin. */
  readonly listens: readonly ListenPort[];
  readonly linkPort: number;
  readonly healthPort: number;
  /** The Service is taken already: its agent is joined, nothing is created. */
  readonly joins: boolean;
  /** Original pods to which callers keep connections are replaced. */
  readonly drain: boolean;
  /** Scaled to no pods while it is held. */
  readonly scaled?: readonly ScaledWorkload[];
  /** Mesh in manual mode: the Service stays as it is, and the agent is a pod of its own. */
  readonly manual?: { readonly mark: MarkLabel; readonly agent: AgentIdentity };
  readonly steps: readonly Step[];
  /** What the user should know before. */
  readonly warnings: readonly string[];
}

export function listenersOf(listens: readonly ListenPort[]): IngressListener[] {
  const listeners = new Map<string, IngressListener>();
  for (const { listen, protocol, servicePort } of listens) {
    const key = `${listen}/${protocol}`;
    // Two Service ports with one target port: one listener.
    if (!listeners.has(key)) listeners.set(key, { port: listen, protocol, originPort: servicePort });
  }
  return [...listeners.values()];
}
