// The observer of HTTP/2 with frames cut anywhere, padded and continued ones, and garbage: exchanges are seen once, and nothing is thrown.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Http2Observer } from '../../../src/session/traffic/http2-observer.machine.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

// Fields of the static table, and a path without Huffman.
const request = (path: string): Buffer =>
  Buffer.concat([Buffer.from([0x83, 0x86, 0x44, path.length]), Buffer.from(path)]);
const OK = Buffer.from([0x88]);

function watched(): { log: string[]; observer: Http2Observer } {
  const log: string[] = [];
  const observer = new Http2Observer({
    request: ({ request: { line } }) => log.push(`> ${line}`),
    answer: ({ response }) => log.push(`< ${response?.line ?? ''}`),
    end: ({ request: { body }, response }, error) =>
      log.push(error ?? `${body.content.toString()} / ${response?.body.content.toString() ?? ''}`),
    bytes: () => undefined,
    lost: () => log.push('lost'),
  });
  return { log, observer };
}

const CALLER = Buffer.concat([
  PREFACE,
  frame(4, 0, 0, Buffer.alloc(6)),
  // With priority and padding, in three parts.
  frame(
    1,
    0x8 | 0x20,
    1,
    Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 16]), request('/one').subarray(0, 3), Buffer.alloc(2)]),
  ),
  frame(9, 0, 1, request('/one').subarray(3, 5)),
  frame(9, 0x4, 1, request('/one').subarray(5)),
  frame(0, 0, 1, Buffer.from('he')),
  frame(0, 0x8 | 0x1, 1, Buffer.concat([Buffer.from([3]), Buffer.from('llo'), Buffer.alloc(3)])),
  frame(1, 0x4 | 0x1, 3, request('/two')),
  frame(8, 0, 0, Buffer.alloc(4)),
]);
const APP = Buffer.concat([
  frame(4, 0, 0, Buffer.alloc(0)),
  frame(5, 0x4, 1, Buffer.concat([Buffer.from([0, 0, 0, 2]), request('/pushed')])),
  frame(1, 0x4, 3, OK),
  frame(1, 0x4, 1, OK),
  frame(0, 0, 1, Buffer.from('one ')),
  frame(0, 0x1, 3, Buffer.from('two')),
  frame(0, 0, 1, Buffer.alloc(0)),
  frame(0, 0x1, 1, Buffer.from('more')),
]);

test('frames cut anywhere', () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(cuts, cuts, (there, back) => {
      const { log, observer } = watched();
      for (const [bytes, lengths, give] of [
        [CALLER, there, (piece: Buffer) => observer.fromCaller(piece)],
        [APP, back, (piece: Buffer) => observer.fromApp(piece)],
      ] as const) {
        for (let [at, turn] = [0, 0]; at < bytes.length; turn += 1) {
          const length = lengths[turn % lengths.length] ?? 1;
          give(bytes.subarray(at, at + length));
          at += length;
        }
      }
      expect(log).toEqual([
        '> POST /one HTTP/2',
        '> POST /two HTTP/2',
        '< HTTP/2 200',
        '< HTTP/2 200',
        ' / two',
        'hello / one more',
      ]);
    }),
  );
});

test.each([
  ['a caller that resets', frame(3, 0, 1, Buffer.from([0, 0, 0, 8])), true, 'reset by the caller (HTTP/2 error 8)'],
  [
    'a block that is not finished',
    Buffer.concat([frame(1, 0, 5, OK), frame(0, 0, 5, OK), frame(1, 4, 5, OK)]),
    false,
    'lost',
  ],
  ['a table that lost step', frame(1, 0x4, 1, Buffer.from([0xff, 0x00])), false, 'lost'],
  ['a frame that is too long', frame(1, 0x4, 1, Buffer.alloc(70_000)), false, 'lost'],
])('%s', (_, bytes, fromCaller, last) => {
  const { log, observer } = watched();
  observer.fromCaller(CALLER);
  if (fromCaller) observer.fromCaller(bytes);
  else observer.fromApp(bytes);
  expect(log.at(-1)).toBe(last);
  observer.fromApp(APP);
  expect(log.filter((line) => line === 'lost').length).toBeLessThanOrEqual(1);
});

test('garbage on both sides', () => {
  const garbage = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  const some = fc
    .tuple(fc.integer({ min: 0, max: 10 }), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 5 }), garbage)
    .map((parts) => frame(...parts));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.oneof(garbage, some)), { maxLength: 20 }), (pieces) => {
      const { observer } = watched();
      observer.fromCaller(PREFACE);
      for (const [fromCaller, bytes] of pieces) {
        if (fromCaller) observer.fromCaller(bytes);
        else observer.fromApp(bytes);
      }
    }),
  );
});
