// One port for SOCKS5, SOCKS4a and the HTTP proxy: the first byte tells them apart (5 and 4 begin no HTTP method).
// Knows no Kubernetes and no routes; whoever starts it gives it a dialer. Called by the session.
import type { Socket } from 'node:net';
import type { Credentials } from './credentials.ts';
import type { Dialer } from './dialer.ts';
import { HttpProxy } from './http/proxy.ts';
import { type Listener, listen } from './listener.ts';
import type { ProxyLog } from './proxy-log.ts';
import { serveSocks } from './socks/server.ts';
import { VERSION_4 } from './socks/socks4.codec.ts';
import { VERSION } from './socks/socks5.codec.ts';

/** Milliseconds for the first byte. Browsers open connections ahead of need; half a minute serves them and bounds forgotten ones. */
const FIRST_BYTE_MS = 30_000;

export interface MixedPortOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly dialer: Dialer;
  /** Asked for on both protocols where set; SOCKS4, which has no password, is then refused. */
  readonly auth?: Credentials | undefined;
  readonly log?: ProxyLog | undefined;
  /** Default 'both'. */
  readonly protocols?: 'both' | 'socks' | 'http' | undefined;
  /** The flag that sets this port, for the error's hint. Default `--proxyPort`. */
  readonly setting?: string | undefined;
  /** Client connections at a time. Default 4,096. */
  readonly connectionsMax?: number | undefined;
  /** Milliseconds for the first byte. Default 30,000. */
  readonly firstByteMs?: number | undefined;
  /** Milliseconds for a SOCKS handshake. Default 10,000. */
  readonly handshakeMs?: number | undefined;
  /** Milliseconds for the header section of an HTTP request. Default 30,000. */
  readonly headersMs?: number | undefined;
}

/** Rejects with LISTEN_FAILED. */
export async function listenMixedPort(options: MixedPortOptions): Promise<Listener> {
  const { host, port, dialer, auth, log, protocols = 'both', connectionsMax } = options;
  const http = new HttpProxy({ dialer, auth, log, headersMs: options.headersMs });
  const socks = { dialer, auth, log, handshakeMs: options.handshakeMs };
  const onSocket = (socket: Socket): void => {
    if (protocols === 'socks') serveSocks(socket, socks);
    else if (protocols === 'http') http.accept(socket);
    else
      sniff(socket, options, (first) =>
        first === VERSION || first === VERSION_4 ? serveSocks(socket, socks) : http.accept(socket),
      );
  };
  try {
    const listener = await listen({
      host,
      port,
      setting: options.setting ?? '--proxyPort',
      onSocket,
      log,
      connectionsMax,
    });
    return {
      address: listener.address,
      port: listener.port,
      get connections() {
        return listener.connections;
      },
      close: () => {
        http.close();
        return listener.close();
      },
    };
  } catch (error) {
    http.close();
    throw error;
  }
}

/** Calls back with the first byte, which stays in the socket. */
function sniff(
  socket: Socket,
  { firstByteMs = FIRST_BYTE_MS, log }: MixedPortOptions,
  onFirst: (byte: number) => void,
): void {
  const timer = setTimeout(() => {
    log?.({ door: 'listener', event: 'rejected', reason: `no byte within ${firstByteMs} ms` });
    socket.destroy();
  }, firstByteMs);
  const stop = (): void => {
    clearTimeout(timer);
    socket.off('readable', onReadable).off('end', onEnd).off('close', stop);
  };
  // A client that only looked whether the port is open.
  const onEnd = (): void => void socket.destroy();
  const onReadable = (): void => {
    // Exactly what is there: the stream's end, if it came along, is for whoever takes over.
    const chunk = socket.read(socket.readableLength || undefined) as Buffer | null;
    const first = chunk?.[0];
    if (chunk === null || first === undefined) return;
    stop();
    socket.unshift(chunk);
    onFirst(first);
  };
  socket.on('readable', onReadable).on('end', onEnd).on('close', stop);
}
