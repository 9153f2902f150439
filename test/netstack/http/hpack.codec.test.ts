// The HPACK decoder against RFC 7541's own examples and against node:http2 as the encoder, whatever the fields.
import { once } from 'node:events';
import { connect, createServer } from 'node:http2';
import { type AddressInfo, connect as tcp, createServer as tcpServer } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HpackDecoder, HpackFault } from '../../../src/netstack/http/hpack.codec.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('RFC 7541 C.3, without Huffman, one table', () => {
  const decoder = new HpackDecoder();
  expect(decoder.decode(hex('8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d'))).toEqual([
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ]);
  expect(decoder.decode(hex('8286 84be 5808 6e6f 2d63 6163 6865')).at(-1)).toEqual(['cache-control', 'no-cache']);
  expect(decoder.decode(hex('8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65'))).toEqual([
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ]);
});

test('RFC 7541 C.6, with Huffman and a table of 256 bytes that evicts', () => {
  const decoder = new HpackDecoder();
  decoder.decode(hex('3fe1 01'));
  const first = decoder.decode(
    hex(
      '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
    ),
  );
  expect(first).toEqual([
    [':status', '302'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['location', 'https://www.example.com'],
  ]);
  expect(decoder.decode(hex('4883 640e ffc1 c0bf'))).toEqual([[':status', '307'], ...first.slice(1)]);
  const third = decoder.decode(
    hex(
      '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
    ),
  );
  expect(third.at(-1)).toEqual(['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1']);
});

/** Header blocks of requests as node:http2 writes them, in their order. */
async function blocksOf(requests: readonly Record<string, string>[]): Promise<Buffer[]> {
  const server = createServer((_, response) => response.end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const blocks: Buffer[] = [];
  // Between both, to see the bytes.
  const between = tcpServer((client) => {
    const upstream = tcp((server.address() as AddressInfo).port, '127.0.0.1');
    let held = Buffer.alloc(0);
    let skip = 24;
    client.on('data', (chunk: Buffer) => {
      upstream.write(chunk);
      held = Buffer.concat([held, chunk]);
      if (skip > 0 && held.length >= skip) {
        held = held.subarray(skip);
        skip = 0;
      }
      while (skip === 0 && held.length >= 9 && held.length >= 9 + held.readUIntBE(0, 3)) {
        const end = 9 + held.readUIntBE(0, 3);
        if (held[3] === 1) blocks.push(held.subarray((held[4] ?? 0) & 0x20 ? 14 : 9, end));
        held = held.subarray(end);
      }
    });
    upstream.on('data', (chunk: Buffer) => client.write(chunk));
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    client.on('close', () => upstream.destroy());
  });
  between.listen(0, '127.0.0.1');
  await once(between, 'listening');
  const session = connect(`http://127.0.0.1:${(between.address() as AddressInfo).port}`);
  for (const headers of requests) {
    const stream = session.request(headers);
    stream.resume();
    await once(stream, 'close');
  }
  session.destroy();
  await Promise.all([server, between].map((one) => new Promise((resolve) => one.close(resolve))));
  return blocks;
}

test('what node:http2 writes is read, over many requests of one table', { timeout: 60_000 }, async () => {
  // Visible characters, spaces between, and the letters of latin1.
  const value = fc.string({
    unit: fc
      .integer({ min: 0x21, max: 0xff })
      .filter((code) => code !== 0x7f && code < 0x80)
      .map((code) => String.fromCharCode(code)),
    maxLength: 80,
  });
  const name = fc
    .string({
      unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789-_'.split('')),
      minLength: 1,
      maxLength: 30,
    })
    .map((one) => `x-${one}`);
  const requests = fc.array(fc.dictionary(name, value, { maxKeys: 8 }), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(requests, async (all) => {
      const decoder = new HpackDecoder();
      const blocks = await blocksOf(all.map((headers, at) => ({ ':path': `/${at}`, ...headers })));
      const read = blocks.map((block) => Object.fromEntries(decoder.decode(block)));
      expect(read).toMatchObject(all.map((headers, at) => ({ ':method': 'GET', ':path': `/${at}`, ...headers })));
    }),
    { numRuns: 15 },
  );
});

test.each([
  ['an index that is nowhere', 'ff00'],
  ['the index 0', '80'],
  ['a text that is cut', '0005 6162'],
  ['a number without an end', 'ffff ffff ffff ff'],
  ['a table of many MiB', '3fff ffff 07'],
  ['the code of the end', '0084 ffff ffff 00'],
])('%s is a fault', (_, block) => {
  expect(() => new HpackDecoder().decode(hex(block))).toThrow(HpackFault);
});

test('a bomb: one long field named many times', () => {
  const decoder = new HpackDecoder();
  const field = Buffer.concat([hex('4001 61 7f a116'), Buffer.alloc(0x7f + 0x21 + 0x16 * 128, 'x')]);
  expect(decoder.decode(field)[0]?.[1]).toHaveLength(0x7f + 0x21 + 0x16 * 128);
  expect(() => decoder.decode(Buffer.alloc(10_000, 0xbe))).toThrow('too many fields');
});

test('garbage never does more than throw a fault', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        new HpackDecoder().decode(Buffer.from(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(HpackFault);
      }
    }),
    { numRuns: 500 },
  );
});
