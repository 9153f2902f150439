// HPACK header blocks to fields: the decoder of one direction of an HTTP/2 connection, with its dynamic table. For who reads along on a
// connection that others speak (session/traffic); kt's own HTTP/2 is node:http2's. Sans-io. Source: RFC 7541.

/** Bytes of a dynamic table that a peer may ask for; the default is 4,096. */
const TABLE_MAX = 64 * 1024;
/** Bytes of all fields of one block: a few bytes can name one long field many times. */
const FIELDS_MAX = 256 * 1024;
/** What each entry costs beside its letters (§4.1). */
const ENTRY_OVERHEAD = 32;

export type Field = readonly [name: string, value: string];

/** The block can't be read, and so can none behind it. */
export class HpackFault extends Error {}

/** Appendix A, one a line, `name: value`. */
const STATIC: readonly Field[] = `:authority
:method: GET
:method: POST
:path: /
:path: /index.html
:scheme: http
:scheme: https
:status: 200
:status: 204
:status: 206
:status: 304
:status: 400
:status: 404
:status: 500
accept-charset
accept-encoding: gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`
  .split('\n')
  .map((line): Field => {
    const at = line.indexOf(': ');
    return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 2)];
  });

/** Appendix B as the length of each symbol's code, 0-255 and the end, a digit of base 36 each: the code is canonical. */
const LENGTHS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad677777777777777777777' +
  '77878djde6f56565666577666567655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmo' +
  'lmnnllmlnmnnkmmmnmmnqqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrqu';

export class HpackDecoder {
  /** Latest first. */
  #table: Field[] = [];
  #size = 0;
  #limit = 4_096;

  /** Throws HpackFault. */
  decode(block: Buffer): Field[] {
    const reader = new Reader(block);
    const fields: Field[] = [];
    let bytes = 0;
    while (!reader.done) {
      const field = this.#field(reader);
      if (field === undefined) continue;
      bytes += field[0].length + field[1].length;
      if (bytes > FIELDS_MAX) throw new HpackFault('too many fields');
      fields.push(field);
    }
    return fields;
  }

  #field(reader: Reader): Field | undefined {
    const first = reader.peek();
    if ((first & 0x80) !== 0) return this.#at(reader.integer(7));
    if ((first & 0xe0) === 0x20) {
      this.#resize(reader.integer(5));
      return undefined;
    }
    const indexed = (first & 0x40) !== 0;
    const index = reader.integer(indexed ? 6 : 4);
    const name = index === 0 ? reader.text() : this.#at(index)[0];
    const field: Field = [name, reader.text()];
    if (indexed) this.#add(field);
    return field;
  }

  #at(index: number): Field {
    const field = index <= STATIC.length ? STATIC[index - 1] : this.#table[index - STATIC.length - 1];
    if (field === undefined) throw new HpackFault(`no field has the index ${index}`);
    return field;
  }

  #add(field: Field): void {
    this.#table.unshift(field);
    this.#size += sizeOf(field);
    this.#evict();
  }

  #resize(limit: number): void {
    if (limit > TABLE_MAX) throw new HpackFault('the table is too large');
    this.#limit = limit;
    this.#evict();
  }

  #evict(): void {
    while (this.#size > this.#limit) {
      const eldest = this.#table.pop();
      if (eldest === undefined) return;
      this.#size -= sizeOf(eldest);
    }
  }
}

const sizeOf = ([name, value]: Field): number => name.length + value.length + ENTRY_OVERHEAD;

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  peek(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new HpackFault('the block ends within a field');
    return byte;
  }

  /** §5.1: the last `prefix` bits of this byte, and more bytes where they are all ones. */
  integer(prefix: number): number {
    const most = 2 ** prefix - 1;
    let value = this.peek() & most;
    this.#at += 1;
    if (value < most) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.peek();
      this.#at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) return value;
    }
    throw new HpackFault('a number is too long');
  }

  /** §5.2. */
  text(): string {
    const coded = (this.peek() & 0x80) !== 0;
    const length = this.integer(7);
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new HpackFault('the block ends within a text');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return coded ? unfold(bytes) : bytes.toString('latin1');
  }
}

/** A tree of the code: two branches, or a symbol. */
type Node = [Node | number | undefined, Node | number | undefined];

let tree: Node | undefined;

/** Canonical: codes count up in the order of their lengths, and of their symbols within one length. */
function treeOf(lengths: string): Node {
  const root: Node = [undefined, undefined];
  const symbols = lengths.split('').map((digit, symbol) => ({ symbol, length: Number.parseInt(digit, 36) }));
  let code = 0;
  let before = 0;
  for (const { symbol, length } of symbols.toSorted((a, b) => a.length - b.length || a.symbol - b.symbol)) {
    code *= 2 ** (length - before);
    before = length;
    let node = root;
    for (let bit = length - 1; bit > 0; bit -= 1) {
      const branch = (code >> bit) & 1;
      const next = node[branch];
      if (typeof next === 'object') node = next;
      else {
        const made: Node = [undefined, undefined];
        node[branch] = made;
        node = made;
      }
    }
    node[code & 1] = symbol;
    code += 1;
  }
  return root;
}

/** §5.2: what is left at the end is the beginning of the end's code, ones. */
function unfold(bytes: Buffer): string {
  const root = (tree ??= treeOf(LENGTHS));
  const out: number[] = [];
  let node = root;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit -= 1) {
      const next = node[(byte >> bit) & 1];
      if (typeof next === 'object') node = next;
      else if (next === undefined || next > 255) throw new HpackFault('no such code');
      else {
        out.push(next);
        node = root;
      }
    }
  }
  return Buffer.from(out).toString('latin1');
}
