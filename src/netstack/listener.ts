// A TCP listener of the laptop: limits, noDelay, half-close, an 'error' listener on every socket, and a close() that ends all at once.
// Knows no protocol: `onSocket` does. Used by mixed-port.ts and forward/.
import { createServer, type Server, type Socket } from 'node:net';
import { KtError } from '../errors.ts';
import type { ProxyLog } from './proxy-log.ts';

/** Client connections at a time. A browser holds 256, a load test some thousands; two descriptors each stay below usual limits. */
export const CONNECTIONS_MAX = 4096;

export interface ListenOptions {
  /** An address of this machine. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The flag that changes the port, for the hint. */
  readonly setting: string;
  readonly onSocket: (socket: Socket) => void;
  readonly log?: ProxyLog | undefined;
  /** Default CONNECTIONS_MAX. */
  readonly connectionsMax?: number | undefined;
}

export interface Listener {
  readonly address: string;
  readonly port: number;
  /** Open client sockets. */
  readonly connections: number;
  /** Stops listening and ends every socket. */
  close(): Promise<void>;
}

/** Rejects with LISTEN_FAILED. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    options.onSocket(socket);
  });
  server.maxConnections = options.connectionsMax ?? CONNECTIONS_MAX;
  server.on('drop', () => {
    options.log?.({
      door: 'listener',
      event: 'rejected',
      reason: `more than ${server.maxConnections} connections at a time`,
    });
  });
  await bind(server, options);
  // After this, an error of the listener (EMFILE on accept) concerns one connection, not the session.
  server.on('error', (error) => options.log?.({ door: 'listener', event: 'rejected', reason: error.message }));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  return {
    address: options.host,
    port,
    get connections() {
      return sockets.size;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function bind(server: Server, options: ListenOptions): Promise<void> {
  const { host, port } = options;
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => reject(listenError(cause, options));
    server.once('error', failed);
    server.listen({ host, port }, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

/** LISTEN_FAILED with the reason in words; also for UDP. The system's own error is its cause. */
export function listenError(
  cause: NodeJS.ErrnoException,
  { host, port, setting }: Pick<ListenOptions, 'host' | 'port' | 'setting'>,
): KtError {
  return new KtError('LISTEN_FAILED', `can not listen on ${host}:${port}: ${explain(cause)}`, {
    hint: hint(cause, setting),
    cause,
  });
}

function explain(error: NodeJS.ErrnoException): string {
  if (error.code === 'EADDRINUSE') return 'the port is in use by another program (or by another kt)';
  if (error.code === 'EACCES') return 'the system does not allow this port';
  if (error.code === 'EADDRNOTAVAIL') return 'this machine does not have that address';
  return error.message;
}

function hint(error: NodeJS.ErrnoException, setting: string): string {
  if (error.code === 'EADDRNOTAVAIL') return 'Listen on 127.0.0.1.';
  return `Choose another port with ${setting} (0 takes any free one).`;
}
