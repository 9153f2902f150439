// The DNS listener: UDP and TCP on one port (RFC 1035 §4.2, RFC 7766). Sockets and limits; answers are resolver.ts's, a TCP connection
// is tcp-connection.ts's. Called by session/listeners.ts.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import { KtError } from '../../errors.ts';
import { DnsResolver, type DnsResolverOptions } from './resolver.ts';
import { serveConnection } from './tcp-connection.ts';

export interface DnsServerOptions extends DnsResolverOptions {
  readonly host: string;
  /** 0: any port that is free for both. */
  readonly port: number;
}

/** Questions in work, over UDP; more are dropped and asked again by whoever asked. */
const UDP_QUESTIONS_MAX = 1_024;
/** The same for one address and port: one broken program must not take all. Resolvers ask two at a time from a port. */
const UDP_QUESTIONS_EACH_MAX = 64;
/** TCP connections. */
const CONNECTIONS_MAX = 128;
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
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    serveConnection(socket, resolver);
  });
  server.maxConnections = CONNECTIONS_MAX;
  const udp = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  let closing: Promise<void> | undefined;
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
    return {
      port: bound,
      close: () => {
        closing ??= close();
        return closing;
      },
    };
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
  const workingFor = new Map<string, number>();
  let open = true;
  socket.once('close', () => {
    open = false;
  });
  socket.on('message', (message, from) => {
    const asker = `${from.address} ${from.port}`;
    const asked = workingFor.get(asker) ?? 0;
    if (working >= UDP_QUESTIONS_MAX || asked >= UDP_QUESTIONS_EACH_MAX) return;
    working += 1;
    workingFor.set(asker, asked + 1);
    void resolver.answer(message, 'udp').then((reply) => {
      working -= 1;
      const left = (workingFor.get(asker) ?? 1) - 1;
      if (left > 0) workingFor.set(asker, left);
      else workingFor.delete(asker);
      // A datagram from port 0 can't be answered; `send` would throw.
      if (reply && open && from.port > 0) socket.send(reply, from.port, from.address, () => undefined);
    });
  });
}
