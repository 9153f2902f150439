// node:http's Agent on a Dialer: connections of plain HTTP requests, pooled or single. The stream is handed to node:http before the dial is
// decided, so a request travels with the opening (0-RTT). Streams are Duplexes, not net.Sockets: what the base class asks of sockets
// (setKeepAlive, ref) is replaced here. Called by forward.ts and upgrade.ts.
import { Agent, type ClientRequest, type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Connection, Dialer, Target } from '../dialer.ts';

/** Milliseconds that a connection may idle. Below the 5 s after which Node, uvicorn and Apache close theirs by default. */
const IDLE_MS = 4_000;
/** Idle connections for each destination: more than that is a burst, and a new stream costs no round trip. */
const IDLE_MAX = 32;
/** Milliseconds for a destination to close after we did. */
const CLOSE_MS = 5_000;

/** Goes through http.request's options to createConnection. */
export interface DialRequestArgs extends ClientRequestArgs {
  readonly target: Target;
  readonly dialSignal: AbortSignal;
  /** Tells the request on which connection it went out (not called for a pooled one). */
  readonly onConnection: (connection: Connection) => void;
}

export class DialerAgent extends Agent {
  readonly #dialer: Dialer;
  readonly #idle = new WeakMap<Duplex, () => void>();

  constructor(dialer: Dialer, options: { readonly pooled: boolean }) {
    super({ keepAlive: options.pooled, maxFreeSockets: IDLE_MAX });
    this.#dialer = dialer;
  }

  override createConnection(
    options: ClientRequestArgs,
    handOver?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const { target, dialSignal, onConnection } = options as DialRequestArgs;
    this.#dialer.dial(target, { signal: dialSignal }).then(
      (connection) => {
        const stream = likeSocket(connection.stream);
        onConnection(connection);
        connection.opened.catch((error: Error) => stream.destroy(error));
        stream.once('finish', () => destroyAfter(stream, CLOSE_MS));
        handOver?.(null, stream);
      },
      (error: Error) => (handOver as ((error: Error) => void) | undefined)?.(error),
    );
  }

  /** A connection comes into the pool: it leaves it when the destination closes, or after IDLE_MS. */
  override keepSocketAlive(stream: Duplex): boolean {
    // The base class reads the destination's Keep-Alive field; its type forgets the result.
    const kept: unknown = super.keepSocketAlive(stream);
    if (kept === false || stream.readableEnded) return false;
    const destroy = (): void => void stream.destroy();
    const cancel = destroyAfter(stream, IDLE_MS);
    stream.once('end', destroy);
    this.#idle.set(stream, () => {
      cancel();
      stream.off('end', destroy);
    });
    return true;
  }

  override reuseSocket(stream: Duplex, request: ClientRequest): void {
    this.#idle.get(stream)?.();
    super.reuseSocket(stream, request);
  }
}

/** node:http's agent calls these on every connection; a stream of a link has no such settings. */
function likeSocket(stream: Duplex): Duplex {
  const settings = ['setKeepAlive', 'setNoDelay', 'setTimeout', 'ref', 'unref'];
  for (const name of settings) if (!(name in stream)) Object.defineProperty(stream, name, { value: () => stream });
  return stream;
}

/** Returns what cancels it. */
function destroyAfter(stream: Duplex, milliseconds: number): () => void {
  if (stream.destroyed) return () => undefined;
  const timer = setTimeout(() => stream.destroy(), milliseconds);
  timer.unref();
  const cancel = (): void => clearTimeout(timer);
  stream.once('close', cancel);
  return () => {
    cancel();
    stream.off('close', cancel);
  };
}
