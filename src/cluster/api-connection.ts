// One connection to the API server, through the corporate proxy where there is one, with TLS and the client certificate.
// Knows no HTTP but the proxy's CONNECT. Called by rest.ts: for its pool and for upgrades.
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { KtError } from '../errors.ts';
import { connectThroughProxy } from '../netstack/http/connect-client.ts';
import { machineTrust, openSocket, openTls, startTls, type TlsOptions } from '../netstack/http/open-socket.ts';
import type { ClusterConfig, TlsSettings } from './config.ts';
import { connectionError, timedOut } from './connection-errors.ts';
import { invalid } from './kubeconfig.ts';
import { serverTarget } from './proxy.ts';

/** Milliseconds for TCP, proxy and TLS together. */
const CONNECT_MS = 10_000;

/** Trust and client certificate, made once and used by many connections. Throws KUBECONFIG_INVALID. */
export function secureContext(
  tls: TlsSettings,
  certificate: string | undefined,
  key: string | undefined,
): SecureContext {
  try {
    return createSecureContext({
      ca: tls.ca ?? machineTrust(),
      ...(certificate && key ? { cert: certificate, key } : {}),
    });
  } catch (error) {
    throw invalid(
      `the certificate authority, client certificate or key can't be used: ${(error as Error).message}`,
      error,
    );
  }
}

/**
 * `lend`: for much data; read by a LentReader where nothing is in between. The socket has no 'error' listener yet.
 * Rejects with API_UNREACHABLE, API_TLS, API_PROXY, KUBECONFIG_INVALID or CANCELLED.
 */
export async function connectToApi(
  config: ClusterConfig,
  secure: () => SecureContext,
  signal?: AbortSignal,
  lend = false,
): Promise<Socket> {
  const limit = AbortSignal.any([AbortSignal.timeout(CONNECT_MS), ...(signal ? [signal] : [])]);
  const target = serverTarget(config.server);
  try {
    const { proxy } = config;
    const { serverName, insecure } = config.tls;
    const tls = (): TlsOptions => ({ name: serverName ?? target.host, secureContext: secure(), insecure });
    const plain = config.server.startsWith('http:');
    if (lend && !proxy && !plain) return await openTls(target, tls(), limit);
    const line = await (proxy ? connectThroughProxy({ proxy, target, signal: limit }) : openSocket(target, limit));
    return plain ? line : await startTls(line, tls(), limit);
  } catch (error) {
    if (signal?.aborted)
      throw new KtError('CANCELLED', 'cancelled while connecting to the API server', { cause: error });
    throw apiProxyError(error, config, limit.aborted);
  }
}

/** What stopped a connection, as API_PROXY, API_UNREACHABLE or API_TLS. */
export function apiProxyError(error: unknown, config: ClusterConfig, timeUp: boolean): KtError {
  if (timeUp) return timedOut(config, error);
  if (error instanceof KtError && error.code === 'CORPORATE_PROXY') {
    return new KtError('API_PROXY', error.message, { ...(error.hint ? { hint: error.hint } : {}), cause: error.cause });
  }
  return connectionError(error, config);
}
