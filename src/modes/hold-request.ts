// What holding a Service needs and gives: where, what is wanted, what is planned for it, what is held then. Types only; hold.ts does it.
import type { AgentPlacement } from '../cluster/agent-placement.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import type { TakeoverKind, TakeoverPlan, WantedPort } from '../cluster/takeover/types.ts';
import type { Match } from '../netstack/link/control.codec.ts';
import type { EventSink } from '../session/events.ts';
import type { Meter } from '../session/meter.ts';
import type { TrafficJournal } from '../session/traffic/journal.ts';

export interface HoldContext {
  readonly api: ClusterApi;
  readonly namespace: string;
  readonly session: string;
  readonly version: string;
  readonly placement: AgentPlacement;
  readonly startLimitMs: number;
  readonly debug: boolean;
  readonly emit: EventSink;
  readonly signal: AbortSignal;
  /** Counts what its links carry. */
  readonly meter?: Pick<Meter, 'add'> | undefined;
  /** Gets a record of each request, while somebody looks. */
  readonly traffic?: TrafficJournal | undefined;
  /** Runs a wait that one more Ctrl-C ends. */
  readonly skippable?: <T>(work: (skip: AbortSignal) => Promise<T>) => Promise<T>;
}

export interface HoldRequest {
  readonly kind: TakeoverKind;
  /** selector: the Service leads to the agent. scale (exchange): besides, its pods are gone meanwhile. manual (mesh): one more endpoint. */
  readonly mode: 'selector' | 'scale' | 'manual';
  /** Milliseconds for the pods to be back at the end of mode scale. */
  readonly recoverWaitMs?: number;
  readonly target: string;
  readonly ports: readonly WantedPort[];
  readonly match: Match;
  readonly takeOver: boolean;
  /** Of a preview: reachable from outside of the cluster. */
  readonly external: boolean;
  /** Replace original pods to which callers keep connections. */
  readonly drain: boolean;
  /** Do not ask whether something listens on the local ports: `kt run` starts it later, and until then the original pods answer. */
  readonly skipPortChecking: boolean;
}

export interface PlannedHold {
  readonly request: HoldRequest;
  readonly plan: TakeoverPlan;
}

export interface Held {
  readonly plan: TakeoverPlan;
  /** Gives it up; rejects with SERVICE_NOT_RESTORED where something is left. Safe to call again. */
  release(): Promise<void>;
}
