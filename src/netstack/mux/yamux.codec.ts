// The frames of yamux, version 0, as bytes (hashicorp/yamux spec.md). Sans-io: headers in and out, payload handed on without a copy.
// Knows no stream: what a frame means is muxer.ts.
//
//   0        1        2                 4                                   8                                  12
//   | version | type   | flags           | stream id                         | length (or delta, opaque, code)  |

export const HEADER_BYTES = 12;
/** Both sides start with this much credit on every stream (spec: 256 KiB). */
export const INITIAL_WINDOW = 256 * 1024;

/** Frame types. */
export const DATA = 0;
export const WINDOW_UPDATE = 1;
export const PING = 2;
export const GO_AWAY = 3;

/** Flags. */
export const SYN = 1;
export const ACK = 2;
export const FIN = 4;
export const RST = 8;

/** Codes of GO_AWAY. */
export const AWAY_NORMAL = 0;
export const AWAY_PROTOCOL_ERROR = 1;

/** Writes one header into `target` at `offset`. `length` is the last field, whatever it means for the type. */
export function putHeader(
  target: Buffer,
  offset: number,
  type: number,
  flags: number,
  id: number,
  length: number,
): void {
  target[offset] = 0;
  target[offset + 1] = type;
  target[offset + 2] = flags >>> 8;
  target[offset + 3] = flags;
  target[offset + 4] = id >>> 24;
  target[offset + 5] = id >>> 16;
  target[offset + 6] = id >>> 8;
  target[offset + 7] = id;
  target[offset + 8] = length >>> 24;
  target[offset + 9] = length >>> 16;
  target[offset + 10] = length >>> 8;
  target[offset + 11] = length;
}

export interface FrameHandler {
  /** A header was read. For DATA, `length` bytes of payload follow by `onPayload`, then `onFrameEnd`; other types have no payload. */
  onHeader(type: number, flags: number, id: number, length: number): void;
  /** A part of the current DATA frame's payload; a view on the chunk that was pushed. */
  onPayload(part: Buffer): void;
  /** The current DATA frame is whole. */
  onFrameEnd(): void;
  /** The bytes are not yamux; nothing more is read. */
  onViolation(message: string): void;
}

/** Cuts a stream of bytes into frames. Holds at most one unfinished header. */
export class FrameParser {
  readonly #handler: FrameHandler;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #payloadLeft = 0;
  #broken = false;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** Nothing more is read, also not the rest of the chunk that is being read. */
  stop(): void {
    this.#broken = true;
  }

  push(chunk: Buffer): void {
    const { length } = chunk;
    let at = 0;
    while (at < length && !this.#broken) {
      if (this.#payloadLeft > 0) {
        const take = Math.min(this.#payloadLeft, length - at);
        this.#payloadLeft -= take;
        this.#handler.onPayload(at === 0 && take === length ? chunk : chunk.subarray(at, at + take));
        at += take;
        if (this.#payloadLeft === 0) this.#handler.onFrameEnd();
      } else if (this.#headerBytes === 0 && length - at >= HEADER_BYTES) {
        this.#read(chunk, at);
        at += HEADER_BYTES;
      } else {
        const take = Math.min(HEADER_BYTES - this.#headerBytes, length - at);
        chunk.copy(this.#header, this.#headerBytes, at, at + take);
        this.#headerBytes += take;
        at += take;
        if (this.#headerBytes < HEADER_BYTES) return;
        this.#headerBytes = 0;
        this.#read(this.#header, 0);
      }
    }
  }

  #read(bytes: Buffer, at: number): void {
    const version = bytes[at];
    const type = bytes[at + 1] ?? 0;
    if (version !== 0) return this.#violation(`version ${version ?? -1} in a frame header`);
    if (type > GO_AWAY) return this.#violation(`type ${type} in a frame header`);
    const flags = bytes.readUInt16BE(at + 2);
    const id = bytes.readUInt32BE(at + 4);
    const length = bytes.readUInt32BE(at + 8);
    if (type === DATA) this.#payloadLeft = length;
    this.#handler.onHeader(type, flags, id, length);
    if (type === DATA && length === 0 && !this.#broken) this.#handler.onFrameEnd();
    return undefined;
  }

  #violation(message: string): void {
    this.#broken = true;
    this.#handler.onViolation(message);
  }
}
