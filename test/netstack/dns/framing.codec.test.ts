import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { MessageSplitter, withLength } from '../../../src/netstack/dns/framing.codec.ts';

test('bytes', () => {
  expect(withLength(Buffer.from('abc')).toString('hex')).toBe('0003616263');
  expect(withLength(Buffer.alloc(0)).toString('hex')).toBe('0000');
});

test('messages come out as they went in, however the stream is cut', () => {
  const message = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (messages, cuts) => {
        const stream = Buffer.concat(messages.map(withLength));
        const splitter = new MessageSplitter();
        const out: Buffer[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const size = cuts[turn % cuts.length] ?? 1;
          splitter.push(stream.subarray(at, at + size));
          at += size;
          for (let next = splitter.next(); next; next = splitter.next()) out.push(Buffer.from(next));
        }
        expect(out).toEqual(messages);
        expect(splitter.held).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
});

test('an unfinished message is held, and no more', () => {
  const splitter = new MessageSplitter();
  splitter.push(Buffer.from('ffff', 'hex'));
  for (let sent = 0; sent < 65_534; sent += 1) splitter.push(Buffer.from([1]));
  expect(splitter.next()).toBeUndefined();
  expect(splitter.held).toBe(2 + 65_534);
  splitter.push(Buffer.from([1, 0, 0]));
  expect(splitter.next()?.length).toBe(65_535);
  expect(splitter.next()?.length).toBe(0);
  expect(splitter.held).toBe(0);
});
