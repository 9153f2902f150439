// Joins two byte streams both ways: half-close passes, back-pressure passes, a failure of one side resets the other.
// Writes are gathered: the destination is corked with the first chunk of a turn and uncorked in setImmediate, which costs a
// socket one system call instead of one per chunk. Knows no protocol. Called by SOCKS, HTTP, the broker and the agent.
//
// The ways it ends: (1) both directions saw their end; (2) one side fails: the other is reset; (3) one side closes without an end:
// the other is reset too, because to end it would say "this was all". Each has a test.
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { KtError } from '../../errors.ts';
import type { Lender } from './lent-reader.ts';
import { reset } from './reset.ts';

export interface JoinResult {
  /** Bytes. */
  readonly aToB: number;
  readonly bToA: number;
  /** Set where a side failed or closed early. */
  readonly error?: Error;
}

/** Resolves when both directions have ended or failed; never rejects. Early data may be in the streams' buffers already. */
export function joinStreams(a: Duplex, b: Duplex): Promise<JoinResult> {
  return new Promise((resolve) => {
    let settled = false;
    const settle = (error?: Error): void => {
      if (settled) return;
      settled = true;
      resolve({ aToB: forth.bytes, bToA: back.bytes, ...(error ? { error } : {}) });
    };
    const fail = (failed: Duplex, error: Error): void => {
      reset(failed === a ? b : a, error);
      settle(error);
    };
    const forth = new Direction(a, b);
    const back = new Direction(b, a);
    const ended = (): void => {
      if (forth.ended && back.ended) settle();
    };
    for (const side of [a, b]) {
      // Stays for good: an error that comes after the end must not become an uncaught exception.
      side.on('error', (error: Error) => fail(side, error));
      side.on('close', () => {
        // It said all and heard all. What it said may still wait for the other side to take it.
        if (side.readableEnded && (side === a ? back : forth).ended) return;
        fail(side, side.errored ?? new KtError('STREAM_RESET', 'the connection closed before its end'));
      });
      if (side.destroyed) fail(side, side.errored ?? new KtError('STREAM_RESET', 'the connection was closed already'));
    }
    forth.start(ended);
    back.start(ended);
  });
}

/** One way of a join. */
class Direction {
  bytes = 0;
  ended = false;
  readonly #from: Duplex;
  readonly #to: Duplex;
  #corked = false;

  constructor(from: Duplex, to: Duplex) {
    this.#from = from;
    this.#to = to;
  }

  start(onEnded: () => void): void {
    const [from, to] = [this.#from, this.#to];
    if (from.destroyed || to.destroyed) return;
    const finish = (): void => {
      this.#uncork();
      to.end();
      // A side that has ended before (refused to read) ends nothing.
      if (to.writableFinished) this.#finished(onEnded);
      else to.once('finish', () => this.#finished(onEnded));
    };
    if (from.readableEnded) return finish();
    const take = (chunk: Buffer): void => {
      this.bytes += chunk.length;
      if (!this.#corked) {
        this.#corked = true;
        to.cork();
        setImmediate(() => this.#uncork());
      }
      if (!to.write(chunk)) from.pause();
    };
    from.on('data', take);
    // A socket that has nothing waiting has given all of it to the system. Of other streams nobody knows what they keep.
    if (to instanceof Socket) {
      const settle = (): boolean => {
        this.#uncork();
        return to.writableLength > 0;
      };
      (from as Partial<Lender>).lendTo?.({ take, settle });
    }
    to.on('drain', () => from.resume());
    from.on('end', finish);
    if (to.writableNeedDrain) from.pause();
    else from.resume();
    return undefined;
  }

  #finished(onEnded: () => void): void {
    this.ended = true;
    onEnded();
  }

  #uncork(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#to.uncork();
  }
}
