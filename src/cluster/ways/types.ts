// The ways by which bytes reach a port in a pod, and what opens one. Types only. Implementations: ../upgrade.ts (port-forward), exec.ts, pod-proxy.ts,
// spdy.ts; each passes test/compliance/transport.ts. Which one is taken is ways.ts's to say.
import type { Duplex } from 'node:stream';
import type { ClusterApi } from '../rest.ts';

export interface WayTarget {
  readonly namespace: string;
  readonly pod: string;
  /** On the pod's loopback. */
  readonly port: number;
  /** On the pod's address: where the agent takes links that come by the API server's proxy. */
  readonly proxyPort?: number | undefined;
  /** Whose Node runs the bridge of an exec. Default: the agent's. */
  readonly container?: string | undefined;
}

export interface WayOptions {
  readonly signal?: AbortSignal | undefined;
  /** It will carry a link's many bytes: a port-forward then goes as a tunnel, where the cluster knows it. */
  readonly tunnel?: boolean | undefined;
  /** See openPortForward. */
  readonly bare?: boolean | undefined;
}

/** Resolves once the cluster has agreed; whether somebody listens in the pod shows later, as an error of the stream (DIAL_*). */
export type OpenWay = (api: ClusterApi, target: WayTarget, options?: WayOptions) => Promise<Duplex>;
