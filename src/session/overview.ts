// What `kt birdseye` and the screen tell of a namespace, as it is printed with --output json. Types only.
// Made by modes/birdseye, shown by cli/view/birdseye.ts and the screen.

export type ServiceState = 'normal' | 'exchanged' | 'meshed' | 'previewing';

/** Somebody who has a Service's traffic, or is connected. */
export interface Person {
  readonly user: string;
  /** Name of the laptop; null where it is not known (kt-connect does not note it). */
  readonly host: string | null;
}

export interface ServiceUser extends Person {
  /** `VERSION: anna`; null: all requests, or not known. */
  readonly mark: string | null;
  /** ISO 8601; by the agent's clock where it was asked, else by that laptop's. */
  readonly since: string | null;
  /** A link is there now; null: not known. */
  readonly live: boolean | null;
  readonly tool: 'kt' | 'kt-connect';
}

export interface ServiceLine {
  readonly name: string;
  /** ClusterIP, NodePort, LoadBalancer, ExternalName, or Headless. */
  readonly type: string;
  readonly ports: readonly {
    readonly port: number;
    readonly name: string | null;
    readonly protocol: string;
    readonly targetPort: number | string;
  }[];
  /** Addresses that get connections now: the agent's while it is taken; null where they may not be listed. */
  readonly ready: number | null;
  /** Those of the original pods while it is taken by kt; else null. */
  readonly originReady: number | null;
  readonly state: ServiceState;
  readonly by: readonly ServiceUser[];
  /** What the reader should know besides: where `by` comes from, what is left over. */
  readonly notes: readonly string[];
}

export interface Connector extends Person {
  readonly pod: string;
  /** ISO 8601: when the pod was created, by the API server's clock. */
  readonly since: string | null;
  /** ISO 8601: last heartbeat that kt-connect wrote; null for kt, whose agent ends by itself 2 minutes after its laptop. */
  readonly lastActive: string | null;
  readonly tool: 'kt' | 'kt-connect';
}

export interface Overview {
  readonly namespace: string;
  readonly services: readonly ServiceLine[];
  /** null where pods may not be listed. */
  readonly connected: readonly Connector[] | null;
}
