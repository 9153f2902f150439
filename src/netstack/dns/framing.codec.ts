// DNS over TCP: each message with its length in two bytes in front (RFC 1035 §4.2.2). Sans-io. Used by server.ts and upstream.ts.

/** Chunks that are held apart; more are joined, because each costs more memory than its bytes. */
const CHUNKS_MAX = 64;

/** The message as it goes over TCP. */
export function withLength(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Cuts a stream into messages. Holds one unfinished message (at most 64 KiB) and what came with it; the caller stops reading meanwhile. */
export class MessageSplitter {
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** Bytes that were pushed and not taken. */
  get held(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#chunks.length > CHUNKS_MAX) this.#joined();
  }

  /** The next whole message, or undefined while it is not there. */
  next(): Buffer | undefined {
    if (this.#bytes < 2) return undefined;
    const [first = Buffer.alloc(0)] = this.#chunks;
    // Joined only for the length and when the message is whole: bytes that come one by one cost no copy each.
    const end = 2 + (first.length >= 2 ? first : this.#joined()).readUInt16BE(0);
    if (this.#bytes < end) return undefined;
    const all = this.#joined();
    this.#bytes -= end;
    this.#chunks = this.#bytes === 0 ? [] : [all.subarray(end)];
    return all.subarray(2, end);
  }

  #joined(): Buffer {
    const all = this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }
}
