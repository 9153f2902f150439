// The time limit of one dial and the caller's cancellation, as one thing to race against. No timer is left behind by a dial that ended.
// Used by direct-dialer.ts and what it is made of.
import { KtError } from '../../errors.ts';
import type { DialOptions } from '../dialer.ts';

/** Milliseconds for a dial, the name included: what people wait at most, and less than the 15 s of SOCKS clients. */
const DIAL_MS = 10_000;

export class DialLimit {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #caller: AbortSignal | undefined;
  readonly #cancel = (): void => this.#controller.abort(new KtError('CANCELLED', 'the dial was cancelled'));

  /** `what` did not answer in time, the error will say. */
  constructor(what: string, { timeoutMs = DIAL_MS, signal }: DialOptions) {
    this.#timer = setTimeout(
      () => this.#controller.abort(new KtError('DIAL_TIMEOUT', `${what} did not answer in time`)),
      timeoutMs,
    );
    this.#caller = signal;
    if (signal?.aborted) this.#cancel();
    else signal?.addEventListener('abort', this.#cancel, { once: true });
  }

  /** Why the dial is over, if it is. */
  get over(): KtError | undefined {
    return this.#controller.signal.reason as KtError | undefined;
  }

  /** Calls back once, at once where it is over already. Gives back what takes the callback away. */
  onOver(listener: (error: KtError) => void): () => void {
    const { signal } = this.#controller;
    const call = (): void => listener(signal.reason as KtError);
    if (signal.aborted) call();
    else signal.addEventListener('abort', call, { once: true });
    return () => signal.removeEventListener('abort', call);
  }

  /** The result of `work`, unless the limit comes first; then what `work` gives is dropped. */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const off = this.onOver(reject);
      work.then(resolve, reject).finally(off);
    });
  }

  /** The dial has ended: nothing counts any more. */
  end(): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener('abort', this.#cancel);
  }
}
