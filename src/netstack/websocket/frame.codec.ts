// Websocket frames (RFC 6455 §5), both roles. Sans-io: bytes in, pieces of messages out; messages in, header and parts out.
// Payloads are passed through in the pieces in which they arrive, without joining or copying. No extensions, no text checks (§8.1): our
// messages are binary. Used by connection.ts; by the playground's API server in the other role.

export const OPCODE = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

/** RFC 6455 §7.4.1, as far as we send or tell them apart. 1005 and 1006 are never on the wire: no code was sent, no close was seen. */
export const CLOSE_CODE = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  noCode: 1005,
  abnormal: 1006,
  tooBig: 1009,
} as const;

/** §5.5: control frames carry at most 125 bytes. */
const CONTROL_MAX_BYTES = 125;
/** What cri-streaming takes as one frame (33,554,432 with the channel byte); pieces are not kept, so this bounds no memory. */
const FRAME_MAX_BYTES = 32 * 1024 * 1024;
/** Header: 2 bytes, 8 of length, 4 of mask. */
const HEADER_MAX_BYTES = 14;

/** What the decoder finds. Pieces are views into the chunk that was fed. */
export interface FrameSink {
  /** A piece of a text or binary message, in order. `start`: its first (may be empty); `end`: its last. */
  data(piece: Buffer, start: boolean, end: boolean): void;
  ping(payload: Buffer): void;
  pong(payload: Buffer): void;
  /** Nothing comes after it. */
  close(code: number, reason: string): void;
}

/** A peer that breaks the protocol; `closeCode` is what to tell it. */
export class FrameError extends Error {
  readonly closeCode: number;

  constructor(message: string, closeCode: number = CLOSE_CODE.protocolError) {
    super(message);
    this.name = 'FrameError';
    this.closeCode = closeCode;
  }
}

export interface DecoderOptions {
  /** Our side: a client gets unmasked frames, a server masked ones (§5.1). */
  readonly role: 'client' | 'server';
  readonly maxFrameBytes?: number;
}

export class FrameDecoder {
  readonly #sink: FrameSink;
  readonly #masked: boolean;
  readonly #maxFrameBytes: number;
  readonly #header = Buffer.alloc(HEADER_MAX_BYTES);
  #headerLength = 0;
  #headerNeeded = 2;
  /** Payload bytes of the current frame that did not arrive yet; -1 while its header is being read. */
  #left = -1;
  #final = false;
  #opcode = 0;
  /** A data message has begun and not ended. */
  #inMessage = false;
  /** Its first piece was not given out yet. */
  #start = false;
  #control: Buffer[] = [];
  #mask: Buffer | undefined;
  #maskOffset = 0;
  #closed = false;

  constructor(sink: FrameSink, options: DecoderOptions) {
    this.#sink = sink;
    this.#masked = options.role === 'server';
    this.#maxFrameBytes = options.maxFrameBytes ?? FRAME_MAX_BYTES;
  }

  /** True between frames of one message or within a frame: the connection must not end here. */
  get incomplete(): boolean {
    return !this.#closed && (this.#inMessage || this.#left >= 0 || this.#headerLength > 0);
  }

  /** Feeds bytes as they came. Throws FrameError; nothing may be fed after that. Bytes after a close frame are ignored (§1.4). */
  push(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length && !this.#closed) {
      if (this.#left < 0) {
        offset = this.#readHeader(chunk, offset);
        if (this.#left < 0) return;
        // A frame without payload is whole now; the loop may not come round again.
        if (this.#left > 0) continue;
      }
      const end = Math.min(chunk.length, offset + this.#left);
      this.#left -= end - offset;
      this.#payload(chunk.subarray(offset, end));
      offset = end;
    }
  }

  #readHeader(chunk: Buffer, from: number): number {
    let offset = from;
    while (offset < chunk.length) {
      this.#header[this.#headerLength++] = chunk[offset++] ?? 0;
      if (this.#headerLength === 2) this.#headerNeeded = this.#checkStart();
      if (this.#headerLength < 2 || this.#headerLength < this.#headerNeeded) continue;
      this.#left = this.#payloadLength();
      this.#mask = this.#masked
        ? Buffer.from(this.#header.subarray(this.#headerLength - 4, this.#headerLength))
        : undefined;
      this.#maskOffset = 0;
      this.#headerLength = 0;
      this.#headerNeeded = 2;
      break;
    }
    return offset;
  }

  /** Judges the first two bytes; gives the length of the whole header. */
  #checkStart(): number {
    const [first = 0, second = 0] = this.#header;
    if ((first & 0x70) !== 0) throw new FrameError('a frame with reserved bits, which no extension was agreed for');
    this.#final = (first & 0x80) !== 0;
    this.#opcode = first & 0x0f;
    const masked = (second & 0x80) !== 0;
    if (masked !== this.#masked)
      throw new FrameError(masked ? 'a masked frame from a server' : 'a frame without mask from a client');
    const length = second & 0x7f;
    if (this.#opcode >= OPCODE.close) {
      if (this.#opcode > OPCODE.pong) throw new FrameError(`a frame of the unknown kind ${this.#opcode}`);
      if (!this.#final) throw new FrameError('a control frame in fragments');
      if (length > CONTROL_MAX_BYTES) throw new FrameError('a control frame of more than 125 bytes');
      if (this.#opcode === OPCODE.close && length === 1) throw new FrameError('a close frame with half a code');
    } else {
      if (this.#opcode > OPCODE.binary) throw new FrameError(`a frame of the unknown kind ${this.#opcode}`);
      const continues = this.#opcode === OPCODE.continuation;
      if (continues !== this.#inMessage)
        throw new FrameError(continues ? 'a continuation of no message' : 'a message within a message');
      if (!continues) this.#start = true;
      this.#inMessage = true;
    }
    return 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + (this.#masked ? 4 : 0);
  }

  #payloadLength(): number {
    const short = (this.#header[1] ?? 0) & 0x7f;
    if (short < 126) return this.#limited(short);
    if (short === 126) return this.#limited(this.#header.readUInt16BE(2));
    const high = this.#header.readUInt32BE(2);
    return this.#limited(high * 2 ** 32 + this.#header.readUInt32BE(6));
  }

  #limited(length: number): number {
    if (length > this.#maxFrameBytes) throw new FrameError(`a frame of ${length} bytes`, CLOSE_CODE.tooBig);
    return length;
  }

  #payload(piece: Buffer): void {
    if (this.#mask) {
      unmask(piece, this.#mask, this.#maskOffset);
      this.#maskOffset = (this.#maskOffset + piece.length) % 4;
    }
    const whole = this.#left === 0;
    if (this.#opcode >= OPCODE.close) {
      // Copied: what is kept must not hold the chunk, nor change with it.
      if (piece.length > 0) this.#control.push(Buffer.from(piece));
      if (whole) this.#finishControl();
    } else {
      const end = whole && this.#final;
      const start = this.#start;
      this.#start = false;
      if (end) this.#inMessage = false;
      if (whole) this.#left = -1;
      if (start || end || piece.length > 0) this.#sink.data(piece, start, end);
    }
  }

  #finishControl(): void {
    const [only] = this.#control;
    const payload = this.#control.length === 1 && only ? only : Buffer.concat(this.#control);
    this.#control = [];
    this.#left = -1;
    if (this.#opcode === OPCODE.ping) this.#sink.ping(payload);
    else if (this.#opcode === OPCODE.pong) this.#sink.pong(payload);
    else {
      this.#closed = true;
      const code = payload.length >= 2 ? payload.readUInt16BE(0) : CLOSE_CODE.noCode;
      this.#sink.close(code, payload.toString('utf8', 2));
    }
  }
}

/** Header of a final frame (FIN set: we never fragment, see upgrade.ts) with `length` payload bytes; `mask` is 4 bytes. */
export function frameHeader(opcode: number, length: number, mask?: Uint8Array): Buffer {
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const header = Buffer.allocUnsafe(2 + extra + (mask ? 4 : 0));
  header[0] = 0x80 | opcode;
  header[1] = (mask ? 0x80 : 0) | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) header.writeUInt16BE(length, 2);
  if (extra === 8) {
    header.writeUInt32BE(Math.floor(length / 2 ** 32), 2);
    header.writeUInt32BE(length % 2 ** 32, 6);
  }
  if (mask) header.set(mask, 2 + extra);
  return header;
}

export function closePayload(code: number, reason: string): Buffer {
  // §5.5.1: a reason is UTF-8; cut by bytes and made valid again.
  const text = Buffer.from(
    Buffer.from(reason)
      .subarray(0, CONTROL_MAX_BYTES - 2)
      .toString('utf8')
      .replace(/\uFFFD$/, ''),
  );
  const payload = Buffer.alloc(2 + text.length);
  payload.writeUInt16BE(code, 0);
  payload.set(text, 2);
  return payload;
}

/**
 * XORs `bytes` in place with the 4 bytes of `mask`, beginning with mask byte `offset` (§5.3). Returns the offset for the next piece.
 * By 32 bits at a time where the memory is aligned: byte by byte costs seconds of CPU for each GiB.
 */
export function unmask(bytes: Uint8Array, mask: Uint8Array, offset = 0): number {
  const { length } = bytes;
  const byByte = (from: number, to: number): void => {
    for (let index = from; index < to; index += 1)
      bytes[index] = (bytes[index] ?? 0) ^ (mask[(offset + index) & 3] ?? 0);
  };
  const index = Math.min(length, -bytes.byteOffset & 3);
  byByte(0, index);
  const count = (length - index) >> 2;
  if (count > 0) {
    const turned = Uint8Array.from({ length: 4 }, (_, at) => mask[(offset + index + at) & 3] ?? 0);
    const [key = 0] = new Uint32Array(turned.buffer);
    const view = new Uint32Array(bytes.buffer, bytes.byteOffset + index, count);
    for (let word = 0; word < count; word += 1) view[word] = (view[word] ?? 0) ^ key;
  }
  byByte(index + count * 4, length);
  return (offset + length) & 3;
}
