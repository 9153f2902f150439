// One connection to the origin or to a laptop as http1.ts uses it: always flowing unless the caller is slow, its bytes and its end to
// whoever has it at the time, so that listeners are attached once and not for each request.
import type { Duplex } from 'node:stream';

const ignore = (): void => undefined;

export class UpstreamSide {
  readonly stream: Duplex;
  onData: (chunk: Buffer) => void = ignore;
  /** Called once: its bytes have ended, or it broke. */
  onOver: (error: Error | undefined) => void = ignore;
  onDrain: () => void = ignore;
  /** Requests that it has answered. */
  served = 0;
  #over = false;
  readonly #onData = (chunk: Buffer): void => this.onData(chunk);
  readonly #onDrain = (): void => this.onDrain();
  readonly #onEnd = (): void => this.#finish(undefined);
  readonly #onError = (error: Error): void => this.#finish(error);
  readonly #onClose = (): void => this.#finish(this.stream.errored ?? new Error('the connection was closed'));

  constructor(stream: Duplex) {
    this.stream = stream;
    stream.on('data', this.#onData).on('drain', this.#onDrain);
    stream.on('end', this.#onEnd).on('error', this.#onError).on('close', this.#onClose);
  }

  /** Nothing more comes from it. */
  get over(): boolean {
    return this.#over || this.stream.destroyed;
  }

  /** Nobody's for now: what comes all the same is `onStray`'s, its end too. */
  idle(onStray: () => void): void {
    this.onData = onStray;
    this.onOver = onStray;
    this.onDrain = ignore;
  }

  /** Leaves the stream to somebody else, paused. */
  release(): Duplex {
    const { stream } = this;
    stream.pause();
    stream.on('error', ignore);
    stream.off('data', this.#onData).off('drain', this.#onDrain);
    stream.off('end', this.#onEnd).off('error', this.#onError).off('close', this.#onClose);
    return stream;
  }

  #finish(error: Error | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.onOver(error);
  }
}
