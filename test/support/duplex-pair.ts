// Two connected Duplexes in this process, for tests of what runs over a transport: bytes arrive later, in order, cut where `cut` says,
// and only as fast as they are read. Each side records the size of every batch (what was corked together).
import { Duplex } from 'node:stream';

export interface PairOptions {
  /** Size of the next piece, given what is left; default: as written. */
  readonly cut?: (left: number) => number;
  /** Bytes that each side buffers before it says stop. */
  readonly highWaterMark?: number;
}

type Done = (error?: Error | null) => void;

export class PairEnd extends Duplex {
  /** Bytes of each batch that was written here. */
  readonly batches: number[] = [];
  peer: PairEnd | undefined;
  /** While true nothing arrives at the other side: a line that stalls. */
  stalled = false;
  readonly #cut: (left: number) => number;
  readonly #incoming: { readonly chunk: Buffer; readonly done: Done }[] = [];
  #batch: number | undefined;
  #scheduled = false;
  #full = false;

  constructor(options: PairOptions) {
    super({ allowHalfOpen: true, highWaterMark: options.highWaterMark ?? 64 * 1024 });
    this.#cut = options.cut ?? ((left) => left);
    this.on('error', () => undefined);
  }

  resumeLine(): void {
    this.stalled = false;
    this.peer?.wake();
  }

  /** Bytes from the other side; `done` once they are all in this side's buffer. */
  deliver(chunk: Buffer, done: Done): void {
    this.#incoming.push({ chunk, done });
    this.wake();
  }

  wake(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#hand();
    });
  }

  override _read(): void {
    this.#full = false;
    if (this.#incoming.length > 0) this.wake();
  }

  /** What is written between cork and uncork is one batch; what the stream itself gathers while it is busy is not. */
  override cork(): void {
    this.#batch ??= 0;
    super.cork();
  }

  override uncork(): void {
    super.uncork();
    if (this.writableCorked > 0 || this.#batch === undefined) return;
    if (this.#batch > 0) this.batches.push(this.#batch);
    this.#batch = undefined;
  }

  override write(chunk: Buffer, ...rest: never[]): boolean {
    if (this.#batch === undefined) this.batches.push(chunk.length);
    else this.#batch += chunk.length;
    return super.write(chunk, ...rest);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#send(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: Done): void {
    const whole = Buffer.concat(chunks.map(({ chunk }) => chunk));
    this.#send(whole, done);
  }

  override _final(done: Done): void {
    this.peer?.deliver(Buffer.alloc(0), done);
  }

  override _destroy(error: Error | null, done: Done): void {
    for (const one of this.#incoming.splice(0)) one.done();
    const { peer } = this;
    if (peer && !peer.destroyed && error) setImmediate(() => peer.destroy(new Error('read ECONNRESET')));
    else if (peer && !peer.destroyed && !this.writableFinished) peer.deliver(Buffer.alloc(0), () => undefined);
    done(error);
  }

  #send(chunk: Buffer, done: Done): void {
    // An empty chunk is how the other side is told of the end.
    if (!this.peer || this.peer.destroyed || chunk.length === 0) done();
    else this.peer.deliver(chunk, done);
  }

  #hand(): void {
    for (let one = this.#incoming[0]; one !== undefined && !this.destroyed && !this.#full; one = this.#incoming[0]) {
      if (this.peer?.stalled) return;
      if (one.chunk.length === 0) this.push(null);
      for (let at = 0; at < one.chunk.length; ) {
        const size = Math.max(1, Math.min(this.#cut(one.chunk.length - at), one.chunk.length - at));
        this.#full = !this.push(Buffer.from(one.chunk.subarray(at, at + size)));
        at += size;
      }
      this.#incoming.shift();
      one.done();
    }
  }
}

export function duplexPair(options: PairOptions = {}): [PairEnd, PairEnd] {
  const [left, right] = [new PairEnd(options), new PairEnd(options)];
  left.peer = right;
  right.peer = left;
  return [left, right];
}

/** Cuts at random, from the seed: mostly small pieces, some whole chunks. */
export function randomCuts(seed: number): (left: number) => number {
  const next = randomNumbers(seed);
  return (left) => (next() < 0.2 ? left : 1 + Math.floor(next() ** 4 * left));
}

/** Numbers from 0 to 1 that follow from the seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
