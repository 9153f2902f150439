// Frames without payload that wait to be sent: credit, pings, FIN, RST. They go before data, and their number has a limit, because
// a peer that floods us with pings or openings and does not read the answers would else fill our memory. Used by muxer.ts.
import { HEADER_BYTES, putHeader } from './yamux.codec.ts';

/** Frames that may wait: a few for each of 4,096 streams, 192 KiB in all. */
const FRAMES_MAX = 16_384;
const FIRST_BYTES = 4_096;

export class ControlQueue {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #start = 0;
  #end = 0;

  /** Bytes that wait. */
  get bytes(): number {
    return this.#end - this.#start;
  }

  /** False: the queue is full, nothing was added. */
  push(type: number, flags: number, id: number, length: number): boolean {
    if (this.bytes >= FRAMES_MAX * HEADER_BYTES) return false;
    if (this.#end + HEADER_BYTES > this.#buffer.length) this.#makeRoom();
    putHeader(this.#buffer, this.#end, type, flags, id, length);
    this.#end += HEADER_BYTES;
    return true;
  }

  /** The oldest frames, at most `limit` bytes of them. The buffer is the caller's from then on. */
  take(limit: number): Buffer {
    const length = Math.min(this.bytes, limit - (limit % HEADER_BYTES));
    const taken = this.#buffer.subarray(this.#start, this.#start + length);
    this.#start += length;
    return taken;
  }

  /** A fresh buffer: parts of the old one may be on their way still. */
  #makeRoom(): void {
    const waiting = this.#buffer.subarray(this.#start, this.#end);
    const bigger = Buffer.allocUnsafe(Math.max(FIRST_BYTES, waiting.length * 2 + HEADER_BYTES));
    waiting.copy(bigger);
    this.#end = waiting.length;
    this.#start = 0;
    this.#buffer = bigger;
  }
}
