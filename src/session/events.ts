// Everything that a session tells the outside, as one typed union. Plain lines, NDJSON and the screen are views of it.
// Types only. Stamped and sent by session.ts; folded into a state by state.ts.
import type { KeptCaller } from '../cluster/takeover/kept-callers.ts';
import type { ErrorCode } from '../errors.ts';
import type { Connector, ServiceLine } from './overview.ts';
import type { TrafficBatch } from './traffic/types.ts';

/** How the cluster is reached: through an agent of the session's own, through one that the platform team runs, without one. */
export type Mode = 'agent' | 'shared' | 'agentless';

/** What the local proxy asks for, without the password. `file` holds it; null: the user gave it by a variable. */
export interface ShownLogin {
  readonly username: string;
  readonly file: string | null;
}

export type HoldKind = 'exchange' | 'mesh' | 'preview';

export type SessionEvent =
  /** Where it goes and who it is. First of all; again where the session goes to another namespace or context, and all before is void. */
  | {
      readonly type: 'opening';
      readonly session: string;
      readonly namespace: string;
      readonly context: string;
      /** The user's name in the kubeconfig. */
      readonly as: string;
      /** Origin of the API server. */
      readonly server: string;
      /** This laptop, as others see it in `kt birdseye`. */
      readonly user: string;
      readonly host: string;
      readonly since: string;
    }
  /** A step of opening or closing. `waiting` says what for; `ms` is the time it took. */
  | {
      readonly type: 'step';
      readonly id: string;
      readonly state: 'started' | 'waiting' | 'done' | 'failed';
      readonly text: string;
      readonly ms?: number;
    }
  /** All listeners answer and the cluster is reached. */
  | {
      readonly type: 'ready';
      readonly namespace: string;
      readonly context: string;
      /** host:port of the SOCKS5 and HTTP proxy; null where the session only forwards ports. */
      readonly proxy: string | null;
      /** The name that the proxy asks for, and the file of its password (null: the user gave it); none where it asks for nothing. */
      readonly login?: ShownLogin | undefined;
      /** host:port of the DNS resolver; null as above. */
      readonly dns: string | null;
      /** Name of the agent's pod; null without an agent. */
      readonly agent: string | null;
      readonly mode: Mode;
      /** What this mode can't do, in sentences. */
      readonly reduced: readonly string[];
    }
  | {
      readonly type: 'link';
      readonly state: 'up' | 'down' | 'retry' | 'spare';
      readonly reason?: string;
      readonly code?: ErrorCode;
    }
  | {
      readonly type: 'agent';
      readonly state: 'created' | 'lost' | 'removed';
      readonly pod: string;
      readonly reason?: string;
    }
  /** A Service's traffic comes to this laptop from now on. */
  | {
      readonly type: 'holding';
      readonly service: string;
      readonly kind: HoldKind;
      /** `VERSION: anna`; null: all requests. */
      readonly mark: string | null;
      /** The mark is a label of the agent's pod (`version=anna`): mesh in manual mode. */
      readonly manual?: boolean;
      readonly ports: readonly { readonly port: number; readonly local: number; readonly protocol: 'TCP' | 'UDP' }[];
      readonly since: string;
    }
  /**
   * Who keeps connections to a held Service's original pods: what they ask on those does not come here. Again when it has changed.
   * `reason`: why some are not known.
   */
  | {
      readonly type: 'kept';
      readonly service: string;
      readonly callers: readonly KeptCaller[];
      readonly reason: string | null;
    }
  /** The links to the agent of a Service that is held. */
  | {
      readonly type: 'inbound';
      readonly service: string;
      readonly kind: HoldKind;
      readonly state: 'up' | 'down' | 'retry' | 'spare';
      readonly reason?: string;
      readonly code?: ErrorCode;
    }
  /** A local port (address:port) that leads to a target. */
  | { readonly type: 'forwarding'; readonly local: string; readonly remote: string; readonly protocol: 'TCP' | 'UDP' }
  /** It leads nowhere any more. */
  | { readonly type: 'unforwarded'; readonly local: string }
  | { readonly type: 'evicted'; readonly service: string; readonly by: string }
  /** `restored: false`: others are still on it. */
  | {
      readonly type: 'released';
      readonly service: string;
      readonly kind: HoldKind;
      readonly restored: boolean;
      readonly remaining?: string;
    }
  | { readonly type: 'warning'; readonly message: string; readonly hint?: string }
  | { readonly type: 'error'; readonly code: ErrorCode; readonly message: string; readonly hint?: string }
  | {
      readonly type: 'program';
      readonly state: 'started' | 'exited';
      readonly pid: number;
      readonly command: string;
      readonly code?: number;
      readonly signal?: string;
    }
  /** What a program gets from a workload, with masks in place of secrets. */
  | {
      readonly type: 'environment';
      readonly from: string;
      readonly container: string;
      readonly variables: readonly {
        readonly name: string;
        readonly state: 'added' | 'changed' | 'same';
        readonly shown: string;
        /** `ConfigMap orders`, `Secret db`, `pod`; absent: written in the template. */
        readonly from?: string;
      }[];
      readonly serviceLinks: number;
      /** Variables of the workload that the laptop's own stand for. */
      readonly kept: readonly string[];
      /** Where the files are. */
      readonly folder: string | null;
    }
  | { readonly type: 'shim'; readonly runtime: string; readonly version: string; readonly pid: number }
  /** It has ended; noticed only while a view looks. */
  | { readonly type: 'shimGone'; readonly pid: number }
  /** Only to views, about once a second: round trips, and bytes and inbound streams per second. */
  | ({ readonly type: 'pulse' } & Pulse)
  /** Only to views: what changed in the namespace, at most four times a second. */
  | {
      readonly type: 'services';
      /** All that was told before is void. */
      readonly fresh: boolean;
      readonly changed: readonly ServiceLine[];
      readonly gone: readonly string[];
      /** null: not known. */
      readonly connected: readonly Connector[] | null;
      /** Why there is nothing to see, or not all; null: all is well. */
      readonly trouble: string | null;
    }
  /** Only to views that asked for it: `{"ask":"traffic"}`. */
  | ({ readonly type: 'traffic' } & TrafficBatch)
  | { readonly type: 'debug'; readonly message: string }
  /** `code`: it could not be opened, for the error with which the command ends too. */
  | { readonly type: 'ended'; readonly reason: string; readonly code?: ErrorCode };

export interface Pulse {
  /** Milliseconds to the API server and back; null: it does not answer now. */
  readonly apiMs: number | null;
  /** Milliseconds to the agent and back, all hops together; null: there is none, or it does not answer. */
  readonly agentMs: number | null;
  /** Bytes per second from and to the cluster. */
  readonly received: number;
  readonly sent: number;
  /** Open streams. */
  readonly streams: number;
  /** Streams per second that came in for each Service that is held. */
  readonly inbound: Readonly<Record<string, number>>;
}

/** As it leaves the session: with the time (ISO 8601) in front. */
export type StampedEvent = { readonly time: string } & SessionEvent;

export type EventSink = (event: SessionEvent) => void;
