// One port for SOCKS5, SOCKS4a and the HTTP proxy: the first byte tells them apart (5 and 4 begin no HTTP method).
// Knows no Kubernetes and no routes; whoever starts it gives it a dialer. Called by the session.
import type { Socket } from 'node:net';
import type { Credentials } from './credentials.ts';
import type { Dialer } from './dialer.ts';
import { HttpProxy } from './http/proxy.ts';
import { type Listener, listen } from './listener.ts';
import { formatLogEntry, type ProxyLog, type ProxyLogEntry } from './proxy-log.ts';
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
  /** One line for each connection that opened, failed, ended or was turned away, and the same as fields. */
  readonly log?: ((line: string, entry: ProxyLogEntry) => void) | undefined;
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
  /** The PAC file that the HTTP proxy serves, as it is now. */
  readonly pac?: (() => string) | undefined;
  /** Milliseconds for the header section of an HTTP request. Default 30,000. */
  readonly headersMs?: number | undefined;
}

/** Rejects with LISTEN_FAILED. */
export async function listenMixedPort(options: MixedPortOptions): Promise<Listener> {
  const { host, port, dialer, auth, protocols = 'both', connectionsMax, firstByteMs = FIRST_BYTE_MS } = options;
  const log: ProxyLog | undefined = options.log && ((entry) => options.log?.(formatLogEntry(entry), entry));
  const http = new HttpProxy({ dialer, auth, log, headersMs: options.headersMs, pac: options.pac });
  const socks = { dialer, auth, log, handshakeMs: options.handshakeMs };
  const silent = (): void => {
    log?.({ door: 'listener', event: 'rejected', reason: `no byte within ${firstByteMs} ms` });
  };
  const onSocket = (socket: Socket): void => {
    if (protocols === 'socks') serveSocks(socket, socks);
    else if (protocols === 'http') http.accept(socket);
    else {
      sniff(socket, firstByteMs, silent, (first) => {
        if (first === VERSION || first === VERSION_4) serveSocks(socket, socks);
        else http.accept(socket);
      });
    }
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

/** Calls back with the first byte, which stays in the socket; or closes it where none comes in time. */
function sniff(socket: Socket, limitMs: number, onSilence: () => void, onFirst: (byte: number) => void): void {
  const timer = setTimeout(() => {
    onSilence();
    socket.destroy();
  }, limitMs);
  const stop = (): void => {
    clearTimeout(timer);
    socket.off('readable', onReadable).off('end', onEnd).off('close', stop);
  };
  // A client that only looked whether the port is open.
  const onEnd = (): void => void socket.destroy();
  const onReadable = (): void => {
    const chunk = socket.read(Math.max(socket.readableLength, 1)) as Buffer | null;
    const first = chunk?.[0];
    if (chunk === null || first === undefined) return;
    stop();
    socket.unshift(chunk);
    onFirst(first);
  };
  socket.on('readable', onReadable).on('end', onEnd).on('close', stop);
}
