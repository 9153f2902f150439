// SPDY/3.1 frames, as much as a client needs that carries bytes in streams which it opens itself. Sans-io: headers in and out, payload handed on
// without a copy. No flow control and no priorities: the peers that speak SPDY today (moby/spdystream in Kubernetes) have neither.
// Used by src/cluster/tunnel-framing.codec.ts. Source: the SPDY draft 3.1, §2.2 and §2.6.
//
//   data:     | 0 | stream id (31)          | flags (8) | length (24) |
//   control:  | 1 | version (15) | type (16) | flags (8) | length (24) |

export const FRAME_HEADER_BYTES = 8;
export const FLAG_FIN = 1;
/** Length has 24 bits. */
export const FRAME_BYTES_MAX = 0xff_ffff;

const VERSION = 3;
const SYN_STREAM = 1;
const RST_STREAM = 3;
const PING = 6;
const GOAWAY = 7;
/** Payloads of these are read: a ping's number, a stream's id, a status. Longer ones break the protocol. */
const READ_BYTES_MAX = 8;
/** A block of header fields as a zlib stream of stored blocks (RFC 1950, RFC 1951 §3.2.4): nothing compressed, so no state and no dictionary. */
const ZLIB_HEADER = Buffer.from([0x78, 0x01]);
const EMPTY_BLOCK = Buffer.from([0, 0, 0, 0xff, 0xff]);

function control(type: number, payloadBytes: number): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + payloadBytes);
  frame.writeUInt16BE(0x8000 | VERSION, 0);
  frame.writeUInt16BE(type, 2);
  frame.writeUIntBE(payloadBytes, 5, 3);
  return frame;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Opens a stream. `first`: it is the connection's first one, which begins the zlib stream that all of them share. */
export function synStream(id: number, fields: Readonly<Record<string, string>>, first: boolean): Buffer {
  const entries = Object.entries(fields);
  const parts = [uint32(entries.length)];
  for (const text of entries.flat()) parts.push(uint32(Buffer.byteLength(text)), Buffer.from(text));
  const block = Buffer.concat(parts);
  const stored = Buffer.from([0, 0, 0, 0, 0]);
  stored.writeUInt16LE(block.length, 1);
  stored.writeUInt16LE(block.length ^ 0xffff, 3);
  // The empty block at the end is what makes a reader give out what it has (a "sync flush").
  const payload = [...(first ? [ZLIB_HEADER] : []), stored, block, EMPTY_BLOCK];
  const ids = Buffer.alloc(10);
  ids.writeUInt32BE(id, 0);
  const frame = control(SYN_STREAM, ids.length + payload.reduce((sum, part) => sum + part.length, 0));
  Buffer.concat([ids, ...payload]).copy(frame, FRAME_HEADER_BYTES);
  return frame;
}

/** The header of `length` bytes of a stream; the bytes follow. */
export function dataHeader(id: number, length: number, flags = 0): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  header.writeUInt32BE(id, 0);
  header.writeUInt32BE(length, 4);
  header[4] = flags;
  return header;
}

export function ping(number: number): Buffer {
  const frame = control(PING, 4);
  frame.writeUInt32BE(number, FRAME_HEADER_BYTES);
  return frame;
}

export interface SpdySink {
  /** A piece of a stream's bytes: a view on the chunk that was pushed. */
  data(id: number, piece: Buffer): void;
  /** The stream's end: in order, or broken off. */
  end(id: number, reset: boolean): void;
  ping(number: number): void;
  /** The other side takes no new streams. */
  goAway(): void;
  /** The bytes are not SPDY; nothing more is read. */
  violation(message: string): void;
}

/** Cuts bytes into frames. Holds at most one unfinished header and 8 bytes of payload. */
export class SpdyParser {
  readonly #sink: SpdySink;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  readonly #read = Buffer.alloc(READ_BYTES_MAX);
  #headerBytes = 0;
  #readBytes = 0;
  #left = 0;
  #flags = 0;
  /** Stream of the data frame that is arriving; 0 in a control frame. */
  #stream = 0;
  #type = 0;
  #broken = false;

  constructor(sink: SpdySink) {
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#broken) {
      if (this.#left > 0) {
        const take = Math.min(this.#left, chunk.length - at);
        this.#left -= take;
        this.#payload(take === chunk.length ? chunk : chunk.subarray(at, at + take));
        at += take;
      } else {
        const take = Math.min(FRAME_HEADER_BYTES - this.#headerBytes, chunk.length - at);
        chunk.copy(this.#header, this.#headerBytes, at, at + take);
        this.#headerBytes += take;
        at += take;
        if (this.#headerBytes < FRAME_HEADER_BYTES) return;
        this.#headerBytes = 0;
        this.#start();
      }
    }
  }

  #start(): void {
    const header = this.#header;
    const first = header.readUInt32BE(0);
    this.#flags = header[4] ?? 0;
    this.#left = header.readUIntBE(5, 3);
    this.#readBytes = 0;
    this.#stream = first < 0x8000_0000 ? first : 0;
    if (first < 0x8000_0000) {
      if (first === 0) return this.#violation('data of stream 0');
    } else {
      this.#type = first & 0xffff;
      const version = (first >>> 16) & 0x7fff;
      if (version !== VERSION) return this.#violation(`a frame of version ${version}`);
      if (this.#isRead() && (this.#left < 4 || this.#left > READ_BYTES_MAX))
        return this.#violation(`a frame of type ${this.#type} with ${this.#left} bytes`);
    }
    if (this.#left === 0) this.#finish();
    return undefined;
  }

  #isRead(): boolean {
    return this.#type === RST_STREAM || this.#type === PING || this.#type === GOAWAY;
  }

  #payload(piece: Buffer): void {
    if (this.#stream > 0) this.#sink.data(this.#stream, piece);
    else if (this.#isRead()) this.#readBytes += piece.copy(this.#read, this.#readBytes);
    if (this.#left === 0) this.#finish();
  }

  #finish(): void {
    if (this.#stream > 0) {
      if ((this.#flags & FLAG_FIN) !== 0) this.#sink.end(this.#stream, false);
      return;
    }
    const value = this.#read.readUInt32BE(0);
    if (this.#type === PING) this.#sink.ping(value);
    else if (this.#type === RST_STREAM) this.#sink.end(value & 0x7fff_ffff, true);
    else if (this.#type === GOAWAY) this.#sink.goAway();
    // SYN_REPLY, SETTINGS, HEADERS, WINDOW_UPDATE say nothing that matters here.
  }

  #violation(message: string): void {
    this.#broken = true;
    this.#sink.violation(message);
  }
}
