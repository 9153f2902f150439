// One direction of an HTTP/2 connection as frames: whole ones where their content matters (headers, resets), pieces where it only passes (data).
// Sans-io; holds no more than a header block. Called by http2-observer.machine.ts. Source: RFC 9113 §4, §6.

/** Bytes of one header block with its continuations; servers take 8 to 64 KiB. */
const BLOCK_MAX = 64 * 1024;
const HEADER_BYTES = 9;
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

const DATA = 0;
const HEADERS = 1;
const RESET = 3;
const PUSH = 5;
const CONTINUATION = 9;

const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const PADDED = 0x8;
const PRIORITY = 0x20;

export interface FrameEvents {
  /** A whole header block. */
  headers(stream: number, block: Buffer, endStream: boolean): void;
  /** A block that only has to be decoded: the table counts it. */
  promised(block: Buffer): void;
  data(stream: number, piece: Buffer): void;
  endStream(stream: number): void;
  reset(stream: number, code: number): void;
  /** Bytes on the wire, for whose stream they were. */
  bytes(stream: number, count: number): void;
}

export class FrameFault extends Error {}

interface Passing {
  readonly stream: number;
  readonly end: boolean;
  /** Bytes of the frame, the padding at its end included. */
  left: number;
  padding: number;
  /** The first byte says how much. */
  padded: boolean;
}

export class FrameReader {
  readonly #events: FrameEvents;
  readonly #fromCaller: boolean;
  /** Of the preface: the caller's side begins with it. */
  #skip: number;
  #held: Buffer = Buffer.alloc(0);
  /** The data frame that is passing. */
  #passing: Passing | undefined;
  /** A header block whose continuation is awaited. */
  #block: { stream: number; parts: Buffer[]; bytes: number; end: boolean; promised: boolean } | undefined;

  constructor(events: FrameEvents, fromCaller: boolean) {
    this.#events = events;
    this.#fromCaller = fromCaller;
    this.#skip = fromCaller ? PREFACE.length : 0;
  }

  /** Throws FrameFault where it is no HTTP/2. */
  push(chunk: Buffer): void {
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = Buffer.alloc(0);
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, bytes.length);
      this.#skip -= skipped;
      bytes = bytes.subarray(skipped);
    }
    while (bytes.length > 0) {
      if (this.#passing) {
        bytes = this.#pass(this.#passing, bytes);
        continue;
      }
      if (bytes.length < HEADER_BYTES) break;
      const length = bytes.readUIntBE(0, 3);
      const [type = 0, flags = 0] = bytes.subarray(3, 5);
      const stream = bytes.readUInt32BE(5) & 0x7fffffff;
      if (type === DATA) {
        this.#passing = {
          stream,
          left: length,
          padding: 0,
          padded: (flags & PADDED) !== 0,
          end: (flags & END_STREAM) !== 0,
        };
        this.#events.bytes(stream, HEADER_BYTES);
        bytes = bytes.subarray(HEADER_BYTES);
        if (length === 0) this.#passed(this.#passing);
        continue;
      }
      if (length > BLOCK_MAX) throw new FrameFault('a frame is too long');
      if (bytes.length < HEADER_BYTES + length) break;
      // A request begins with its first frame, an answer ends with its last.
      if (!this.#fromCaller) this.#events.bytes(stream, HEADER_BYTES + length);
      this.#whole(type, flags, stream, bytes.subarray(HEADER_BYTES, HEADER_BYTES + length));
      if (this.#fromCaller) this.#events.bytes(stream, HEADER_BYTES + length);
      bytes = bytes.subarray(HEADER_BYTES + length);
    }
    if (bytes.length > 0) this.#held = Buffer.from(bytes);
  }

  #pass(frame: Passing, bytes: Buffer): Buffer {
    let from = 0;
    if (frame.padded) {
      frame.padded = false;
      frame.padding = bytes[0] ?? 0;
      frame.left -= 1;
      from = 1;
    }
    const end = from + Math.min(frame.left, bytes.length - from);
    const content = Math.max(0, Math.min(end - from, frame.left - frame.padding));
    frame.left -= end - from;
    this.#events.bytes(frame.stream, end);
    if (content > 0) this.#events.data(frame.stream, bytes.subarray(from, from + content));
    if (frame.left <= 0) this.#passed(frame);
    return bytes.subarray(end);
  }

  #passed({ stream, end }: Passing): void {
    this.#passing = undefined;
    if (end) this.#events.endStream(stream);
  }

  #whole(type: number, flags: number, stream: number, payload: Buffer): void {
    if (this.#block && type !== CONTINUATION) throw new FrameFault('a header block was not finished');
    if (type === RESET && payload.length === 4) this.#events.reset(stream, payload.readUInt32BE(0));
    if (type === HEADERS || type === PUSH) {
      const content = unpadded(payload, flags);
      const before = type === PUSH ? 4 : (flags & PRIORITY) === 0 ? 0 : 5;
      if (content.length < before) throw new FrameFault('a frame is too short');
      this.#block = {
        stream,
        parts: [],
        bytes: 0,
        end: (flags & END_STREAM) !== 0 && type === HEADERS,
        promised: type === PUSH,
      };
      this.#part(content.subarray(before), flags);
    }
    if (type === CONTINUATION) {
      if (this.#block?.stream !== stream) throw new FrameFault('a continuation of nothing');
      this.#part(payload, flags);
    }
  }

  #part(part: Buffer, flags: number): void {
    const block = this.#block;
    if (!block) return;
    block.parts.push(Buffer.from(part));
    block.bytes += part.length;
    if (block.bytes > BLOCK_MAX) throw new FrameFault('a header block is too long');
    if ((flags & END_HEADERS) === 0) return;
    this.#block = undefined;
    const whole = Buffer.concat(block.parts);
    if (block.promised) this.#events.promised(whole);
    else this.#events.headers(block.stream, whole, block.end);
  }
}

function unpadded(payload: Buffer, flags: number): Buffer {
  if ((flags & PADDED) === 0) return payload;
  const end = payload.length - (payload[0] ?? 0);
  if (end < 1) throw new FrameFault('more padding than frame');
  return payload.subarray(1, end);
}
