// Opens a port-forward to a pod over a websocket: as channels, which every supported version knows, or as a tunnel, with channels where the cluster
// does not know tunnels. Refusals are told apart: rights, subprotocol, pod, credentials, proxy. The bytes are port-forward-stream.ts's.
// Called by session/agent-link.ts and agentless-dialer.ts.
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { KtError } from '../errors.ts';
import { UpgradeError, upgradeToWebSocket } from '../netstack/websocket/client.ts';
import { ChannelFraming } from './channel-framing.codec.ts';
import { connectionError } from './connection-errors.ts';
import type { Credentials } from './credentials.ts';
import type { Framing } from './port-forward-framing.ts';
import { PortForwardStream } from './port-forward-stream.ts';
import type { ClusterApi } from './rest.ts';
import { answerError, statusCode } from './status.ts';
import { TunnelFraming } from './tunnel-framing.codec.ts';

/** Milliseconds from the request to the 101, which comes after the kubelet and the runtime have answered. */
const UPGRADE_MS = 20_000;

export interface PortForwardTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

export interface PortForwardOpening {
  readonly signal?: AbortSignal;
  /** Cheaper for much data, where the cluster knows it. A stream that was ended is closed like one of channels. */
  readonly tunnel?: boolean;
}

/** Clusters that did not know tunnels: not asked again. */
const withoutTunnel = new WeakSet<ClusterApi>();

/** For whoever got a tunnel that opened and then carried nothing: something on the way may look into websockets. Channels from then on. */
export function avoidTunnels(api: ClusterApi): void {
  withoutTunnel.add(api);
}

/**
 * A stream to `port` on the pod's loopback. The wire has no sign for "connected": a refusal comes as an error of the stream
 * (DIAL_*), usually within milliseconds. Rejects with RIGHTS_MISSING, CREDENTIALS_REJECTED, UPGRADE_REFUSED, API_STATUS (cause: the
 * Status, `code` 404 when the pod is gone), API_UNREACHABLE, API_TLS, API_PROXY or CANCELLED.
 */
export async function openPortForward(
  api: ClusterApi,
  target: PortForwardTarget,
  { signal, tunnel = false }: PortForwardOpening = {},
): Promise<Duplex> {
  if (tunnel && !withoutTunnel.has(api)) {
    try {
      return await open(api, target, new TunnelFraming(target.port), signal);
    } catch (error) {
      // A runtime of before tunnels answers an empty 403, others and gateways 400.
      const unknown = (error instanceof KtError && error.code === 'UPGRADE_REFUSED') || statusCode(error) === 400;
      if (!unknown) throw error;
      withoutTunnel.add(api);
    }
  }
  return open(api, target, new ChannelFraming(), signal);
}

async function open(
  api: ClusterApi,
  { namespace, pod, port }: PortForwardTarget,
  framing: Framing,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/portforward?ports=${port}`;
  const { protocol } = framing;
  const url = new URL(api.config.server + path);
  for (let retried = false; ; retried = true) {
    const { socket, credentials } = await api.connect(signal);
    const limit = AbortSignal.any([AbortSignal.timeout(UPGRADE_MS), ...(signal ? [signal] : [])]);
    try {
      const request = { path: url.pathname + url.search, host: url.host, protocol, signal: limit };
      const head = await upgradeToWebSocket(socket, {
        ...request,
        headers: { 'User-Agent': 'kt', ...credentials.headers },
      });
      const mask = socket instanceof TLSSocket ? 'zero' : 'random';
      return new PortForwardStream(socket, head, { name: `${namespace}/${pod}:${port}`, mask, framing });
    } catch (error) {
      const refused = error instanceof UpgradeError ? error : undefined;
      if (refused?.status === 401 && !retried && api.config.credentials.rejected(credentials)) continue;
      if (refused) throw refusal(refused, path, protocol, credentials, api);
      if (signal?.aborted) throw new KtError('CANCELLED', 'cancelled while opening a port-forward', { cause: error });
      if (limit.aborted) {
        throw new KtError(
          'API_UNREACHABLE',
          `the API server did not open a port-forward to ${namespace}/${pod} within ${UPGRADE_MS / 1000} s`,
        );
      }
      throw connectionError(error, api.config);
    }
  }
}

function refusal(
  error: UpgradeError,
  path: string,
  protocol: string,
  credentials: Credentials,
  api: ClusterApi,
): KtError {
  const { status, body } = error;
  const hint = 'a proxy on the way may not let websockets pass';
  if (status === 101)
    return new KtError('UPGRADE_REFUSED', `the port-forward was not opened: ${error.message}`, { hint, cause: error });
  // x/net/websocket answers a subprotocol that it does not know with an empty 403, which looks like missing rights but is none.
  if (status === 403 && body.trim() === '') {
    return new KtError('UPGRADE_REFUSED', `the cluster does not know the port-forward protocol ${protocol}`, {
      hint,
      cause: error,
    });
  }
  if (status >= 200 && status < 400) {
    return new KtError('UPGRADE_REFUSED', `the request for a websocket was answered with ${status}`, {
      hint,
      cause: error,
    });
  }
  return answerError({ method: 'GET', path, status, body, credentials, config: api.config });
}
