// The DNS listener: UDP and TCP on one port of the loopback (RFC 1035 §4.2, RFC 7766). Reads and writes messages; answers are
// resolver.ts's. Called by session/listeners.ts.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import { KtError } from '../../errors.ts';
import { DnsResolver, type DnsResolverOptions } from './resolver.ts';

export interface DnsServerOptions extends DnsResolverOptions {
  readonly host: string;
  /** 0: any port that is free for both. */
  readonly port: number;
}

/** Questions in work, over UDP; more are dropped and asked again by whoever asked. */
const UDP_QUESTIONS_MAX = 1_024;
/** TCP connections, and questions in work on each one; then it is not read. */
const CONNECTIONS_MAX = 128;
const PIPELINED_MAX = 32;
/** Milliseconds without a question on a TCP connection (RFC 7766 §6.2.3: a few seconds). */
const IDLE_MS = 10_000;
/** Attempts to find a port that is free for UDP and TCP. */
const PORTS_TRIED = 20;

export interface DnsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Rejects with LISTEN_FAILED. */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const resolver = new DnsResolver(options);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await listenOnce(options, resolver);
    } catch (cause) {
      const error = cause as NodeJS.ErrnoException;
      if (options.port === 0 && error.code === 'EADDRINUSE' && attempt < PORTS_TRIED) continue;
      throw new KtError('LISTEN_FAILED', `DNS can't listen on ${options.host}:${options.port}: ${error.message}`, {
        hint: 'choose another port with --dnsPort (0 = any free one); is another kt running? `kt status` shows it',
        cause,
      });
    }
  }
}

async function listenOnce({ host, port }: DnsServerOptions, resolver: DnsResolver): Promise<DnsServer> {
  const connections = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    serveConnection(socket, resolver);
  });
  server.maxConnections = CONNECTIONS_MAX;
  const udp = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  const close = async (): Promise<void> => {
    for (const socket of connections) socket.destroy();
    if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()));
    await new Promise<void>((resolve) => udp.close(() => resolve()));
  };
  try {
    const bound = await listenTcp(server, host, port);
    udp.bind(bound, host);
    await once(udp, 'listening');
    server.on('error', () => undefined);
    udp.on('error', () => undefined);
    serveUdp(udp, resolver);
    return { port: bound, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function listenTcp(server: Server, host: string, port: number): Promise<number> {
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

function serveUdp(socket: UdpSocket, resolver: DnsResolver): void {
  let working = 0;
  socket.on('message', (message, from) => {
    if (working >= UDP_QUESTIONS_MAX) return;
    working += 1;
    void resolver.answer(message, 'udp').then((reply) => {
      working -= 1;
      if (!reply) return;
      try {
        socket.send(reply, from.port, from.address, () => undefined);
      } catch {
        // Closed meanwhile.
      }
    });
  });
}

/** Messages with their length in front; answers leave as they are ready (RFC 7766 §7). Holds one unfinished message. */
function serveConnection(socket: Socket, resolver: DnsResolver): void {
  let held = Buffer.alloc(0);
  let working = 0;
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on('error', () => undefined);
  const answer = (message: Buffer): void => {
    working += 1;
    void resolver.answer(message, 'tcp').then((reply) => {
      working -= 1;
      if (reply && socket.writable) {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(reply.length);
        socket.write(Buffer.concat([length, reply]));
      } else if (!reply) socket.destroy();
      read();
    });
  };
  const read = (): void => {
    while (working < PIPELINED_MAX && held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
      const end = 2 + held.readUInt16BE(0);
      const message = held.subarray(2, end);
      held = held.subarray(end);
      answer(message);
    }
    if (working >= PIPELINED_MAX) socket.pause();
    else if (!socket.destroyed) socket.resume();
  };
  socket.on('data', (chunk) => {
    held = Buffer.concat([held, chunk]);
    read();
  });
}
