// The way in by SPDY/3.1 port-forward, as older kubectl goes: a POST, so the right is `create`, and no websocket on the way, for proxies and
// gateways that refuse those. The same frames as in a tunnel, and one stream of data. Called by ways.ts.
import type { Duplex } from 'node:stream';
import { openPodSocket } from '../pod-socket.ts';
import { PortForwardStream } from '../port-forward-stream.ts';
import type { ClusterApi } from '../rest.ts';
import { BARE_PROTOCOL, TunnelFraming } from '../tunnel-framing.codec.ts';
import type { WayOptions, WayTarget } from './types.ts';

/** Rejects as openPodSocket does. */
export async function openSpdy(
  api: ClusterApi,
  { namespace, pod, port }: WayTarget,
  { signal, tunnel = false }: WayOptions = {},
): Promise<Duplex> {
  const asked = {
    namespace,
    pod,
    subresource: 'port-forward',
    query: `ports=${port}`,
    protocol: BARE_PROTOCOL,
  } as const;
  const { socket, head, mask } = await openPodSocket(api, { ...asked, bare: true, lend: tunnel }, signal);
  return new PortForwardStream(socket, head, {
    name: `${namespace}/${pod}:${port}`,
    mask,
    framing: new TunnelFraming(port),
  });
}
