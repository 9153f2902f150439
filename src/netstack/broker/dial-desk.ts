// DIAL: dials the far end, opens a one-shot listener for the program's own socket and joins the two.
// Decides when to answer: at once for a target that answered lately (the program's first bytes then travel with the opening), else
// when the far end has answered, with its true errno. A far end that fails after the answer resets the program's socket.
// Called by connection.ts; one desk serves all programs.
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { KtError } from '../../errors.ts';
import type { Connection, Dialer, Target } from '../dialer.ts';
import { joinStreams } from '../stream/pump.ts';
import { reset } from '../stream/reset.ts';
import { errorAnswer } from './errno.ts';
import { KnownTargets } from './known-targets.ts';
import { type OneShot, openOneShot } from './one-shot.ts';
import type { Answer, DialWait } from './protocol.codec.ts';

/** Dials and one-shot listeners at a time that no program's socket has taken yet; each holds a descriptor. */
export const PENDING_MAX = 1024;
/** Milliseconds, for a program without a limit of its own: 10 s to wait for a link, 10 s for the far end's connect, and some. */
export const DIAL_MS_MAX = 25_000;

export interface DialRequest {
  readonly target: Target;
  /** 0: no limit of the program's own. */
  readonly timeoutMs: number;
  readonly wait: DialWait;
  /** Aborts when the program gives up before the answer. */
  readonly signal: AbortSignal;
}

export class DialDesk {
  readonly #dialer: Dialer;
  readonly #oneShotMs: number | undefined;
  readonly #known = new KnownTargets();
  /** Ends everything that is still being opened when the broker closes. */
  readonly #closing = new AbortController();
  readonly #sockets = new Set<Socket>();
  #pending = 0;

  constructor(dialer: Dialer, oneShotMs?: number) {
    this.#dialer = dialer;
    this.#oneShotMs = oneShotMs;
  }

  get pending(): number {
    return this.#pending;
  }

  /** Sockets of programs that are joined to the far end. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Never rejects. */
  async dial(request: DialRequest): Promise<Answer> {
    if (this.#pending >= PENDING_MAX) {
      return {
        kind: 'error',
        errno: 'EAGAIN',
        text: `more than ${PENDING_MAX} connections are being opened at a time`,
      };
    }
    this.#pending += 1;
    const atOnce = request.wait !== 'always' && this.#known.has(request.target);
    const far = new FarEnd(this.#dialer, request, {
      settle: !atOnce,
      closing: this.#closing.signal,
      known: this.#known,
    });
    const programGone = (): void => far.cancel(new KtError('CANCELLED', 'the program gave up'));
    request.signal.addEventListener('abort', programGone, { once: true });
    try {
      if (request.signal.aborted) programGone();
      if (!atOnce) await undecidedAtMost(far.opened, request.wait);
      const oneShot = await openOneShot(this.#oneShotMs);
      void this.#carry(oneShot, far);
      return { kind: 'ok', words: [oneShot.port] };
    } catch (error) {
      this.#pending -= 1;
      far.cancel(new KtError('CANCELLED', 'the program was refused'));
      return errorAnswer(error);
    } finally {
      request.signal.removeEventListener('abort', programGone);
    }
  }

  async #carry(oneShot: OneShot, far: FarEnd): Promise<void> {
    const closed = (): void => oneShot.close();
    this.#closing.signal.addEventListener('abort', closed, { once: true });
    const socket = await oneShot.accepted;
    this.#closing.signal.removeEventListener('abort', closed);
    this.#pending -= 1;
    if (socket === undefined) {
      far.cancel(new KtError('CANCELLED', 'the program did not come for its connection'));
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    try {
      const { stream } = await far.connection;
      await joinStreams(socket, stream);
    } catch {
      // The dial failed after the answer: a reset is the only way left to say so.
      reset(socket);
    }
  }

  close(): void {
    this.#closing.abort(new KtError('CANCELLED', 'kt is ending'));
    for (const socket of this.#sockets) reset(socket);
  }
}

interface FarEndOptions {
  readonly settle: boolean;
  readonly closing: AbortSignal;
  readonly known: KnownTargets;
}

/** The far side of one DIAL, with its time limit. Whatever it becomes is noted in the known targets. */
class FarEnd {
  /** Rejects also when cancelled or out of time. */
  readonly connection: Promise<Connection>;
  /** The far end's connect is decided. */
  readonly opened: Promise<void>;
  readonly #cancel = new AbortController();

  constructor(dialer: Dialer, { target, timeoutMs }: DialRequest, { settle, closing, known }: FarEndOptions) {
    const limitMs = timeoutMs > 0 ? Math.min(timeoutMs, DIAL_MS_MAX) : DIAL_MS_MAX;
    const limit = setTimeout(() => this.cancel(new KtError('DIAL_TIMEOUT', `no answer within ${limitMs} ms`)), limitMs);
    const signal = AbortSignal.any([this.#cancel.signal, closing]);
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    const dialling = dialer.dial(target, { signal, timeoutMs: limitMs, settle });
    this.connection = Promise.race([dialling, aborted]);
    this.opened = this.connection.then(({ opened }) => Promise.race([opened, aborted]));
    this.opened.then(
      () => known.add(target),
      () => {
        known.forget(target);
        // Also a connection that the dialer delivers after all.
        dialling.then(
          ({ stream }) => stream.on('error', () => undefined).destroy(),
          () => undefined,
        );
      },
    );
    this.opened.catch(() => undefined).finally(() => clearTimeout(limit));
    this.#cancel.signal.addEventListener('abort', () => clearTimeout(limit), { once: true });
  }

  /** Ends the dial, or the connection if nobody has joined it yet. */
  cancel(reason: KtError): void {
    this.#cancel.abort(reason);
    this.connection.then(
      ({ stream }) => stream.on('error', () => undefined).destroy(),
      () => undefined,
    );
  }
}

/** Rejects with the dial's error where it comes in time; resolves when opened, or when a client on an event loop can wait no longer. */
async function undecidedAtMost(opened: Promise<void>, wait: DialWait): Promise<void> {
  if (typeof wait !== 'number') return opened;
  const over = new AbortController();
  try {
    await Promise.race([opened, delay(wait, undefined, { signal: over.signal })]);
  } finally {
    over.abort();
  }
}
