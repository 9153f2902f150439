// Carries a client's socket to a destination: dials, sends early data with the opening, answers the client when the far end's connect
// is decided, then joins both. Knows no proxy protocol. Called by SOCKS, CONNECT and the broker.
//
// The ways in which it ends: (1) the dial fails: `onFailed`; (2) the client goes away first: the dial is cancelled, nothing is called;
// (3) both directions end; (4) one side fails and the other is reset (pump.ts); (5) nobody decides within OPENING_MS_MAX: `onFailed`.
import type { Duplex } from 'node:stream';
import { asKtError, KtError } from '../../errors.ts';
import type { Connection, Dialer, Target } from '../dialer.ts';
import { joinStreams } from './pump.ts';

/** Bytes of the client that leave before the dial is decided. More stays in the socket: the client's own back-pressure. */
export const EARLY_BYTES_MAX = 64 * 1024;
/** Milliseconds. Dialers have their own limit (10 s to park, 10 s to connect); this one holds if a dialer has a defect. */
const OPENING_MS_MAX = 60_000;

export interface DialAndJoinOptions {
  /** In paused mode, with an 'error' listener. Bytes in its buffer (unshift) are early data. */
  readonly client: Duplex;
  readonly dialer: Dialer;
  readonly target: Target;
  /** Called once, before the first byte of the far end: writes the protocol's success. */
  readonly onOpened: () => void;
  /** Called once, with the client still open: writes the protocol's refusal and closes. */
  readonly onFailed: (error: KtError) => void;
}

export interface Carried {
  /** Set where the dial failed, was cancelled, or a side failed later. */
  readonly error?: Error | undefined;
}

export async function dialAndJoin(options: DialAndJoinOptions): Promise<Carried> {
  const { client, dialer, target } = options;
  const opening = new AbortController();
  const gone = (): void => opening.abort(new KtError('CANCELLED', 'the client went away during the dial'));
  const timer = setTimeout(
    () => opening.abort(new KtError('DIAL_TIMEOUT', 'the dial was not decided in time')),
    OPENING_MS_MAX,
  );
  // Being read (without consuming) is what lets a socket notice that its peer is gone.
  let dialing: Promise<Connection> | undefined;
  let connection: Connection | undefined;
  const early = new EarlyData(client);
  client.on('close', gone);
  if (client.destroyed) gone();
  try {
    // With nothing to send yet, the dialer may try again by itself after a lost link.
    const settle = client.readableLength === 0;
    dialing = dialer.dial(target, { signal: opening.signal, settle });
    connection = await unlessAborted(dialing, opening.signal);
    connection.stream.on('error', ignore);
    early.flowInto(connection.stream);
    await unlessAborted(connection.opened, opening.signal);
  } catch (cause) {
    // Also a connection that a dialer delivers after the cancellation.
    dialing?.then(({ stream }) => stream.on('error', ignore).destroy(), ignore);
    const reason: unknown = opening.signal.aborted ? opening.signal.reason : cause;
    const error = asKtError(reason, 'DIAL_FAILED');
    if (!client.destroyed) options.onFailed(error);
    return { error };
  } finally {
    clearTimeout(timer);
    early.stop();
    client.off('close', gone);
  }
  if (client.destroyed) {
    connection.stream.destroy();
    return { error: new KtError('CANCELLED', 'the client went away during the dial') };
  }
  options.onOpened();
  return joinStreams(client, connection.stream);
}

/** Moves what the client sends before the dial is decided, up to the limit, and its half-close. */
class EarlyData {
  readonly #client: Duplex;
  readonly #move = (): void => this.#pass();
  #stream: Duplex | undefined;
  #left = EARLY_BYTES_MAX;

  constructor(client: Duplex) {
    this.#client = client;
    client.on('readable', this.#move).on('end', this.#move);
  }

  flowInto(stream: Duplex): void {
    this.#stream = stream;
    this.#pass();
  }

  stop(): void {
    this.#stream = undefined;
    this.#client.off('readable', this.#move).off('end', this.#move);
  }

  #pass(): void {
    const [client, stream] = [this.#client, this.#stream];
    if (stream === undefined) return;
    while (this.#left > 0 && client.readableLength > 0) {
      // Never a bare read(): with the limit reached the rest stays in the socket.
      const chunk = client.read(Math.min(client.readableLength, this.#left)) as Buffer | null;
      if (chunk === null) return;
      this.#left -= chunk.length;
      stream.write(chunk);
    }
    if (client.readableEnded) stream.end();
  }
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason as Error);
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}

function ignore(): void {}
