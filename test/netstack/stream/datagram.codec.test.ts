import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DATAGRAM_BYTES_MAX, DatagramDecoder, encodeDatagram } from '../../../src/netstack/stream/datagram.codec.ts';

const hex = (bytes: Buffer): string => bytes.toString('hex');

describe('the bytes', () => {
  test.each([
    ['', '0000'],
    ['aa', '0001aa'],
    ['010203', '0003010203'],
  ])('%j', (datagram, framed) => {
    expect(hex(encodeDatagram(Buffer.from(datagram, 'hex')))).toBe(framed);
    expect(new DatagramDecoder().push(Buffer.from(framed, 'hex')).map(hex)).toEqual([datagram]);
  });

  test('the longest, and one byte more', () => {
    const longest = Buffer.alloc(DATAGRAM_BYTES_MAX, 7);
    const [decoded] = new DatagramDecoder().push(encodeDatagram(longest));
    expect(decoded?.equals(longest)).toBe(true);
    expect(() => encodeDatagram(Buffer.alloc(DATAGRAM_BYTES_MAX + 1))).toThrow(RangeError);
  });
});

describe('decoding', () => {
  test('several in one chunk, the last one cut at every byte', () => {
    const bytes = Buffer.from('0001aa00000003010203', 'hex');
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const decoder = new DatagramDecoder();
      const all = [...decoder.push(bytes.subarray(0, cut)), ...decoder.push(bytes.subarray(cut))];
      expect(all.map(hex)).toEqual(['aa', '', '010203']);
    }
  });

  test('byte by byte', () => {
    const decoder = new DatagramDecoder();
    const bytes = encodeDatagram(Buffer.alloc(DATAGRAM_BYTES_MAX, 1));
    let whole = 0;
    for (let round = 0; round < 5; round += 1) for (const byte of bytes) whole += decoder.push(Buffer.of(byte)).length;
    expect(whole).toBe(5);
  });

  test('property: any datagrams, any cuts', () => {
    const datagrams = fc.array(fc.oneof(fc.uint8Array({ maxLength: 30 }), fc.uint8Array({ maxLength: 3_000 })), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(datagrams, fc.array(fc.nat(10_000), { maxLength: 12 }), (sent, cuts) => {
        const bytes = Buffer.concat(sent.map((datagram) => encodeDatagram(datagram)));
        const at = [...cuts.filter((cut) => cut < bytes.length), bytes.length].sort((a, b) => a - b);
        const decoder = new DatagramDecoder();
        const got = at.flatMap((to, index) => decoder.push(bytes.subarray(at[index - 1] ?? 0, to)));
        expect(got.map(hex)).toEqual(sent.map((datagram) => hex(Buffer.from(datagram))));
      }),
    );
  });

  test('property: random bytes never throw, and never give more than came', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (chunks) => {
        const decoder = new DatagramDecoder();
        let [came, given] = [0, 0];
        for (const chunk of chunks) {
          came += chunk.length;
          for (const datagram of decoder.push(Buffer.from(chunk))) given += 2 + datagram.length;
        }
        expect(given).toBeLessThanOrEqual(came);
      }),
    );
  });
});
