// Bytes by RFC 1035 and 6891; dns-packet is the peer that writes questions and reads replies.
import { type Answer, decode, encode, type Packet } from 'dns-packet';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DnsRecord } from '../../../src/netstack/dialer.ts';
import {
  encodeReply,
  parseQuery,
  type Query,
  RCODE,
  recordsFor,
  reverseAddress,
} from '../../../src/netstack/dns/message.codec.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const question = (packet: Packet): Buffer => encode({ type: 'query', id: 0x1234, ...packet });
const opt = (size: number, version = 0): Answer =>
  ({
    type: 'OPT',
    name: '.',
    udpPayloadSize: size,
    extendedRcode: 0,
    ednsVersion: version,
    flags: 0,
    flag_do: false,
    options: [],
  }) as unknown as Answer;

function parsed(message: Buffer): Query {
  const result = parseQuery(message);
  if (!('query' in result)) throw new Error(`no question: ${JSON.stringify(result)}`);
  return result.query;
}
function refused(message: Buffer): Buffer {
  const result = parseQuery(message);
  if (!('reply' in result)) throw new Error('no reply');
  return result.reply;
}
const a = (data: string, ttl = 5, name = 'gateway.shop.svc.cluster.local'): DnsRecord => ({
  type: 'A',
  name,
  ttl,
  data,
});

/** `A GaTeWay`, recursion desired. */
const ASKED = hex('1234 0100 0001 0000 0000 0000 07 4761 5465 5761 79 00 0001 0001');

describe('questions', () => {
  test('bytes', () => {
    expect(parsed(ASKED)).toMatchObject({
      id: 0x1234,
      name: 'GaTeWay',
      type: 'A',
      recursionDesired: true,
      edns: false,
      udpBytes: 512,
    });
  });

  test('types', () => {
    const type = (name: string): string => parsed(question({ questions: [{ type: name as 'A', name: 'a.b' }] })).type;
    expect(['A', 'AAAA', 'SRV', 'CNAME', 'PTR', 'MX', 'TXT', 'UNKNOWN_65', 'ANY', 'AXFR', 'IXFR'].map(type)).toEqual([
      'A',
      'AAAA',
      'SRV',
      'CNAME',
      'PTR',
      'other',
      'other',
      'other',
      'refused',
      'refused',
      'refused',
    ]);
  });

  test('EDNS: the size is taken between 512 and what passes every path', () => {
    const size = (bytes: number): number =>
      parsed(question({ questions: [{ type: 'A', name: 'a' }], additionals: [opt(bytes)] })).udpBytes;
    expect([1, 511, 512, 1000, 1232, 4096, 65_535].map(size)).toEqual([512, 512, 512, 1000, 1232, 1232, 1232]);
  });

  test('EDNS of a later version is BADVERS, in two parts', () => {
    const reply = refused(question({ questions: [{ type: 'A', name: 'a' }], additionals: [opt(1232, 1)] }));
    expect((reply[3] ?? 0) & 0x0f).toBe(0);
    expect(decode(reply).additionals?.[0]).toMatchObject({ type: 'OPT', extendedRcode: 1, ednsVersion: 0 });
  });

  test('the root, and names that are no text', () => {
    expect(parsed(question({ questions: [{ type: 'A', name: '.' }] })).name).toBe('');
    for (const label of ['01 20', '01 2e', '01 ff', '03 61ff62', '02 c3a4']) {
      const message = hex(`1234 0100 0001 0000 0000 0000 ${label} 00 0001 0001`);
      expect(parsed(message).name).toBeUndefined();
      // They go back as they came.
      expect(encodeReply(parsed(message), RCODE.NOERROR, []).subarray(12)).toEqual(message.subarray(12));
    }
  });
});

describe('what is no question', () => {
  const cases: [string, string, 'drop' | number][] = [
    ['nothing', '', 'drop'],
    ['half a header', '1234 0100 0001', 'drop'],
    ['an answer: to reply would make loops', '1234 8100 0001 0000 0000 0000 00 0001 0001', 'drop'],
    ['a status request', '1234 1000 0000 0000 0000 0000', 4],
    ['an update', '1234 2800 0001 0000 0000 0000 00 0006 0001', 4],
    ['no question', '1234 0100 0000 0000 0000 0000', 1],
    ['two questions', '1234 0100 0002 0000 0000 0000 0161 00 0001 0001 0162 00 0001 0001', 1],
    ['a name that is cut off', '1234 0100 0001 0000 0000 0000 0561 62', 1],
    ['no type', '1234 0100 0001 0000 0000 0000 0161 00 00', 1],
    ['a pointer to itself', '1234 0100 0001 0000 0000 0000 c00c 0001 0001', 1],
    ['a label of 64 bytes', `1234 0100 0001 0000 0000 0000 40 ${'61'.repeat(64)} 00 0001 0001`, 1],
    ['a name of 256 bytes', `1234 0100 0001 0000 0000 0000 ${`3f${'61'.repeat(63)}`.repeat(4)} 00 0001 0001`, 1],
    ['answers in a question', '1234 0100 0001 0001 0000 0000 0161 00 0001 0001', 1],
    ['65,535 additional records', '1234 0100 0001 0000 0000 ffff 0161 00 0001 0001', 1],
    [
      'two OPT',
      '1234 0100 0001 0000 0000 0002 0161 00 0001 0001 00 0029 0200 00000000 0000 00 0029 0200 00000000 0000',
      1,
    ],
    ['class CHAOS (version.bind)', '1234 0100 0001 0000 0000 0000 0161 00 0010 0003', 5],
  ];
  for (const [what, bytes, expected] of cases) {
    test(`${what}: ${expected === 'drop' ? 'dropped' : `RCODE ${expected}`}`, () => {
      const result = parseQuery(hex(bytes));
      if (expected === 'drop') return expect(result).toEqual({ drop: true });
      const reply = refused(hex(bytes));
      expect(reply.subarray(0, 2).toString('hex')).toBe('1234');
      expect((reply[2] ?? 0) & 0x80).toBe(0x80);
      expect((reply[3] ?? 0) & 0x0f).toBe(expected);
      // Never more than was sent.
      return expect(reply.length).toBeLessThanOrEqual(Math.max(12, hex(bytes).length));
    });
  }
});

describe('replies', () => {
  test('bytes: the question as it came, its name by a pointer', () => {
    expect(encodeReply(parsed(ASKED), RCODE.NOERROR, [a('10.96.1.1')]).toString('hex')).toBe(
      hex(
        '1234 8180 0001 0001 0000 0000 07 4761 5465 5761 79 00 0001 0001 c00c 0001 0001 00000005 0004 0a600101',
      ).toString('hex'),
    );
  });

  test('every type, as dns-packet reads it', () => {
    const query = parsed(question({ questions: [{ type: 'A', name: 'Gateway' }], additionals: [opt(1232)] }));
    const records: DnsRecord[] = [
      a('10.96.1.1'),
      { ...a('fd00::1'), type: 'AAAA' },
      { ...a('db.example.com'), type: 'CNAME' },
      { ...a('gateway.shop.svc.cluster.local'), type: 'PTR' },
      { ...a('1 2 8080 gateway.shop.svc.cluster.local'), type: 'SRV' },
    ];
    const reply = decode(encodeReply(query, RCODE.NOERROR, records));
    expect(reply.questions).toMatchObject([{ name: 'Gateway', type: 'A', class: 'IN' }]);
    expect(reply.answers?.map((answer) => [answer.type, answer.name, 'data' in answer && answer.data])).toEqual([
      ['A', 'Gateway', '10.96.1.1'],
      ['AAAA', 'Gateway', 'fd00::1'],
      ['CNAME', 'Gateway', 'db.example.com'],
      ['PTR', 'Gateway', 'gateway.shop.svc.cluster.local'],
      ['SRV', 'Gateway', { priority: 1, weight: 2, port: 8080, target: 'gateway.shop.svc.cluster.local' }],
    ]);
    expect(reply.additionals?.map((record) => record.type)).toEqual(['OPT']);
  });

  test('over the limit: none of the records, and the sign to come over TCP', () => {
    const query = parsed(ASKED);
    const records = Array.from({ length: 100 }, (_, index) => a(`10.0.0.${index}`));
    const cut = encodeReply(query, RCODE.NOERROR, records, query.udpBytes);
    expect(cut.length).toBeLessThanOrEqual(512);
    expect([decode(cut).flag_tc, decode(cut).answers?.length]).toEqual([true, 0]);
    expect(decode(encodeReply(query, RCODE.NOERROR, records)).answers?.length).toBe(100);
  });

  test('more than a message can hold does not throw', () => {
    const records = Array.from({ length: 70_000 }, () => a('10.0.0.1'));
    expect(encodeReply(parsed(ASKED), RCODE.NOERROR, records).length).toBeLessThanOrEqual(65_535);
  });

  test('only what was asked for', () => {
    const query = parsed(question({ questions: [{ type: 'AAAA', name: 'a' }] }));
    expect(
      recordsFor(query, { found: true, records: [a('10.0.0.1'), { ...a('fd00::1'), type: 'AAAA' }] }).map(
        (one) => one.type,
      ),
    ).toEqual(['AAAA']);
  });
});

describe('reverse names', () => {
  const cases: [string, string | undefined][] = [
    ['1.2.96.10.in-addr.arpa', '10.96.2.1'],
    ['1.2.96.10.IN-ADDR.ARPA', '10.96.2.1'],
    ['256.2.96.10.in-addr.arpa', undefined],
    ['01.2.96.10.in-addr.arpa', undefined],
    ['2.96.10.in-addr.arpa', undefined],
    ['in-addr.arpa', undefined],
    ['example.com', undefined],
    [`${'1.'.padEnd(64, '0.')}ip6.arpa`, '0000:0000:0000:0000:0000:0000:0000:0001'],
    [`${'1.'.padEnd(62, '0.')}ip6.arpa`, undefined],
    [`${'g.'.repeat(32)}ip6.arpa`, undefined],
  ];
  for (const [name, expected] of cases)
    test(`${name.slice(0, 30)}: ${expected}`, () => expect(reverseAddress(name)).toBe(expected));
});

describe('any bytes', () => {
  const valid = fc
    .record({
      name: fc.domain(),
      type: fc.constantFrom('A', 'AAAA', 'SRV', 'ANY', 'TXT', 'PTR'),
      edns: fc.boolean(),
    })
    .map(({ name, type, edns }) =>
      question({ questions: [{ type: type as 'A', name }], additionals: edns ? [opt(4096)] : [] }),
    );
  const mutated = fc
    .tuple(valid, fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 }), fc.nat(400))
    .map(([message, changes, length]) => {
      const copy = Buffer.from(message);
      for (const [at, byte] of changes) copy[at % copy.length] = byte;
      return copy.subarray(0, Math.max(1, length));
    });

  test('never throw; a reply is one, to the same id, and no longer than what came (EDNS and a header aside)', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          mutated,
          fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
        ),
        (message) => {
          const result = parseQuery(message);
          const reply =
            'reply' in result
              ? result.reply
              : 'query' in result
                ? encodeReply(result.query, RCODE.SERVFAIL, [])
                : undefined;
          if (reply === undefined) return;
          expect(reply.subarray(0, 2)).toEqual(message.subarray(0, 2));
          expect((reply[2] ?? 0) & 0x80).toBe(0x80);
          expect(reply.length).toBeLessThanOrEqual(message.length + 12);
          expect(() => decode(reply)).not.toThrow();
        },
      ),
      { numRuns: 5_000 },
    );
  });

  test('what dns-packet asks is read as it was meant', () => {
    fc.assert(
      fc.property(fc.domain(), fc.constantFrom('A', 'AAAA', 'SRV', 'CNAME', 'PTR'), (name, type) => {
        expect(parsed(question({ questions: [{ type, name }] }))).toMatchObject({ name, type });
      }),
    );
  });
});
