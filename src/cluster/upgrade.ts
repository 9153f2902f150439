// Opens a port-forward to a pod over a websocket: as channels, which every supported version knows, or as a tunnel, with channels where the cluster
// does not know tunnels. The websocket and its refusals are pod-socket.ts's, the bytes port-forward-stream.ts's.
// Called by session/agent-link.ts and agentless-dialer.ts.
import { KtError } from '../errors.ts';
import { ChannelFraming } from './channel-framing.codec.ts';
import { openPodSocket } from './pod-socket.ts';
import type { Framing } from './port-forward-framing.ts';
import { PortForwardStream } from './port-forward-stream.ts';
import type { ClusterApi } from './rest.ts';
import { statusCode } from './status.ts';
import { BARE_PROTOCOL, TunnelFraming } from './tunnel-framing.codec.ts';

export interface PortForwardTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

export interface PortForwardOpening {
  readonly signal?: AbortSignal;
  /** For a link: much data. A tunnel where the cluster knows it, and bytes are lent to whoever asks (stream/lent-reader.ts). */
  readonly tunnel?: boolean;
  /**
   * For a link that nobody waits for: SPDY without a websocket where that works, which is cheaper still. It wants the right to create, and to a
   * proxy on the way it is no websocket: whatever fails is forgotten, and the tunnel tried.
   */
  readonly bare?: boolean;
}

/** Clusters that did not know tunnels: not asked again. */
const withoutTunnel = new WeakSet<ClusterApi>();

/** Clusters, or ways to them, that had no bare SPDY. */
const withoutBare = new WeakSet<ClusterApi>();

/** For whoever got a tunnel that opened and then carried nothing: something on the way may look into websockets. Channels from then on. */
export function avoidTunnels(api: ClusterApi): void {
  withoutTunnel.add(api);
}

/**
 * A stream to `port` on the pod's loopback. The wire has no sign for "connected": a refusal comes as an error of the stream
 * (DIAL_*), usually within milliseconds. Rejects as openPodSocket does.
 */
export async function openPortForward(
  api: ClusterApi,
  target: PortForwardTarget,
  { signal, tunnel = false, bare = false }: PortForwardOpening = {},
): Promise<PortForwardStream> {
  if (bare && !withoutBare.has(api)) {
    try {
      return await open(api, target, new TunnelFraming(target.port), signal, { lend: true, bare: true });
    } catch (error) {
      withoutBare.add(api);
      if (signal?.aborted) throw error;
    }
  }
  if (tunnel && !withoutTunnel.has(api)) {
    try {
      return await open(api, target, new TunnelFraming(target.port), signal, { lend: true });
    } catch (error) {
      // A runtime of before tunnels answers an empty 403, others and gateways 400.
      const unknown = (error instanceof KtError && error.code === 'UPGRADE_REFUSED') || statusCode(error) === 400;
      if (!unknown) throw error;
      withoutTunnel.add(api);
    }
  }
  return open(api, target, new ChannelFraming(), signal, { lend: tunnel });
}

async function open(
  api: ClusterApi,
  { namespace, pod, port }: PortForwardTarget,
  framing: Framing,
  signal: AbortSignal | undefined,
  how: { readonly lend: boolean; readonly bare?: boolean },
): Promise<PortForwardStream> {
  const protocol = how.bare ? BARE_PROTOCOL : framing.protocol;
  const asked = { namespace, pod, subresource: 'port-forward', query: `ports=${port}`, protocol, ...how } as const;
  const { socket, head, mask } = await openPodSocket(api, asked, signal);
  return new PortForwardStream(socket, head, { name: `${namespace}/${pod}:${port}`, mask, framing });
}
