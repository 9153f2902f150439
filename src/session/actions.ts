// What a view or another command can ask a running session to do, and what it answers. Types only. They travel over the control socket
// (control.ts); board.ts passes each one to whoever registered for its kind: session.ts, and the modes, which the session does not know.
import type { HeldService } from './state.ts';
import type { Replayed, TrafficDetail } from './traffic/types.ts';

/** As the user would say it to `kt exchange`, `kt mesh` or `kt preview`. */
export interface HoldWish {
  readonly kind: HeldService['kind'];
  readonly service: string;
  /** REMOTE or LOCAL:REMOTE, as --expose takes them; empty: all TCP ports. */
  readonly ports: readonly string[];
  /** `NAME:VALUE`; only of a mesh. */
  readonly mark: string | null;
  readonly takeOver: boolean;
  /** Replace original pods to which callers keep connections. */
  readonly drain: boolean;
  /** Nothing need listen on the local ports yet: the original pods answer until then. */
  readonly skipPortChecking: boolean;
}

export type Action =
  /** What a hold would change; changes nothing. */
  | { readonly kind: 'plan'; readonly hold: HoldWish }
  /** Answers when the traffic comes; its steps are events. */
  | { readonly kind: 'hold'; readonly hold: HoldWish }
  | { readonly kind: 'release'; readonly service: string }
  /** Gives a Service back whose holder is gone. */
  | { readonly kind: 'recover'; readonly service: string }
  /** Words as `kt forward` takes them. */
  | { readonly kind: 'forward'; readonly words: readonly string[] }
  | { readonly kind: 'unforward'; readonly local: string }
  /** Which local ports something listens on: to be asked before a form is shown. */
  | { readonly kind: 'listening'; readonly ports: readonly number[] }
  | { readonly kind: 'route'; readonly host: string }
  | { readonly kind: 'doctor' }
  /** Contexts of the kubeconfig, and the namespaces that are known. */
  | { readonly kind: 'places' }
  /** Ends what is held and opened here, and opens the same elsewhere. */
  | { readonly kind: 'switch'; readonly context: string | null; readonly namespace: string | null }
  /** What a wrapped program's environment has that others have not; secrets are hidden. */
  | { readonly kind: 'environment' }
  /** The detail of one record of traffic; `reveal` shows secrets. */
  | { readonly kind: 'record'; readonly id: number; readonly reveal: boolean }
  /** Sends an inbound request again to the local app. */
  | { readonly kind: 'replay'; readonly id: number }
  /** Forgets the records of traffic. */
  | { readonly kind: 'clear' }
  | { readonly kind: 'stop' };

export type ActionKind = Action['kind'];

export interface PlanAnswer {
  readonly service: string;
  readonly kind: HeldService['kind'];
  readonly ports: HeldService['ports'];
  /** The agent is there already: nothing is changed in the cluster. */
  readonly joins: boolean;
  readonly steps: readonly { readonly text: string; readonly undo: string }[];
  readonly warnings: readonly string[];
}

export interface RouteAnswer {
  readonly host: string;
  readonly via: string;
  readonly rule: string;
  readonly steps: readonly { readonly rule: string; readonly matched: boolean }[];
}

export interface PlacesAnswer {
  readonly contexts: readonly { readonly name: string; readonly namespace: string }[];
  /** null: may not be listed. */
  readonly namespaces: readonly string[] | null;
}

export interface DoctorAnswer {
  readonly lines: readonly string[];
}

/** The answer to each kind. */
export interface ActionAnswers {
  plan: PlanAnswer;
  hold: { readonly service: string };
  release: { readonly service: string };
  recover: { readonly lines: readonly string[] };
  forward: { readonly locals: readonly string[] };
  unforward: Record<string, never>;
  listening: { readonly ports: readonly number[] };
  route: RouteAnswer;
  doctor: DoctorAnswer;
  places: PlacesAnswer;
  switch: Record<string, never>;
  environment: { readonly set: Readonly<Record<string, string>>; readonly unset: readonly string[] };
  /** null: it is gone. */
  record: { readonly detail: TrafficDetail | null };
  replay: Replayed;
  clear: Record<string, never>;
  stop: Record<string, never>;
}
