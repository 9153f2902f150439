// A byte stream that is read on demand: some bytes, or the end. Leaves what was not wanted in the stream, and waits when writing.
// Called by http1.ts, which goes through messages one after the other; everything else uses joinStreams.
import type { Duplex } from 'node:stream';

const EVENTS = ['readable', 'end', 'close', 'drain'] as const;

export class Pull {
  readonly stream: Duplex;
  #wake: (() => void) | undefined;
  readonly #onEvent = (): void => {
    // Node emits 'end' only after somebody has read up to it; a kept connection that nobody reads would seem alive.
    if (this.stream.readableLength === 0) this.stream.read(0);
    const waiting = this.#wake;
    this.#wake = undefined;
    waiting?.();
  };

  constructor(stream: Duplex) {
    this.stream = stream;
    for (const event of EVENTS) stream.on(event, this.#onEvent);
    stream.on('error', this.#onEvent);
  }

  /** Leaves the stream to somebody else: a 'readable' listener would keep it from flowing. */
  release(): Duplex {
    for (const event of EVENTS) this.stream.off(event, this.#onEvent);
    return this.stream;
  }

  /** Nothing more can be read from it or written to it. */
  get over(): boolean {
    return this.stream.destroyed || this.stream.readableEnded;
  }

  /** Nothing came that nobody asked for (a late 408, the end): it can take another request. */
  get fresh(): boolean {
    return !this.over && this.stream.readableLength === 0;
  }

  /** The next bytes; null at the end. Rejects where the stream broke. */
  async read(): Promise<Buffer | null> {
    for (;;) {
      const chunk = this.stream.read() as Buffer | null;
      if (chunk !== null) return chunk;
      if (this.stream.readableEnded) return null;
      if (this.stream.destroyed) throw this.stream.errored ?? new Error('the connection was closed');
      await new Promise<void>((resolve) => {
        const before = this.#wake;
        this.#wake = () => {
          before?.();
          resolve();
        };
      });
    }
  }

  unread(bytes: Buffer): void {
    if (bytes.length > 0 && !this.stream.destroyed) this.stream.unshift(bytes);
  }

  /** Rejects where the stream is closed. */
  async write(bytes: Buffer): Promise<void> {
    if (this.stream.destroyed || !this.stream.writable)
      throw this.stream.errored ?? new Error('the connection was closed');
    if (this.stream.write(bytes)) return;
    while (this.stream.writableNeedDrain && !this.stream.destroyed) {
      await new Promise<void>((resolve) => {
        const before = this.#wake;
        this.#wake = () => {
          before?.();
          resolve();
        };
      });
    }
  }
}
