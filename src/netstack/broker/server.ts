// The broker: the loopback endpoint that the shims inside wrapped programs ask (protocol.codec.ts has the lines). Wires the listener,
// the desks and the router together; opened by a session, never reachable from another machine.
import { randomBytes } from 'node:crypto';
import type { Dialer } from '../dialer.ts';
import { listen } from '../listener.ts';
import { isIPv4 } from '../target.codec.ts';
import { type ConnectionOptions, serveConnection } from './connection.ts';
import { DatagramDesk } from './datagram-desk.ts';
import { DialDesk } from './dial-desk.ts';
import { NameDesk, type NameRouter } from './name-desk.ts';
import type { Answer } from './protocol.codec.ts';

/** Connections of shims at a time; each is one question and lives as long as its answer takes. */
const QUESTIONS_MAX = 2048;
/** Bytes of randomness of the token. */
const TOKEN_BYTES = 24;

/** The part of route/router.ts that the broker uses. */
export interface BrokerRouter extends NameRouter {
  /** Where does an address or name lead? Only `via: 'cluster'` matters here: everything else is answered NO. */
  route(host: string): { readonly via: string };
}

/** A program that attached itself: "java 17.0.15, process 4711". */
export interface AttachedProgram {
  readonly runtime: string;
  readonly version: string;
  readonly pid: number;
}

export interface BrokerOptions {
  readonly dialer: Dialer;
  readonly router: BrokerRouter;
  readonly onProgram?: ((program: AttachedProgram) => void) | undefined;
  /** A connection was turned away: garbage or a wrong token. */
  readonly onRejected?: ((reason: string) => void) | undefined;
  /** Milliseconds that a one-shot listener waits; for tests. */
  readonly oneShotMs?: number | undefined;
}

export interface Broker {
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly token: string;
  readonly stats: {
    /** Dials and one-shot listeners that no program's socket has taken yet. */
    readonly pending: number;
    readonly connections: number;
    readonly names: number;
    readonly flows: number;
  };
  close(): Promise<void>;
}

/** Rejects with LISTEN_FAILED. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const { dialer, router } = options;
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  const dials = new DialDesk(dialer, options.oneShotMs);
  const names = new NameDesk(dialer, router);
  const datagrams = new DatagramDesk(dialer);
  const inCluster = (host: string): boolean => router.route(host).via === 'cluster';

  const handle: ConnectionOptions['handle'] = async (request, signal): Promise<Answer> => {
    if (request.verb === 'HELLO') {
      options.onProgram?.({ runtime: request.runtime, version: request.version, pid: request.pid });
      return { kind: 'ok' };
    }
    if (request.verb === 'RESOLVE') return isAddress(request.name) ? { kind: 'no' } : names.resolve(request.name);
    if (!inCluster(request.host)) return { kind: 'no' };
    const target = { host: request.host, port: request.port };
    if (request.verb === 'UDP') return datagrams.open(target);
    return dials.dial({ target, timeoutMs: request.timeoutMs, wait: request.wait, signal });
  };
  const onRejected = (reason: string): void => options.onRejected?.(reason);
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    setting: 'nothing: kt takes a free port',
    connectionsMax: QUESTIONS_MAX,
    log: ({ reason }) => onRejected(reason ?? 'rejected'),
    onSocket: (socket) => serveConnection(socket, { token, handle, onRejected }),
  });
  return {
    address: `127.0.0.1:${listener.port}`,
    token,
    stats: {
      get pending() {
        return dials.pending;
      },
      get connections() {
        return dials.connections;
      },
      get names() {
        return names.size;
      },
      get flows() {
        return datagrams.flows;
      },
    },
    close: async () => {
      dials.close();
      names.close();
      datagrams.close();
      await listener.close();
    },
  };
}

function isAddress(host: string): boolean {
  return isIPv4(host) || host.includes(':');
}
