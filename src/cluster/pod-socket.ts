// Opens a websocket, or bare SPDY, to a pod's subresource and tells refusals apart: rights, subprotocol, pod, credentials, proxy. What passes on it is
// upgrade.ts's (port-forward) and exec.ts's.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { KtError } from '../errors.ts';
import { UpgradeError } from '../netstack/http/ask-upgrade.ts';
import { upgradeToLink } from '../netstack/link/pod-proxy-port.ts';
import { upgradeToSpdy } from '../netstack/spdy/client.ts';
import { upgradeToWebSocket } from '../netstack/websocket/client.ts';
import { connectionError } from './connection-errors.ts';
import type { Credentials } from './credentials.ts';
import { podPath } from './paths.ts';
import type { ClusterApi } from './rest.ts';
import { answerError, readStatus } from './status.ts';

/** Milliseconds from the request to the 101, which comes after the kubelet and the runtime have answered. */
const UPGRADE_MS = 20_000;

export interface PodSocketRequest {
  readonly namespace: string;
  readonly pod: string;
  /** Also the word for it in errors. */
  readonly subresource: 'port-forward' | 'exec' | 'proxy';
  /** Behind the question mark. */
  readonly query: string;
  /** For `proxy`: of the pod. */
  readonly port?: number | undefined;
  /** The websocket's subprotocol; in bare SPDY the version of the streams. */
  readonly protocol: string;
  /** Without a websocket. */
  readonly bare?: boolean;
  /** See connectToApi. */
  readonly lend?: boolean;
}

export interface PodSocket {
  readonly socket: Socket;
  /** Bytes that came with the answer. */
  readonly head: Buffer;
  readonly mask: 'zero' | 'random' | 'none';
}

/**
 * Rejects with RIGHTS_MISSING, CREDENTIALS_REJECTED, UPGRADE_REFUSED, API_STATUS (cause: the Status, `code` 404 when the pod is gone),
 * API_UNREACHABLE, API_TLS, API_PROXY or CANCELLED.
 */
export async function openPodSocket(
  api: ClusterApi,
  asked: PodSocketRequest,
  signal: AbortSignal | undefined,
): Promise<PodSocket> {
  const { namespace, pod, subresource, query, protocol } = asked;
  const path =
    subresource === 'proxy'
      ? `${podPath(namespace, `${pod}:${asked.port ?? ''}`)}/proxy/`
      : `${podPath(namespace, pod)}/${subresource.replace('-', '')}?${query}`;
  const url = new URL(api.config.server + path);
  for (let retried = false; ; retried = true) {
    const { socket, credentials } = await api.connect(signal, asked.lend);
    const limit = AbortSignal.any([AbortSignal.timeout(UPGRADE_MS), ...(signal ? [signal] : [])]);
    try {
      const request = { path: url.pathname + url.search, host: url.host, protocol, signal: limit };
      const headers = { 'User-Agent': 'kt', ...credentials.headers };
      if (subresource === 'proxy')
        return { socket, head: await upgradeToLink(socket, { ...request, headers }), mask: 'none' };
      if (asked.bare) return { socket, head: await upgradeToSpdy(socket, { ...request, headers }), mask: 'none' };
      const head = await upgradeToWebSocket(socket, { ...request, headers });
      return { socket, head, mask: socket instanceof TLSSocket ? 'zero' : 'random' };
    } catch (error) {
      const refused = error instanceof UpgradeError ? error : undefined;
      if (refused?.status === 401 && !retried && api.config.credentials.rejected(credentials)) continue;
      if (refused) throw refusal(refused, path, asked, credentials, api);
      if (signal?.aborted) throw new KtError('CANCELLED', `cancelled while opening a ${subresource}`, { cause: error });
      if (limit.aborted) {
        throw new KtError(
          'API_UNREACHABLE',
          `the API server did not open a ${subresource} to ${namespace}/${pod} within ${UPGRADE_MS / 1000} s`,
        );
      }
      throw connectionError(error, api.config);
    }
  }
}

function refusal(
  error: UpgradeError,
  path: string,
  { subresource, protocol, bare }: PodSocketRequest,
  credentials: Credentials,
  api: ClusterApi,
): KtError {
  const { status, body } = error;
  const hint = 'a proxy on the way may not let websockets pass';
  if (status === 101)
    return new KtError('UPGRADE_REFUSED', `the ${subresource} was not opened: ${error.message}`, {
      hint,
      cause: error,
    });
  // x/net/websocket answers a subprotocol that it does not know with an empty 403, which looks like missing rights but is none.
  if (status === 403 && body.trim() === '') {
    return new KtError('UPGRADE_REFUSED', `the cluster does not know the ${subresource} protocol ${protocol}`, {
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
  // A page is a proxy's or a gateway's: RBAC answers with a Status.
  const answer = readStatus(status, body);
  if (status === 403 && !answer.own) {
    const text = `something on the way refused the ${subresource}: ${status} ${answer.message}`;
    return new KtError('UPGRADE_REFUSED', text, { hint, cause: error });
  }
  return answerError({ method: bare ? 'POST' : 'GET', path, status, body, credentials, config: api.config });
}
