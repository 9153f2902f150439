// HTTP/1.x as far as an intermediary needs it that changes nothing: where a head ends, what it says, and where the body behind it ends.
// Sans-io; bytes stay as they came. Used by http1.ts. Source: RFC 9112 §2-7, RFC 9110 §7.8.

/** Bytes of a head; servers take 8 to 64 KiB. */
export const HEAD_BYTES_MAX = 64 * 1024;
/** Bytes of a line with a chunk's length; extensions are never longer in practice. */
const CHUNK_LINE_MAX = 4 * 1024;

/** The other side's message breaks the rules in a way that two parties would read differently (request smuggling), or is too long. */
export class HttpFault extends Error {
  readonly status: number;

  constructor(message: string, status = 400) {
    super(message);
    this.name = 'HttpFault';
    this.status = status;
  }
}

export interface Head {
  /** As it came, with the empty line. */
  readonly raw: Buffer;
  readonly line: string;
  readonly version: 10 | 11;
  /** Field by its name in lower case; several lines joined with ", ". */
  field(name: string): string | undefined;
  /** `close`, `keep-alive`, `upgrade` … of Connection, in lower case. */
  has(connectionOption: string): boolean;
}

export interface RequestHead extends Head {
  readonly method: string;
}

export interface ResponseHead extends Head {
  readonly status: number;
}

/** Offset behind the empty line, or -1. Throws HttpFault (431) where the head is too long. */
export function headEnd(bytes: Buffer): number {
  const at = bytes.indexOf('\r\n\r\n');
  if (at < 0 ? bytes.length > HEAD_BYTES_MAX : at > HEAD_BYTES_MAX) throw new HttpFault('the head is too long', 431);
  return at < 0 ? -1 : at + 4;
}

class ParsedHead implements Head {
  readonly raw: Buffer;
  readonly line: string;
  readonly version: 10 | 11;
  readonly #fields = new Map<string, string>();

  constructor(raw: Buffer, version: RegExp) {
    this.raw = raw;
    const lines = raw.toString('latin1', 0, raw.length - 4).split('\r\n');
    this.line = lines[0] ?? '';
    const found = version.exec(this.line);
    if (!found) throw new HttpFault('this is not HTTP/1.x');
    this.version = found[1] === '0' ? 10 : 11;
    for (let index = 1; index < lines.length; index += 1) this.#add(lines[index] ?? '');
  }

  #add(line: string): void {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    // A space before the colon or a folded line: read differently by different servers (§5.1, §5.2).
    if (colon < 1 || /[\s\r\n]/.test(name) || line.includes('\n')) throw new HttpFault('a field is malformed');
    const value = line.slice(colon + 1).trim();
    const before = this.#fields.get(name);
    this.#fields.set(name, before === undefined ? value : `${before}, ${value}`);
  }

  field(name: string): string | undefined {
    return this.#fields.get(name);
  }

  has(option: string): boolean {
    const value = this.#fields.get('connection');
    return (
      value
        ?.toLowerCase()
        .split(',')
        .some((one) => one.trim() === option) ?? false
    );
  }
}

/** Throws HttpFault. `raw` ends with the empty line. */
export function parseRequest(raw: Buffer): RequestHead {
  const head = new ParsedHead(raw, /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^ ]+ HTTP\/1\.([01])$/);
  return Object.assign(head, { method: head.line.slice(0, head.line.indexOf(' ')) });
}

/** Throws HttpFault. */
export function parseResponse(raw: Buffer): ResponseHead {
  const head = new ParsedHead(raw, /^HTTP\/1\.([01]) \d{3}(?: |$)/);
  return Object.assign(head, { status: Number(head.line.slice(9, 12)) });
}

/** How the end of a body is known. */
export type BodyKind = { readonly kind: 'length'; readonly bytes: number } | { readonly kind: 'chunked' | 'close' };

const NONE: BodyKind = { kind: 'length', bytes: 0 };

function announced(head: Head): BodyKind | undefined {
  const coding = head.field('transfer-encoding');
  const length = head.field('content-length');
  if (coding !== undefined) {
    // §6.1: both, or a coding that is not chunked last, is how requests are smuggled.
    if (length !== undefined) throw new HttpFault('both Content-Length and Transfer-Encoding');
    return /(?:^|,)\s*chunked$/i.test(coding.trim()) ? { kind: 'chunked' } : { kind: 'close' };
  }
  if (length === undefined) return undefined;
  const [first = '', ...others] = length.split(',').map((one) => one.trim());
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
  return announced(head) ?? { kind: 'close' };
}

/** Counts a body: which of the bytes that come belong to it. */
export class BodyCounter {
  done: boolean;
  /** The connection's end is the body's. */
  readonly untilClose: boolean;
  readonly #kind: BodyKind['kind'];
  /** Bytes left: of the body, or of the chunk with its CRLF. */
  #left: number;
  #state: 'line' | 'data' | 'trailers' = 'line';
  #line = '';

  constructor(body: BodyKind) {
    this.#kind = body.kind;
    this.untilClose = body.kind === 'close';
    this.#left = body.kind === 'length' ? body.bytes : 0;
    this.done = body.kind === 'length' && body.bytes === 0;
  }

  /** How many bytes at the front of `chunk` are the body's. Throws HttpFault. */
  take(chunk: Buffer): number {
    if (this.done) return 0;
    if (this.#kind === 'close') return chunk.length;
    if (this.#kind === 'chunked') return this.#chunked(chunk);
    const taken = Math.min(this.#left, chunk.length);
    this.#left -= taken;
    this.done = this.#left === 0;
    return taken;
  }

  #chunked(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && !this.done) {
      if (this.#state === 'data') {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
        if (this.#left === 0) this.#state = 'line';
        continue;
      }
      const newline = chunk.indexOf(10, at);
      const end = newline < 0 ? chunk.length : newline + 1;
      this.#line += chunk.toString('latin1', at, end);
      at = end;
      if (this.#line.length > CHUNK_LINE_MAX) throw new HttpFault("a chunk's line is too long");
      if (newline >= 0) this.#endLine();
    }
    return at;
  }

  #endLine(): void {
    const line = this.#line;
    this.#line = '';
    if (!line.endsWith('\r\n')) throw new HttpFault("a chunk's line does not end with CRLF");
    if (this.#state === 'trailers') {
      this.done = line === '\r\n';
      return;
    }
    const size = /^([0-9a-fA-F]{1,13})[ \t]*(?:;.*)?\r\n$/.exec(line)?.[1];
    if (size === undefined) throw new HttpFault("a chunk's length is no number");
    const bytes = Number.parseInt(size, 16);
    if (bytes === 0) this.#state = 'trailers';
    else {
      this.#state = 'data';
      this.#left = bytes + 2;
    }
  }
}

/** The head with the caller's address appended to X-Forwarded-For, all other bytes as they were. */
export function withForwardedFor(head: Head, address: string): Buffer {
  const text = head.raw.toString('latin1');
  const lines = /\r\nx-forwarded-for:[^\r]*(?=\r\n)/gi;
  let last: RegExpExecArray | null = null;
  for (let found = lines.exec(text); found !== null; found = lines.exec(text)) last = found;
  const at = last === null ? head.raw.length - 4 : last.index + last[0].length;
  const more = last === null ? `\r\nX-Forwarded-For: ${address}` : `, ${address}`;
  return Buffer.concat([head.raw.subarray(0, at), Buffer.from(more, 'latin1'), head.raw.subarray(at)]);
}

/** The head with `Connection: close` instead of what it said. */
export function withClose(head: Head): Buffer {
  const text = head.raw.toString('latin1').replace(/\r\n(?:connection|keep-alive):[^\r]*(?=\r\n)/gi, '');
  return Buffer.from(`${text.slice(0, -4)}\r\nConnection: close\r\n\r\n`, 'latin1');
}

/** What the first bytes of a connection are; undefined: more are needed. */
export function protocolOf(bytes: Buffer): 'http1' | 'http2' | 'other' | undefined {
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
  const start = bytes.toString('latin1', 0, Math.min(bytes.length, preface.length));
  if (preface.startsWith(start)) return start.length === preface.length ? 'http2' : undefined;
  if (!/^[A-Z][A-Z-]{0,30}(?: |$)/.test(start)) return 'other';
  const end = bytes.indexOf(10);
  if (end < 0) return bytes.length > HEAD_BYTES_MAX ? 'other' : undefined;
  return / HTTP\/1\.[01]\r\n$/.test(bytes.toString('latin1', 0, end + 1)) ? 'http1' : 'other';
}
