// A TCP connection, and TLS over one, as promises that an AbortSignal ends. On failure the socket is destroyed.
// Called by connect-client.ts and by src/cluster/api-connection.ts. Not the dialer for programs' connections (route/direct-dialer.ts).
import { connect, isIP, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  getCACertificates,
  type SecureContext,
  type TLSSocket,
  connect as tlsConnect,
} from 'node:tls';
import type { Target } from '../dialer.ts';
import { LentReader } from '../stream/lent-reader.ts';

/** Milliseconds of silence after which the kernel probes the other side: below the idle limits of load balancers and NATs. */
const KEEP_ALIVE_MS = 15_000;

/** Rejects with the system's error, or with the signal's reason. The socket has no 'error' listener yet. */
export async function openSocket({ host, port }: Target, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
  await settled(socket, 'connect', signal);
  return socket;
}

export interface TlsOptions {
  /** Name or address to check the certificate against; a name is also sent (SNI). */
  readonly name: string;
  readonly secureContext: SecureContext;
  /** True: any certificate will do. */
  readonly insecure?: boolean;
}

/** Rejects with TLS's error, or with the signal's reason. */
export async function startTls(socket: Socket, options: TlsOptions, signal: AbortSignal): Promise<TLSSocket> {
  const secure = tlsConnect({ socket, ...settings(options) });
  await settled(secure, 'secureConnect', signal);
  return secure;
}

/** TCP and TLS at once, with a LentReader: for connections that carry much. */
export async function openTls({ host, port }: Target, options: TlsOptions, signal: AbortSignal): Promise<TLSSocket> {
  const reader = new LentReader();
  // The types do not know `onread` here; node:tls passes it on.
  const secure = tlsConnect({
    ...settings(options),
    host,
    port,
    checkServerIdentity: (_, certificate) => checkServerIdentity(options.name, certificate),
    onread: reader.onread,
  } as ConnectionOptions);
  // Not before: on Windows an option that the system does not know would be the failure of connect.
  secure.once('connect', () => secure.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS));
  reader.attach(secure);
  await settled(secure, 'secureConnect', signal);
  return secure;
}

function settings({ name, secureContext, insecure = false }: TlsOptions): ConnectionOptions {
  return {
    secureContext,
    host: name,
    // RFC 6066 §3: addresses are not sent as names.
    ...(isIP(name) === 0 ? { servername: name } : {}),
    rejectUnauthorized: !insecure,
    ALPNProtocols: ['http/1.1'],
  };
}

let trusted: string[] | undefined;

/** PEM certificates that this machine trusts. Node alone trusts Mozilla's list; companies put their own into the system's. */
export function machineTrust(): string[] {
  trusted ??= [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
  return trusted;
}

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
    const onClose = (): void => done(Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' }));
    const onAbort = (): void => done(signal.reason as Error);
    socket.once(event, onEvent).once('error', done).once('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
