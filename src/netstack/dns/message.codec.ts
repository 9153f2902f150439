// DNS messages as kt's resolver reads and writes them (RFC 1035, RFC 6891 for EDNS), on dns-packet. Sans-io.
// Which name is whose is server.ts's; who is asked is resolver.ts's.
import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type Packet,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import type { DnsRecord, ResolveAnswer } from '../dialer.ts';

/** Bytes over UDP without EDNS (RFC 1035 §4.2.1), and with it: what passes every path unfragmented (DNS flag day 2020). */
const UDP_BYTES = 512;
const EDNS_BYTES = 1232;
const HEADER_BYTES = 12;
/** RCODEs, RFC 1035 §4.1.1. dns-packet takes them in the low bits of `flags`. */
export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

export interface Query {
  readonly id: number;
  /** As asked, without a final dot; case kept (0x20). */
  readonly name: string;
  readonly type: string;
  readonly recursionDesired: boolean;
  /** Bytes that the asker takes over UDP. */
  readonly udpBytes: number;
  readonly edns: boolean;
}

/** `drop`: nothing may be answered (no DNS, or an answer: to reply would make loops). `reply`: an error to send back. */
export type Parsed = { readonly query: Query } | { readonly reply: Buffer } | { readonly drop: true };

export function parseQuery(message: Buffer): Parsed {
  if (message.length < HEADER_BYTES || ((message[2] ?? 0) & 0x80) !== 0) return { drop: true };
  const id = message.readUInt16BE(0);
  const opcode = ((message[2] ?? 0) >> 3) & 0x0f;
  if (opcode !== 0) return { reply: bare(id, RCODE.NOTIMP) };
  let packet: Packet;
  try {
    packet = decode(message);
  } catch {
    return { reply: bare(id, RCODE.FORMERR) };
  }
  const [question, ...more] = packet.questions ?? [];
  if (!question || more.length > 0) return { reply: bare(id, RCODE.FORMERR) };
  const opt = (packet.additionals ?? []).find((record) => record.type === 'OPT') as
    | { udpPayloadSize?: number }
    | undefined;
  const udpBytes = opt ? Math.min(EDNS_BYTES, Math.max(UDP_BYTES, opt.udpPayloadSize ?? UDP_BYTES)) : UDP_BYTES;
  const query = {
    id,
    name: question.name,
    type: String(question.type),
    recursionDesired: ((packet.flags ?? 0) & RECURSION_DESIRED) !== 0,
    udpBytes,
    edns: opt !== undefined,
  };
  return question.class !== undefined && question.class !== 'IN'
    ? { reply: encodeReply(query, RCODE.REFUSED, []) }
    : { query };
}

function bare(id: number, rcode: number): Buffer {
  const reply = Buffer.alloc(HEADER_BYTES);
  reply.writeUInt16BE(id, 0);
  reply[2] = 0x80;
  reply[3] = rcode;
  return reply;
}

/** The whole answer; over `limit` bytes a truncated one without records, so that the asker comes again over TCP. */
export function encodeReply(
  query: Query,
  rcode: number,
  answers: readonly Answer[],
  limit = Number.POSITIVE_INFINITY,
): Buffer {
  const flags =
    RECURSION_AVAILABLE |
    (query.recursionDesired ? RECURSION_DESIRED : 0) |
    (answers.length > 0 ? AUTHORITATIVE_ANSWER : 0) |
    rcode;
  const question = { type: query.type as 'A', name: query.name };
  const additionals: Answer[] = query.edns
    ? [
        {
          type: 'OPT',
          name: '.',
          udpPayloadSize: EDNS_BYTES,
          extendedRcode: 0,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [],
        } as unknown as Answer,
      ]
    : [];
  const packet: Packet = {
    type: 'response',
    id: query.id,
    flags,
    questions: [question],
    answers: [...answers],
    additionals,
  };
  const whole = encode(packet);
  if (whole.length <= limit) return whole;
  return encode({ ...packet, flags: flags | TRUNCATED_RESPONSE, answers: [] });
}

/** Records as answers to `name`: what the search list made of the name is not shown, or resolvers would not match the answer. */
export function answersOf(name: string, answer: ResolveAnswer): Answer[] {
  return answer.records.map((record) => toAnswer(name, record));
}

function toAnswer(name: string, { type, ttl, data }: DnsRecord): Answer {
  if (type !== 'SRV') return { type, name, ttl, data } as Answer;
  const [priority = '0', weight = '0', port = '0', target = '.'] = data.split(' ');
  return { type, name, ttl, data: { priority: Number(priority), weight: Number(weight), port: Number(port), target } };
}

/** The address of an in-addr.arpa or ip6.arpa name (RFC 1035 §3.5, RFC 3596 §2.5), or undefined. */
export function reverseAddress(name: string): string | undefined {
  const lower = name.toLowerCase();
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(lower);
  if (v4) return v4.slice(1).every((octet) => Number(octet) < 256) ? v4.slice(1).toReversed().join('.') : undefined;
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(lower)?.[1];
  return v6 ? (v6.split('.').toReversed().join('').match(/.{4}/g) ?? []).join(':') : undefined;
}

export type { Answer };
