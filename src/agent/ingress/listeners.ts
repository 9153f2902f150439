// The ports of a taken Service: TCP and UDP listeners of the ingress agent, and the two ways that lead on from each (upstreams.ts).
// Knows the rules' keeper (registry.machine.ts) and the links only as questions. Called by agent/main.ts.
import { connect, createServer, type Server, type TcpNetConnectOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { KtError } from '../../errors.ts';
import type { IngressConfig, IngressListener } from '../../netstack/link/ingress-config.codec.ts';
import { reset } from '../../netstack/stream/reset.ts';
import { Backlog, type BacklogLimits, type Held } from './backlog.ts';
import { type ConnectionLimits, type Habit, serveConnection } from './connection.ts';
import { type LaptopLink, OPENING_MS, openToLaptop, reachable } from './laptop.ts';
import type { Registry } from './registry.machine.ts';
import { listenUdp, type UdpListener } from './udp.ts';
import type { Upstreams } from './upstreams.ts';

/** Connections on all ports; the pod's memory limit is 256 MiB, and each one with its origin connection takes some 16 KiB. */
const CONNECTIONS_MAX = 4_096;
/** Milliseconds for the origin Service to answer a connect. */
const ORIGIN_MS = 10_000;
/**
 * Milliseconds for which a refused connect is tried again: a pod that ends refuses while kube-proxy still leads to it, for about its sync
 * period of 1 s. No byte was sent, so nobody can notice but by the time.
 */
const REFUSED_MS = 1_500;
const REFUSED_PAUSE_MS = 50;
/** Of each socket; a caller that stops reading holds twice as much and what was read last (backlog.ts bounds the sum). */
const BUFFER_BYTES = 128 * 1024;
/** Milliseconds of silence after which a caller's machine is asked whether it is still there; many are gone without a word. */
const KEEP_ALIVE_MS = 60_000;

/** Waits that tests make shorter; production takes the constants. */
export interface IngressLimits extends ConnectionLimits, BacklogLimits {
  readonly openingMs?: number;
  readonly connectionsMax?: number;
  readonly originRefusedMs?: number;
  readonly flowsMax?: number;
  readonly refusedMs?: number;
}

export interface IngressContext {
  readonly config: IngressConfig;
  readonly registry: Registry;
  /** Links of a session. */
  readonly links: (session: string) => Iterable<LaptopLink>;
  readonly draining: () => boolean;
  readonly log: (line: string) => void;
  readonly limits?: IngressLimits;
}

export interface IngressListeners {
  /** Ports as they are: those that were asked for, or the system's choice for 0. */
  readonly ports: readonly number[];
  readonly connections: () => number;
  /** Bytes that wait for callers and for those who serve them to read. */
  readonly heldBytes: () => number;
  /** Callers over UDP. */
  readonly flows: () => number;
  /** Asks callers to leave: those that say nothing at once, the others with their next answer (`draining` is true by now). */
  drain(): void;
  /** Takes no more connections; those that are there go on. */
  stop(): void;
  close(): void;
}

/** Listens on everything or rejects with LISTEN_FAILED. */
export async function openIngress(context: IngressContext): Promise<IngressListeners> {
  const { log, limits = {} } = context;
  const backlog = new Backlog(log, limits);
  const connectionsMax = limits.connectionsMax ?? CONNECTIONS_MAX;
  const closers: (() => void)[] = [];
  const udps: UdpListener[] = [];
  const ports: number[] = [];
  const drains = new Set<() => void>();
  try {
    for (const listener of context.config.listeners) {
      const upstreams = upstreamsOf(listener, context, drains);
      if (listener.protocol === 'UDP') {
        const udp = await listenUdp(listener, { upstreams, origin: context.config.origin, log, limits });
        // To the end: a datagram that comes late belongs to a flow that is there, as far as anybody knows.
        udps.push(udp);
        ports.push(udp.port);
        continue;
      }
      const habit: Habit = { serverSpeaksFirst: false };
      const server = createServer(
        {
          allowHalfOpen: true,
          noDelay: true,
          pauseOnConnect: true,
          highWaterMark: BUFFER_BYTES,
          keepAlive: true,
          keepAliveInitialDelay: KEEP_ALIVE_MS,
        },
        (socket) => {
          socket.on('error', () => undefined);
          if (backlog.size >= connectionsMax) return reset(socket);
          const held = backlog.add(socket);
          serveConnection(socket, tracked(upstreams, held), habit, limits).catch((error: Error) => {
            log(`defect: ${error.stack ?? error.message}`);
            socket.destroy();
          });
          return undefined;
        },
      );
      ports.push(await listen(server, listener.port));
      server.on('error', (error) => log(`port ${listener.port}: ${error.message}`));
      closers.push(() => server.close());
    }
  } catch (error) {
    for (const close of closers) close();
    for (const udp of udps) udp.close();
    backlog.close();
    throw error;
  }
  const stop = (): void => {
    for (const close of closers.splice(0)) close();
  };
  return {
    ports,
    connections: () => backlog.size,
    heldBytes: () => backlog.bytes,
    flows: () => udps.reduce((sum, udp) => sum + udp.flows(), 0),
    drain: () => {
      for (const leave of [...drains]) leave();
    },
    stop,
    close: () => {
      stop();
      for (const udp of udps.splice(0)) udp.close();
      backlog.close();
    },
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new KtError('LISTEN_FAILED', `port ${port} can't be listened on: ${cause.message}`, { cause })),
    );
    server.listen(port, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

function upstreamsOf(listener: IngressListener, context: IngressContext, drains: Set<() => void>): Upstreams {
  const { registry, links, config, limits = {} } = context;
  const { port, protocol, originPort } = listener;
  return {
    match: (headers) => {
      const claim = registry.match(port, protocol, headers);
      return claim && reachable(links(claim.session)) ? claim : undefined;
    },
    openLaptop: (claim, peer) =>
      openToLaptop(links(claim.session), { rule: claim.rule, protocol, peer }, limits.openingMs ?? OPENING_MS),
    openOrigin: () =>
      config.origin === null
        ? Promise.reject(
            new KtError('DIAL_REFUSED', `${config.service} is a preview on a laptop, which does not answer now`),
          )
        : connectPatiently(config.origin, originPort, limits.originRefusedMs ?? REFUSED_MS),
    draining: context.draining,
    onDrain: (leave) => {
      drains.add(leave);
      return () => drains.delete(leave);
    },
  };
}

/** The same ways, whose streams count as this caller's. */
function tracked(upstreams: Upstreams, held: Held): Upstreams {
  const count = (stream: Duplex): Duplex => {
    held.upstreams.add(stream);
    return stream.once('close', () => held.upstreams.delete(stream));
  };
  return {
    ...upstreams,
    openLaptop: (claim, peer) => upstreams.openLaptop(claim, peer).then(count),
    openOrigin: () => upstreams.openOrigin().then(count),
    holds: (bytes) => {
      held.also = bytes;
    },
  };
}

async function connectPatiently(host: string, port: number, limitMs: number): Promise<Duplex> {
  for (const end = performance.now() + limitMs; ; ) {
    try {
      return await connectOrigin(host, port);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED' || performance.now() > end) throw error;
    }
    await wait(REFUSED_PAUSE_MS);
  }
}

function connectOrigin(host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    // The types of node:net lack what it takes from its stream.
    const options: TcpNetConnectOpts & { highWaterMark: number } = {
      host,
      port,
      allowHalfOpen: true,
      noDelay: true,
      highWaterMark: BUFFER_BYTES,
    };
    const socket = connect(options);
    const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${ORIGIN_MS / 1000} s`)), ORIGIN_MS);
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
    socket.once('close', () => clearTimeout(timer));
    socket.on('error', (cause) =>
      reject(new KtError('DIAL_REFUSED', `no original pod answers: ${cause.message}`, { cause })),
    );
  });
}
