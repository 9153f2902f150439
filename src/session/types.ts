// What is said about a session, as types: what it is opened with, what it stands on, what may listen in it, what a joining command is told.
// Nothing runs here; session.ts and its parts do it. Imported by them and by the modes.
import type { AgentPlacement } from '../cluster/agent-placement.ts';
import type { ClusterConfig } from '../cluster/config.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import type { Service } from '../cluster/services.ts';
import type { Way } from '../cluster/ways/names.ts';
import type { Dialer } from '../netstack/dialer.ts';
import type { Router } from '../netstack/route/router.ts';
import type { Board } from './board.ts';
import type { EventSink, Mode, SessionEvent } from './events.ts';

export interface SessionCluster {
  readonly config: ClusterConfig;
  readonly api: ClusterApi;
  readonly router: Router;
  readonly namespace: string;
  readonly context: string;
  /** Services of the namespace as last seen. */
  readonly services: () => readonly Service[];
  /** Settles when the Services were seen once, or can't be. */
  readonly servicesSeen: Promise<void>;
  /** The dialer for what is in the cluster: `cluster`, where hosts of Ingresses mean their controller. */
  inside(cluster: Dialer): Dialer;
  /** The dialer for everything: `cluster` for what is in the cluster, the corporate proxy or direct for the rest. */
  route(cluster: Dialer): Dialer;
  close(): void;
}

/** Does the local proxy ask for a password? auto: where other people use this machine. */
export type ProxyAuth = 'auto' | 'password' | 'none';

export interface SessionOptions {
  readonly version: string;
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly namespace?: string | undefined;
  readonly pac?: string | undefined;
  readonly transport?: Way | undefined;
  /** 0 = any free port; undefined = the default (2223) of a shared session, any free one of a private session. */
  readonly proxyPort?: number | undefined;
  readonly proxyAddress?: string | undefined;
  readonly proxyUser?: string | undefined;
  /** Does the proxy ask for a password of kt's own? auto: where other people use this machine. Default none. */
  readonly proxyAuth?: ProxyAuth | undefined;
  readonly dnsPort?: number | undefined;
  readonly includeIps: readonly string[];
  readonly excludeIps: readonly string[];
  readonly alsoProxy: readonly string[];
  /** Where the hosts of the namespace's Ingresses lead: an address or a name of the cluster. */
  readonly ingressIp?: string | undefined;
  readonly clusterDomain: string;
  readonly mode: 'auto' | Mode;
  readonly placement?: AgentPlacement | undefined;
  readonly startLimitMs: number;
  readonly parkMs: number;
  /** Emit an event for each connection. */
  readonly debug?: boolean;
  /** kt-connect's flags that do nothing here. */
  readonly ignored?: readonly string[];
  /** Others may join it (`kt connect`); a private one is `kt run`'s own. */
  readonly shared: boolean;
  /** What listens in place of proxy, DNS and broker. Called before anything is made in the cluster; nobody can join such a session. */
  readonly listen?: ((to: ListenContext) => Promise<OwnListeners>) | undefined;
  /** Where it is shown and asked; its own where none is given. One that is given outlives it. */
  readonly board?: Board | undefined;
}

export interface ListenContext {
  /** To what is in the cluster, and to nothing else. */
  readonly dialer: Dialer;
  readonly cluster: SessionCluster;
  readonly mode: Mode;
  readonly emit: EventSink;
  /** The session is being given up. */
  readonly signal?: AbortSignal | undefined;
}

export interface OwnListeners {
  /** Told as events when the cluster is reached. */
  readonly forwards: readonly Omit<Extract<SessionEvent, { type: 'forwarding' }>, 'type'>[];
  close(): Promise<void>;
}

/** What a joining command needs to start a program in this session. Holds a secret: only over the 0600 socket. */
export interface JoinInfo {
  readonly session: string;
  readonly namespace: string;
  readonly broker: { readonly address: string; readonly token: string };
  readonly proxy: string;
  /** What the proxy asks for; none where it asks for nothing, and with an older kt. */
  readonly login?: { readonly username: string; readonly password: string; readonly file: string | null } | undefined;
  readonly dns: string;
  readonly shimDns: string;
  readonly cidrs: readonly string[];
  readonly suffixes: readonly string[];
  /** Where the next session of this context and namespace will be found; an older kt has none. */
  readonly sessionFile?: string;
}
