// HTTP/1.x heads as far as an intermediary needs them that changes nothing: where a head ends, what it says, and the two changes that are
// made to it. Bodies are http1-body.codec.ts. Sans-io; bytes stay as they came. Used by the ingress agent (agent/ingress/) and by who watches
// a laptop's traffic (session/traffic/). Source: RFC 9112 §2-5.

/** Bytes of a head; servers take 8 to 64 KiB. */
export const HEAD_BYTES_MAX = 64 * 1024;

const HEAD_END = Buffer.from('\r\n\r\n');
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
// A space before the colon, a folded line, a lone CR or LF: servers read them differently (§2.2, §5.1, §5.2), so they are not read here.
const FIELDS = `\\r\\n(?:${TOKEN}:[^\\0\\r\\n]*\\r\\n)*\\r\\n$`;
const REQUEST = new RegExp(`^(${TOKEN}) [^\\x00-\\x20\\x7f]+ HTTP/1\\.([01])${FIELDS}`);
const RESPONSE = new RegExp(`^HTTP/1\\.([01]) (\\d{3})(?: [^\\0\\r\\n]*)?${FIELDS}`);

/** Offset behind the empty line, or -1. `from` is where bytes that were not looked at yet begin. */
export function headEnd(bytes: Buffer, from = 0): number {
  const at = bytes.indexOf(HEAD_END, Math.max(0, from - 3));
  return at < 0 ? -1 : at + 4;
}

/** Where a head without its end will never be one: it is too long, or its lines end with LF alone, as those of hand-made servers do. */
export const endless = (bytes: Buffer): boolean =>
  bytes.length > HEAD_BYTES_MAX || bytes.includes('\n\n') || bytes.includes('\n\r\n');

export class Head {
  /** As it came, with the empty line. */
  readonly raw: Buffer;
  readonly version: 10 | 11;
  readonly #text: string;
  /** The same in lower case; latin1 letters keep their places. */
  readonly #lower: string;

  constructor(raw: Buffer, text: string, minor: string | undefined) {
    this.raw = raw;
    this.version = minor === '0' ? 10 : 11;
    this.#text = text;
    this.#lower = text.toLowerCase();
  }

  /** Field by its name in lower case, without the spaces around it; several lines joined with ", ". */
  field(name: string): string | undefined {
    const needle = `\r\n${name}:`;
    let value: string | undefined;
    for (let at = this.#lower.indexOf(needle); at >= 0; at = this.#lower.indexOf(needle, at + 2)) {
      const line = trimmed(this.#text.slice(at + needle.length, this.#text.indexOf('\r\n', at + 2)));
      value = value === undefined ? line : `${value}, ${line}`;
    }
    return value;
  }

  /** `close`, `keep-alive`, `upgrade` … of Connection, in lower case. */
  has(option: string): boolean {
    const value = this.field('connection')?.toLowerCase();
    return value !== undefined && (value === option || value.split(',').some((one) => trimmed(one) === option));
  }

  /** RFC 9112 §9.3. */
  get persistent(): boolean {
    return this.version === 11 ? !this.has('close') : this.has('keep-alive');
  }

  /** Offset behind the last line of this field without its CRLF; -1 where there is none. */
  endOfLast(name: string): number {
    const at = this.#lower.lastIndexOf(`\r\n${name}:`);
    return at < 0 ? -1 : this.#text.indexOf('\r\n', at + 2);
  }
}

export class RequestHead extends Head {
  readonly method: string;

  constructor(raw: Buffer, text: string, minor: string | undefined, method: string) {
    super(raw, text, minor);
    this.method = method;
  }
}

export class ResponseHead extends Head {
  readonly status: number;

  constructor(raw: Buffer, text: string, minor: string | undefined, status: number) {
    super(raw, text, minor);
    this.status = status;
  }
}

/** Spaces and tabs only (OWS, RFC 9110 §5.6.3): other blanks are part of a value. */
function trimmed(value: string): string {
  let [start, end] = [0, value.length];
  while (start < end && isBlank(value.charCodeAt(start))) start += 1;
  while (end > start && isBlank(value.charCodeAt(end - 1))) end -= 1;
  return start === 0 && end === value.length ? value : value.slice(start, end);
}

const isBlank = (code: number): boolean => code === 32 || code === 9;

/** undefined: it can't be read without a doubt, and others may read it differently. `raw` ends with the empty line. */
export function parseRequest(raw: Buffer): RequestHead | undefined {
  if (raw.length > HEAD_BYTES_MAX) return undefined;
  const text = raw.toString('latin1');
  const found = REQUEST.exec(text);
  return found ? new RequestHead(raw, text, found[2], found[1] ?? '') : undefined;
}

/** As parseRequest. */
export function parseResponse(raw: Buffer): ResponseHead | undefined {
  if (raw.length > HEAD_BYTES_MAX) return undefined;
  const text = raw.toString('latin1');
  const found = RESPONSE.exec(text);
  return found ? new ResponseHead(raw, text, found[1], Number(found[2])) : undefined;
}

/** The head with the caller's address appended to X-Forwarded-For, all other bytes as they were, and `body` behind it. */
export function withForwardedFor(head: Head, address: string, body?: Buffer): Buffer {
  const last = head.endOfLast('x-forwarded-for');
  const at = last < 0 ? head.raw.length - 4 : last;
  const more = last < 0 ? `\r\nX-Forwarded-For: ${address}` : `, ${address}`;
  const bytes = Buffer.allocUnsafe(head.raw.length + more.length + (body?.length ?? 0));
  head.raw.copy(bytes, 0, 0, at);
  bytes.write(more, at, 'latin1');
  head.raw.copy(bytes, at + more.length, at);
  body?.copy(bytes, head.raw.length + more.length);
  return bytes;
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
