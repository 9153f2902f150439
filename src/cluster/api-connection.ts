// One connection to the API server, through the corporate proxy where there is one, with TLS and the client certificate.
// Knows no HTTP but the proxy's CONNECT. Called by rest.ts: for its pool and for upgrades.
import { isIP, connect as netConnect, type Socket } from 'node:net';
import {
  createSecureContext,
  getCACertificates,
  rootCertificates,
  type SecureContext,
  connect as tlsConnect,
} from 'node:tls';
import { KtError } from '../errors.ts';
import type { ClusterConfig, TlsSettings } from './config.ts';
import { connectionError, timedOut } from './connection-errors.ts';
import { invalid } from './kubeconfig.ts';

/** Milliseconds for TCP, proxy and TLS together. */
const CONNECT_MS = 10_000;
/** Milliseconds of silence after which the kernel probes the other side: below the idle limits of load balancers and NATs. */
const KEEP_ALIVE_MS = 15_000;

/** Trust and client certificate, made once and used by many connections. */
export function secureContext(
  tls: TlsSettings,
  certificate: string | undefined,
  key: string | undefined,
): SecureContext {
  try {
    return createSecureContext({
      // kubectl trusts what the machine trusts; Node alone only what Mozilla does.
      ca: tls.ca ?? [...rootCertificates, ...getCACertificates('system'), ...getCACertificates('extra')],
      ...(certificate && key ? { cert: certificate, key } : {}),
    });
  } catch (error) {
    throw invalid(
      `the certificate authority, client certificate or key can't be used: ${(error as Error).message}`,
      error,
    );
  }
}

/** Rejects with API_UNREACHABLE, API_TLS, API_PROXY or CANCELLED. The socket has no 'error' listener yet. */
export async function connectToApi(
  config: ClusterConfig,
  secure: () => SecureContext,
  signal?: AbortSignal,
): Promise<Socket> {
  const url = new URL(config.server);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
  const limit = AbortSignal.any([AbortSignal.timeout(CONNECT_MS), ...(signal ? [signal] : [])]);
  try {
    const line = await dial(host, port, limit);
    if (url.protocol === 'http:') return line;
    const { serverName, insecure } = config.tls;
    const name = serverName ?? host;
    const socket = tlsConnect({
      socket: line,
      secureContext: secure(),
      host: name,
      ...(isIP(name) ? {} : { servername: name }),
      rejectUnauthorized: !insecure,
      ALPNProtocols: ['http/1.1'],
    });
    await settled(socket, 'secureConnect', limit);
    return socket;
  } catch (error) {
    if (signal?.aborted)
      throw new KtError('CANCELLED', 'cancelled while connecting to the API server', { cause: error });
    if (limit.aborted) throw timedOut(config.server, error);
    throw connectionError(error, config.server);
  }
}

async function dial(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const socket = netConnect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
  await settled(socket, 'connect', signal);
  return socket;
}

/** Waits for `event`; on failure or abort the socket is destroyed. */
function settled(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error): void => {
      socket.off(event, onEvent).off('error', done).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      if (!error) return resolve();
      socket.on('error', () => undefined).destroy();
      reject(error);
    };
    const onEvent = (): void => done();
    const onClose = (): void => done(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    const onAbort = (): void => done(new Error('aborted'));
    socket.once(event, onEvent).once('error', done).once('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
