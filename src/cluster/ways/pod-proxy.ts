// The way in by pods/proxy: the API server itself connects to the agent's port on the pod's address and passes the bytes on; no kubelet and no
// runtime in between, and no framing. For users who may neither port-forward nor exec. The agent listens there only when it is asked to:
// everything in the cluster can reach that port, and its token alone guards it. Called by ways.ts.
import type { Duplex } from 'node:stream';
import { KtError } from '../../errors.ts';
import { openPodSocket } from '../pod-socket.ts';
import type { ClusterApi } from '../rest.ts';
import { statusCode } from '../status.ts';
import type { WayOptions, WayTarget } from './types.ts';

/** Rejects as openPodSocket does, and with DIAL_REFUSED where the API server can't connect to the pod. */
export async function openPodProxy(
  api: ClusterApi,
  { namespace, pod, proxyPort }: WayTarget,
  options: WayOptions = {},
): Promise<Duplex> {
  if (proxyPort === undefined)
    throw new KtError('UNSUPPORTED', `${namespace}/${pod} takes no links by the API server's proxy`);
  try {
    const asked = { namespace, pod, subresource: 'proxy', port: proxyPort, query: '', protocol: 'kt-link' } as const;
    const { socket, head } = await openPodSocket(api, asked, options.signal);
    if (head.length > 0) socket.unshift(head);
    return socket;
  } catch (error) {
    const unreached = statusCode(error) === 503 || statusCode(error) === 502 || statusCode(error) === 500;
    if (unreached && /dial tcp|connection refused|no endpoints/.test((error as Error).message)) {
      throw new KtError('DIAL_REFUSED', `the API server can't connect to ${namespace}/${pod}:${proxyPort}`, {
        hint: 'the agent does not listen yet, or a NetworkPolicy keeps the API server from the pod',
        cause: error,
      });
    }
    throw error;
  }
}
