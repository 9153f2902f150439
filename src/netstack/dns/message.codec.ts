// DNS messages as kt's resolver reads and writes them (RFC 1035; RFC 6891 for EDNS), records by dns-packet. Sans-io.
// The question goes back byte for byte, so that its case (0x20) and names that are no text stay as they were asked.
// Which name is whose is resolver.ts's.
import { type Answer, decode, encode } from 'dns-packet';
import type { DnsRecord, ResolveAnswer } from '../dialer.ts';

/** Bytes over UDP without EDNS (RFC 1035 §4.2.1), and with it: what passes every path unfragmented (DNS flag day 2020). */
const UDP_BYTES = 512;
const EDNS_BYTES = 1232;
const HEADER_BYTES = 12;
/** RFC 1035 §2.3.4, with the last zero. */
const NAME_BYTES_MAX = 255;
/** A question has an OPT, a TSIG or a cookie at most; the count comes from a stranger and sizes an array. */
const ADDITIONALS_MAX = 4;
/** RFC 1035 §4.1.1. */
export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
/** RFC 6891 §9: 16, of which the upper 8 bits stand in the OPT record. */
const BADVERS_UPPER = 1;
const CLASS_IN = 1;
/** Points to the name of the question (RFC 1035 §4.1.4). */
const POINTER_TO_QUESTION = Buffer.from([0xc0, HEADER_BYTES]);
/** RFC 1035 §3.2.2, RFC 3596, RFC 2782. */
const TYPES: Readonly<Record<number, Query['type']>> = {
  1: 'A',
  5: 'CNAME',
  12: 'PTR',
  28: 'AAAA',
  33: 'SRV',
  // Never answered: they are for amplification and for copies of zones (RFC 8482, RFC 5936, RFC 1995).
  251: 'refused',
  252: 'refused',
  255: 'refused',
};

export interface Query {
  readonly id: number;
  /** As asked, without a final dot; `''` for the root. Undefined where a label holds bytes that no host name has. */
  readonly name: string | undefined;
  readonly type: 'A' | 'AAAA' | 'SRV' | 'CNAME' | 'PTR' | 'refused' | 'other';
  /** Name, type and class as they came. */
  readonly question: Buffer;
  readonly recursionDesired: boolean;
  /** Bytes that the asker takes over UDP. */
  readonly udpBytes: number;
  readonly edns: boolean;
}

/** `drop`: nothing may be answered (no DNS, or an answer: to reply would make loops). `reply`: an error to send back. */
export type Parsed = { readonly query: Query } | { readonly reply: Buffer } | { readonly drop: true };

export function parseQuery(message: Buffer): Parsed {
  if (message.length < HEADER_BYTES || ((message[2] ?? 0) & 0x80) !== 0) return { drop: true };
  const opcode = ((message[2] ?? 0) >> 3) & 0x0f;
  if (opcode !== 0) return { reply: bare(message, RCODE.NOTIMP) };
  const question = questionBytes(message);
  const counts = [4, 6, 8, 10].map((offset) => message.readUInt16BE(offset));
  if (question === undefined || counts[1] !== 0 || counts[2] !== 0 || (counts[3] ?? 0) > ADDITIONALS_MAX)
    return { reply: bare(message, RCODE.FORMERR) };
  let opt: { udpPayloadSize?: number; ednsVersion?: number } | undefined;
  try {
    const found = (decode(message).additionals ?? []).filter((record) => record.type === 'OPT');
    if (found.length > 1) return { reply: bare(message, RCODE.FORMERR) };
    opt = found[0];
  } catch {
    return { reply: bare(message, RCODE.FORMERR) };
  }
  const size = Math.max(UDP_BYTES, opt?.udpPayloadSize ?? UDP_BYTES);
  const type = question.readUInt16BE(question.length - 4);
  const query: Query = {
    id: message.readUInt16BE(0),
    name: nameText(question),
    type: TYPES[type] ?? 'other',
    question,
    recursionDesired: ((message[2] ?? 0) & 0x01) !== 0,
    udpBytes: Math.min(EDNS_BYTES, size),
    edns: opt !== undefined,
  };
  if ((opt?.ednsVersion ?? 0) !== 0) return { reply: encodeReply(query, RCODE.NOERROR, [], undefined, BADVERS_UPPER) };
  const isInternet = question.readUInt16BE(question.length - 2) === CLASS_IN;
  return isInternet ? { query } : { reply: encodeReply(query, RCODE.REFUSED, []) };
}

/** Name, type and class of the one question of a message; undefined where there is not exactly one, or it is not whole. */
export function questionBytes(message: Buffer): Buffer | undefined {
  if (message.length < HEADER_BYTES || message.readUInt16BE(4) !== 1) return undefined;
  let end = HEADER_BYTES;
  for (;;) {
    const length = message[end];
    // A pointer in the question has nothing to point to.
    if (length === undefined || length > 63) return undefined;
    end += 1 + length;
    if (end - HEADER_BYTES > NAME_BYTES_MAX) return undefined;
    if (length === 0) break;
  }
  return message.length < end + 4 ? undefined : message.subarray(HEADER_BYTES, end + 4);
}

function nameText(question: Buffer): string | undefined {
  const labels: string[] = [];
  for (let at = 0; question[at]; at += 1 + (question[at] ?? 0)) {
    const label = question.toString('latin1', at + 1, at + 1 + (question[at] ?? 0));
    if (!/^[a-z0-9_-]+$/i.test(label)) return undefined;
    labels.push(label);
  }
  return labels.join('.');
}

/** The header alone, for what can't be read further. */
function bare(message: Buffer, rcode: number): Buffer {
  const reply = Buffer.alloc(HEADER_BYTES);
  message.copy(reply, 0, 0, 2);
  // Opcode and "recursion desired" as asked (RFC 1035 §4.1.1).
  reply[2] = 0x80 | ((message[2] ?? 0) & 0x79);
  reply[3] = rcode;
  return reply;
}

/** The whole answer; over `limit` bytes a truncated one without records, so that the asker comes again over TCP. */
export function encodeReply(
  query: Query,
  rcode: number,
  records: readonly DnsRecord[],
  limit = Number.POSITIVE_INFINITY,
  upperRcode = 0,
): Buffer {
  const answers = records.map((record) => encodeRecord(record, records[0]?.name ?? ''));
  const opt = query.edns
    ? Buffer.from([0, 0, 41, EDNS_BYTES >> 8, EDNS_BYTES & 0xff, upperRcode, 0, 0, 0, 0, 0])
    : undefined;
  const rest = [query.question, ...answers, ...(opt ? [opt] : [])];
  const size = HEADER_BYTES + rest.reduce((sum, part) => sum + part.length, 0);
  const cut = size > Math.min(limit, 0xffff) || answers.length > 0xffff;
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(query.id, 0);
  header[2] = 0x80 | (cut ? 0x02 : 0) | (query.recursionDesired ? 0x01 : 0);
  // "Recursion available": stub resolvers complain without it.
  header[3] = 0x80 | rcode;
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(cut ? 0 : answers.length, 6);
  header.writeUInt16BE(opt ? 1 : 0, 10);
  return Buffer.concat(cut ? [header, query.question, ...(opt ? [opt] : [])] : [header, ...rest]);
}

/**
 * The first record, and those of the same owner, get the name that was asked: what the search list made of it is not shown, or
 * resolvers would not match the answer. Others belong to the alias before them (CNAME) and keep their owner.
 */
function encodeRecord({ type, name, ttl, data }: DnsRecord, asked: string): Buffer {
  // dns-packet writes whole messages: one of this record alone; the root's name, one byte, is replaced.
  const own = name !== asked;
  const message = encode({ type: 'response', answers: [toAnswer(own ? name : '.', type, ttl, data)] });
  return own
    ? message.subarray(HEADER_BYTES)
    : Buffer.concat([POINTER_TO_QUESTION, message.subarray(HEADER_BYTES + 1)]);
}

function toAnswer(name: string, type: DnsRecord['type'], ttl: number, data: string): Answer {
  if (type !== 'SRV') return { type, name, ttl, data };
  const [priority = '0', weight = '0', port = '0', target = '.'] = data.split(' ');
  return { type, name, ttl, data: { priority: Number(priority), weight: Number(weight), port: Number(port), target } };
}

/** The records of the type that was asked for, and the CNAME that leads to them or on to others. */
export function recordsFor(query: Query, { records }: ResolveAnswer): DnsRecord[] {
  return records.filter(({ type }) => type === query.type || type === 'CNAME');
}

/** The address of an in-addr.arpa or ip6.arpa name (RFC 1035 §3.5, RFC 3596 §2.5), or undefined. */
export function reverseAddress(name: string): string | undefined {
  const lower = name.toLowerCase();
  const octet = '(0|[1-9]\\d{0,2})';
  const v4 = new RegExp(`^${octet}\\.${octet}\\.${octet}\\.${octet}\\.in-addr\\.arpa$`).exec(lower);
  if (v4) return v4.slice(1).every((part) => Number(part) < 256) ? v4.slice(1).reverse().join('.') : undefined;
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(lower)?.[1];
  return v6 ? (v6.split('.').reverse().join('').match(/.{4}/g) ?? []).join(':') : undefined;
}
