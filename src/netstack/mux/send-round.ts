// Whose turn it is to send: streams with bytes and credit, served round robin, one frame each per turn; control frames go first.
// Writes one batch at a time into a corked transport. Knows no receiving and no timing; used by muxer.ts.
import type { Duplex } from 'node:stream';
import type { ControlQueue } from './control-queue.ts';
import type { MuxStream } from './stream.ts';
import { DATA, HEADER_BYTES, putHeader } from './yamux.codec.ts';

/**
 * A socket gives 64 KiB at a time, and with its header that has to go out whole: 12 bytes that are left over would wake every hop once more.
 * Not more, because the next stream waits for it, and container runtimes hold messages whole.
 */
const BATCH_BYTES = 65 * 1024;
/** A batch with less room than this left is sent as it is. */
const FRAME_BYTES_MIN = 4 * 1024;
/** Payloads up to this size are copied beside their header: one write instead of two. */
const INLINE_BYTES = 2 * 1024;
/** Slabs for headers and small payloads. */
const SLAB_BYTES = 64 * 1024;

/** Callbacks of writes that are on their way. */
export type Dones = ((error?: Error | null) => void)[];

export class SendRound {
  /** In the order of their turns. A stream that ends leaves at once: a blocked transport must not keep it in memory. */
  readonly #streams = new Set<MuxStream>();
  #slab = Buffer.allocUnsafe(SLAB_BYTES);
  #slabAt = 0;

  get size(): number {
    return this.#streams.size;
  }

  /** Bytes that could be sent now. */
  get sendable(): number {
    let bytes = 0;
    for (const stream of this.#streams) bytes += stream.sendable;
    return bytes;
  }

  has(stream: MuxStream): boolean {
    return this.#streams.has(stream);
  }

  /** At the end of the round, unless it is in it. */
  add(stream: MuxStream): void {
    this.#streams.add(stream);
  }

  delete(stream: MuxStream): void {
    this.#streams.delete(stream);
  }

  clear(): void {
    this.#streams.clear();
  }

  /** Writes control frames and data, at most BATCH_BYTES with their headers. Returns the bytes written; callbacks to call go to `dones`. */
  writeBatch(transport: Duplex, control: ControlQueue, dones: Dones): number {
    const frames = control.take(BATCH_BYTES);
    let bytes = frames.length;
    if (bytes > 0) transport.write(frames);
    for (const stream of this.#streams) {
      if (bytes > 0 && BATCH_BYTES - bytes < FRAME_BYTES_MIN + HEADER_BYTES) break;
      this.#streams.delete(stream);
      const length = Math.min(stream.sendable, BATCH_BYTES - bytes - HEADER_BYTES);
      if (length <= 0) continue;
      this.#writeFrame(transport, stream, length, dones);
      bytes += HEADER_BYTES + length;
      // Behind all others; a Set is walked to its end, so it may get another turn in this batch.
      if (stream.sendable > 0) this.#streams.add(stream);
    }
    return bytes;
  }

  #writeFrame(transport: Duplex, stream: MuxStream, length: number, dones: Dones): void {
    const inline = length <= INLINE_BYTES;
    const frame = this.#allocate(inline ? HEADER_BYTES + length : HEADER_BYTES);
    putHeader(frame, 0, DATA, stream.takeFlags(), stream.id, length);
    if (inline) {
      let at = HEADER_BYTES;
      stream.takeToSend(
        length,
        (part) => {
          at += part.copy(frame, at);
        },
        dones,
      );
      transport.write(frame);
    } else {
      transport.write(frame);
      stream.takeToSend(length, (part) => transport.write(part), dones);
    }
  }

  #allocate(bytes: number): Buffer {
    if (this.#slabAt + bytes > SLAB_BYTES) {
      this.#slab = Buffer.allocUnsafe(SLAB_BYTES);
      this.#slabAt = 0;
    }
    const part = this.#slab.subarray(this.#slabAt, this.#slabAt + bytes);
    this.#slabAt += bytes;
    return part;
  }
}
