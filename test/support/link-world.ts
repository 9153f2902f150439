// Both ends of a link for tests: the agent's link port on the loopback, and an agent that speaks single frames, each with a way to make Links to it.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { LinkServer } from '../../src/agent/link-server.ts';
import type { Dialer } from '../../src/netstack/dialer.ts';
import { Link } from '../../src/netstack/link/link.ts';
import type { LinkHooks } from '../../src/netstack/link/pool.ts';
import { DirectDialer } from '../../src/netstack/route/direct-dialer.ts';
import { encodeMessage } from '../../src/netstack/stream/header.codec.ts';
import { duplexPair } from './duplex-pair.ts';
import { RawPeer } from './mux-peers.ts';

export const TOKEN = 'the-token-of-the-tests';
export const identity = { token: TOKEN, version: '0.0.0-test', session: 'test' };
const nothing: LinkHooks = { onClose: () => undefined, onDrain: () => undefined };

export interface Agent {
  readonly port: number;
  readonly server: LinkServer;
  /** What it logged. */
  readonly lines: string[];
  /** Resolves when a line that matches was logged. */
  logged(line: RegExp): Promise<string>;
  /** A Link over TCP, as `connect` of a LinkPool. */
  readonly connect: (
    hooks?: LinkHooks & { readonly cheap?: boolean },
    signal?: AbortSignal,
    token?: string,
  ) => Promise<Link>;
}

export async function startAgent(dialer: Dialer = new DirectDialer()): Promise<Agent> {
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const server = new LinkServer({
    port: 0,
    tokenSha256: createHash('sha256').update(TOKEN).digest('hex'),
    version: '0.0.0-test',
    dialer,
    log: (line) => {
      lines.push(line);
      for (const look of waiting) look();
    },
  });
  const port = await server.listen();
  return {
    port,
    server,
    lines,
    logged: (pattern) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = lines.find((line) => pattern.test(line));
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    connect: async (hooks = nothing, signal, token = TOKEN) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
      socket.on('error', () => undefined);
      const cancel = (): void => void socket.destroy();
      signal?.addEventListener('abort', cancel, { once: true });
      await once(socket, 'connect', signal ? { signal } : {});
      signal?.removeEventListener('abort', cancel);
      return Link.open(socket, { ...identity, token }, hooks, signal);
    },
  };
}

/** An agent that says what the test tells it to. It has answered the hello of its link. */
export async function rawAgent(hooks: LinkHooks = nothing): Promise<{ link: Link; peer: RawPeer }> {
  const [near, far] = duplexPair();
  const peer = new RawPeer(far);
  const opening = Link.open(near, identity, hooks);
  await peer.frame(({ id }) => id === 1);
  peer.data(0, 1, encodeMessage({ ok: true }));
  return { link: await opening, peer };
}
