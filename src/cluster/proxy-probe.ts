// Tries the proxy alone: does it connect to the API server? No TLS, no request. Called by modes/doctor, so that a fault of the proxy is
// not taken for one of the server.
import { connectThroughProxy } from '../netstack/http/connect-client.ts';
import { proxyName } from '../netstack/http/proxy-url.ts';
import { apiProxyError } from './api-connection.ts';
import type { ClusterConfig } from './config.ts';
import { serverTarget } from './proxy.ts';

const CONNECT_MS = 10_000;

export const proxyAuthority = ({ proxy }: Pick<ClusterConfig, 'proxy'>): string => (proxy ? proxyName(proxy) : 'none');

/** Rejects with API_PROXY or API_UNREACHABLE. */
export async function reachThroughProxy(config: ClusterConfig, signal: AbortSignal): Promise<void> {
  if (!config.proxy) return;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]);
  try {
    const socket = await connectThroughProxy({
      proxy: config.proxy,
      target: serverTarget(config.server),
      signal: limit,
    });
    socket.on('error', () => undefined).destroy();
  } catch (error) {
    throw apiProxyError(error, config, limit.aborted);
  }
}
