import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ErrorCode, KtError } from '../../../src/errors.ts';
import { parseSocks4 } from '../../../src/netstack/socks/socks4.codec.ts';
import {
  encodeDatagramHeader,
  encodeReply,
  parseDatagram,
  parseGreeting,
  parsePassword,
  parseRequest,
  REPLY,
  replyFor,
} from '../../../src/netstack/socks/socks5.codec.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('requests', () => {
  test.each([
    ['IPv4', '05 01 00 01 0a600001 0050', { host: '10.96.0.1', port: 80 }],
    ['IPv6', '05 01 00 04 20010db800000000000000000000000a 01bb', { host: '2001:db8::a', port: 443 }],
    ['IPv4 mapped into IPv6', '05 01 00 04 00000000000000000000ffff0a600001 0050', { host: '10.96.0.1', port: 80 }],
    ['a name', '05 01 00 03 07 67617465776179 1f90', { host: 'gateway', port: 8080 }],
    ['a name with a trailing dot, in capitals', '05 01 00 03 05 472e4e532e 0050', { host: 'g.ns', port: 80 }],
    ['an address written as a name', '05 01 00 03 05 5b3a3a315d 0050', { host: '::1', port: 80 }],
  ])('%s', (_, bytes, target) => {
    const buffer = hex(bytes);
    expect(parseRequest(buffer)).toEqual({ command: 1, target, bytes: buffer.length });
    for (let length = 0; length < buffer.length; length += 1) {
      expect(parseRequest(buffer.subarray(0, length))).toBeUndefined();
    }
  });

  test.each([
    ['an unknown address type', '05 01 00 02 00', REPLY.addressTypeNotSupported],
    ['a name of no letters', '05 01 00 03 00 0050', REPLY.hostUnreachable],
    ['a name with a NUL', '05 01 00 03 03 610062 0050', REPLY.hostUnreachable],
    ['bytes that are no UTF-8', '05 01 00 03 02 fffe 0050', REPLY.hostUnreachable],
    ['another version', '04', REPLY.generalFailure],
  ])('%s is malformed', (_, bytes, reply) => {
    expect(parseRequest(hex(bytes))).toMatchObject({ reply });
  });
});

describe('replies', () => {
  test('are 10 bytes, and 22 for IPv6', () => {
    expect(encodeReply(REPLY.refused).toString('hex')).toBe('05050001000000000000');
    expect(encodeReply(0, { host: '127.0.0.1', port: 0x1234 }).toString('hex')).toBe('050000017f0000011234');
    expect(encodeReply(0, { host: '::1', port: 1 }).toString('hex')).toBe(`05000004${'00'.repeat(15)}010001`);
  });

  test.each<[ErrorCode, number]>([
    ['DIAL_REFUSED', 5],
    ['DIAL_NOT_FOUND', 4],
    ['DIAL_UNREACHABLE', 4],
    ['DIAL_TIMEOUT', 6],
    ['DIAL_DENIED', 2],
    ['DIAL_FAILED', 1],
    ['LINK_LOST', 3],
    ['LINK_PARKED', 3],
    ['UNSUPPORTED', 7],
    ['INTERNAL', 1],
  ])('%s is reply %i', (code, reply) => {
    expect(replyFor(new KtError(code, 'x'))).toBe(reply);
  });

  test('a network that is unreachable is 03, by cause and by text', () => {
    const cause = Object.assign(new Error('x'), { code: 'ENETUNREACH' });
    expect(replyFor(new KtError('DIAL_UNREACHABLE', 'x', { cause }))).toBe(3);
    expect(replyFor(new KtError('DIAL_UNREACHABLE', 'connect ENETUNREACH 10.0.0.1:80'))).toBe(3);
  });
});

describe('datagrams', () => {
  const targets = fc.record({
    host: fc.oneof(fc.ipV4(), fc.domain(), fc.constant('2001:db8::a')),
    port: fc.integer({ min: 1, max: 65_535 }),
  });

  test('property: header and data come back', () => {
    fc.assert(
      fc.property(targets, fc.uint8Array({ maxLength: 64 }), (target, data) => {
        const datagram = Buffer.concat([encodeDatagramHeader(target), data]);
        expect(parseDatagram(datagram)).toEqual({
          target: { host: target.host.toLowerCase(), port: target.port },
          data: Buffer.from(data),
        });
      }),
    );
  });

  test.each([
    ['nothing', ''],
    ['a fragment', '0000 01 01 7f000001 0035 61'],
    ['reserved bytes set', '0001 00 01 7f000001 0035 61'],
    ['cut off in the address', '0000 00 01 7f0000'],
    ['an unknown address type', '0000 00 09 7f000001 0035'],
    ['port 0', '0000 00 01 7f000001 0000 61'],
  ])('%s is dropped', (_, bytes) => {
    expect(parseDatagram(hex(bytes))).toBeUndefined();
  });
});

describe('SOCKS4', () => {
  test('an address, and a name behind 0.0.0.x', () => {
    expect(parseSocks4(hex('04 01 0050 0a600001 726f6f74 00'))).toEqual({
      command: 1,
      target: { host: '10.96.0.1', port: 80 },
      bytes: 13,
    });
    expect(parseSocks4(hex('04 01 0050 00000001 00 67617465776179 00'))).toEqual({
      command: 1,
      target: { host: 'gateway', port: 80 },
      bytes: 17,
    });
  });

  test('fields without an end are refused, not collected', () => {
    expect(parseSocks4(Buffer.concat([hex('04 01 0050 0a600001'), Buffer.alloc(256, 'a')]))).toHaveProperty(
      'malformed',
    );
    expect(parseSocks4(Buffer.concat([hex('04 01 0050 00000001 00'), Buffer.alloc(256, 'a')]))).toHaveProperty(
      'malformed',
    );
  });
});

test('property: no parser throws, and none reads more than there is', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.constantFrom(undefined, 0, 1, 4, 5), (bytes, first) => {
      const buffer = Buffer.from(bytes);
      if (first !== undefined && buffer.length > 0) buffer[0] = first;
      for (const parse of [parseGreeting, parsePassword, parseRequest, parseSocks4]) {
        const parsed = parse(buffer);
        if (parsed !== undefined && 'bytes' in parsed) expect(parsed.bytes).toBeLessThanOrEqual(buffer.length);
      }
      parseDatagram(buffer);
    }),
    { numRuns: 1000 },
  );
});
