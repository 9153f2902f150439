// Where the body behind an HTTP/1.x head ends: what the head announces, and a counter that tells which of the bytes that come belong to it.
// Looks at the lines between chunks and at no byte of the data. Sans-io; used by the ingress agent (agent/ingress/http1.ts) and by who watches
// a laptop's traffic (session/traffic). Source: RFC 9112 §6, §7.1.
import type { Head, RequestHead, ResponseHead } from './http1.codec.ts';

/** Bytes of a line with a chunk's length, and of a trailer field. */
const LINE_MAX = 16 * 1024;

/** The message's end would be elsewhere for another reader (request smuggling), or is nowhere. */
export class HttpFault extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'HttpFault';
  }
}

/** How the end of a body is known. */
export type BodyKind = { readonly kind: 'length'; readonly bytes: number } | { readonly kind: 'chunked' | 'close' };

const NONE: BodyKind = { kind: 'length', bytes: 0 };
const CHUNKED: BodyKind = { kind: 'chunked' };
const UNTIL_CLOSE: BodyKind = { kind: 'close' };

function announced(head: Head): BodyKind | undefined {
  const coding = head.field('transfer-encoding');
  const length = head.field('content-length');
  if (coding !== undefined) {
    // §6.1: both, or from a time when there was no such field.
    if (length !== undefined) throw new HttpFault('both Content-Length and Transfer-Encoding');
    if (head.version === 10) throw new HttpFault('Transfer-Encoding in HTTP/1.0');
    const codings = coding.toLowerCase().split(/[ \t]*,[ \t]*/);
    const at = codings.indexOf('chunked');
    if (at < 0) return UNTIL_CLOSE;
    if (at < codings.length - 1) throw new HttpFault('chunked is not the last transfer coding');
    return CHUNKED;
  }
  if (length === undefined) return undefined;
  if (/^\d{1,15}$/.test(length)) return length === '0' ? NONE : { kind: 'length', bytes: Number(length) };
  // §6.3: the same value several times is one value.
  const [first = '', ...others] = length.split(/[ \t]*,[ \t]*/);
  if (!/^\d{1,15}$/.test(first) || others.some((one) => one !== first))
    throw new HttpFault('Content-Length is no number');
  return { kind: 'length', bytes: Number(first) };
}

/** §6.3. Throws HttpFault. */
export function requestBody(head: RequestHead): BodyKind {
  const body = announced(head) ?? NONE;
  if (body.kind === 'close') throw new HttpFault('a transfer coding whose end is not known');
  return body;
}

/** §6.3; `method` is the request's. Throws HttpFault. */
export function responseBody(head: ResponseHead, method: string): BodyKind {
  if (method === 'HEAD' || head.status === 204 || head.status === 304 || head.status < 200) return NONE;
  return announced(head) ?? UNTIL_CLOSE;
}

/** Counts a body. */
export class BodyCounter {
  done: boolean;
  /** The connection's end is the body's. */
  readonly untilClose: boolean;
  readonly #kind: BodyKind['kind'];
  /** Bytes left: of the body, or of the chunk's data. */
  #left: number;
  #state: 'size' | 'data' | 'dataEnd' | 'trailers' = 'size';
  #line = '';
  readonly #onData: ((bytes: Buffer) => void) | undefined;

  /** `onData` gets the body itself, without the lines between chunks. */
  constructor(body: BodyKind, onData?: (bytes: Buffer) => void) {
    this.#kind = body.kind;
    this.#onData = onData;
    this.untilClose = body.kind === 'close';
    this.#left = body.kind === 'length' ? body.bytes : 0;
    this.done = body.kind === 'length' && body.bytes === 0;
  }

  /** How many bytes of `chunk` behind `from` are the body's. Throws HttpFault. */
  take(chunk: Buffer, from = 0): number {
    if (this.done) return 0;
    if (this.#kind === 'close') {
      this.#onData?.(chunk.subarray(from));
      return chunk.length - from;
    }
    if (this.#kind === 'chunked') return this.#chunked(chunk, from) - from;
    const taken = this.#data(chunk, from);
    this.done = this.#left === 0;
    return taken;
  }

  #data(chunk: Buffer, from: number): number {
    const taken = Math.min(this.#left, chunk.length - from);
    this.#left -= taken;
    this.#onData?.(chunk.subarray(from, from + taken));
    return taken;
  }

  /** Offset behind what was taken. */
  #chunked(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && !this.done) {
      if (this.#state === 'data') {
        at += this.#data(chunk, at);
        if (this.#left === 0) this.#state = 'dataEnd';
        continue;
      }
      const newline = chunk.indexOf(10, at);
      const end = newline < 0 ? chunk.length : newline + 1;
      if (this.#line.length + end - at > LINE_MAX) throw new HttpFault("a chunk's line is too long");
      this.#line += chunk.toString('latin1', at, end);
      at = end;
      if (newline >= 0) this.#endLine();
    }
    return at;
  }

  #endLine(): void {
    const line = this.#line;
    this.#line = '';
    if (!line.endsWith('\r\n')) throw new HttpFault("a chunk's line does not end with CRLF");
    if (this.#state === 'dataEnd') {
      if (line.length !== 2) throw new HttpFault('a chunk is longer than its length');
      this.#state = 'size';
    } else if (this.#state === 'trailers') {
      this.done = line.length === 2;
    } else {
      // Extensions without a lone CR, which some take for a line's end.
      const size = /^([0-9a-fA-F]{1,13})[ \t]*(?:;[^\r]*)?\r\n$/.exec(line)?.[1];
      if (size === undefined) throw new HttpFault("a chunk's length is no number");
      this.#left = Number.parseInt(size, 16);
      this.#state = this.#left === 0 ? 'trailers' : 'data';
    }
  }
}
