import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FrameParser, HEADER_BYTES, putHeader } from '../../../src/netstack/mux/yamux.codec.ts';

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly length: number;
  payload: string;
  whole: boolean;
}

/** Reads chunks and writes down what the parser tells. */
function parse(chunks: readonly Uint8Array[]): { frames: Frame[]; violations: string[] } {
  const frames: Frame[] = [];
  const violations: string[] = [];
  const parser = new FrameParser({
    onHeader: (type, flags, id, length) => {
      expect(frames.at(-1)?.whole ?? true, 'a header inside of a frame').toBe(true);
      frames.push({ type, flags, id, length, payload: '', whole: type !== 0 });
    },
    onPayload: (part) => {
      const frame = frames.at(-1) as Frame;
      expect(part.length).toBeGreaterThan(0);
      frame.payload += part.toString('hex');
      expect(frame.payload.length / 2, 'payload beyond the length').toBeLessThanOrEqual(frame.length);
    },
    onFrameEnd: () => {
      const frame = frames.at(-1) as Frame;
      expect(frame.payload.length / 2).toBe(frame.length);
      frame.whole = true;
    },
    onViolation: (message) => violations.push(message),
  });
  for (const chunk of chunks) parser.push(Buffer.from(chunk));
  return { frames, violations };
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const header = (type: number, flags: number, id: number, length: number): string => {
  const bytes = Buffer.alloc(HEADER_BYTES);
  putHeader(bytes, 0, type, flags, id, length);
  return bytes.toString('hex');
};

describe('the wire format (hashicorp/yamux spec.md)', () => {
  test.each([
    ['DATA with SYN on stream 1, 5 bytes', [0, 1, 1, 5], '00 00 0001 00000001 00000005'],
    ['WINDOW_UPDATE with ACK on stream 2, 256 KiB', [1, 2, 2, 262_144], '00 01 0002 00000002 00040000'],
    ['WINDOW_UPDATE with FIN', [1, 4, 3, 0], '00 01 0004 00000003 00000000'],
    ['WINDOW_UPDATE with RST on the last id', [1, 8, 0x7fff_ffff, 0], '00 01 0008 7fffffff 00000000'],
    ['PING', [2, 1, 0, 0xdead_beef], '00 02 0001 00000000 deadbeef'],
    ['GO_AWAY, protocol error', [3, 0, 0, 1], '00 03 0000 00000000 00000001'],
    ['all flags, largest numbers', [1, 0xffff, 0xffff_ffff, 0xffff_ffff], '00 01 ffff ffffffff ffffffff'],
  ] as const)('%s', (_name, [type, flags, id, length], bytes) => {
    expect(header(type, flags, id, length)).toBe(bytes.replaceAll(' ', ''));
    expect(parse([hex(bytes)]).frames[0]).toMatchObject({ type, flags, id, length });
  });

  test('a header is written where it is told to be, and nowhere else', () => {
    const bytes = Buffer.alloc(16, 0xee);
    putHeader(bytes, 2, 1, 1, 1, 1);
    expect(bytes.toString('hex')).toBe('eeee000100010000000100000001eeee');
  });
});

// Two data frames, an empty one with FIN, a ping, credit.
const conversation = hex(`
  00 00 0001 00000001 00000005 68656c6c6f
  00 02 0001 00000000 00000007
  00 00 0000 00000001 0000000c 000000010000000000000000
  00 00 0004 00000001 00000000
  00 01 0000 00000001 00010000`);
const told = [
  { type: 0, flags: 1, id: 1, length: 5, payload: '68656c6c6f', whole: true },
  { type: 2, flags: 1, id: 0, length: 7, payload: '', whole: true },
  { type: 0, flags: 0, id: 1, length: 12, payload: '000000010000000000000000', whole: true },
  { type: 0, flags: 4, id: 1, length: 0, payload: '', whole: true },
  { type: 1, flags: 0, id: 1, length: 65_536, payload: '', whole: true },
];

describe('cuts', () => {
  test('at every byte, in two pieces', () => {
    for (let at = 0; at <= conversation.length; at += 1) {
      expect(parse([conversation.subarray(0, at), conversation.subarray(at)])).toEqual({
        frames: told,
        violations: [],
      });
    }
  });

  test('byte by byte', () => {
    expect(parse([...conversation].map((byte) => Uint8Array.of(byte))).frames).toEqual(told);
  });

  test('whole payloads are handed on without a copy', () => {
    const chunk = hex('00 00 0000 00000001 00000003 aabbcc');
    const parts: Buffer[] = [];
    const nothing = (): void => undefined;
    new FrameParser({
      onHeader: nothing,
      onPayload: (part) => parts.push(part),
      onFrameEnd: nothing,
      onViolation: nothing,
    }).push(chunk);
    expect(parts[0]?.buffer).toBe(chunk.buffer);
  });
});

describe('what is not yamux', () => {
  test.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'), 'version 71 in a frame header'],
    ['TLS', hex('16 03 01 02 00 01 00 01 fc 03 03 5b aa'), 'version 22 in a frame header'],
    ['a later version', hex('01 00 0001 00000001 00000000'), 'version 1 in a frame header'],
    ['an unknown type', hex('00 04 0000 00000001 00000000'), 'type 4 in a frame header'],
  ])('%s', (_name, bytes, message) => {
    expect(parse([bytes])).toEqual({ frames: [], violations: [message] });
  });

  test('nothing is read after it', () => {
    const bytes = Buffer.concat([conversation, hex('09 00 0000 00000000 00000000'), conversation]);
    const { frames, violations } = parse([bytes, conversation]);
    expect(frames).toHaveLength(told.length);
    expect(violations).toHaveLength(1);
  });

  test('nothing is read after stop(), not even the rest of the chunk', () => {
    let headers = 0;
    const parser = new FrameParser({
      onHeader: () => {
        headers += 1;
        parser.stop();
      },
      onPayload: () => expect.unreachable(),
      onFrameEnd: () => expect.unreachable(),
      onViolation: () => expect.unreachable(),
    });
    parser.push(conversation);
    parser.push(conversation);
    expect(headers).toBe(1);
  });
});

describe('properties', () => {
  const cutAt = (bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] => {
    const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
    return [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length));
  };

  test('random bytes at random cuts never throw and never pass a length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(400), { maxLength: 12 }), (bytes, cuts) => {
        expect(parse(cutAt(bytes, cuts))).toEqual(parse([bytes]));
      }),
      { numRuns: 500 },
    );
  });

  test('frames survive any cut; nearly valid ones too', () => {
    const frame = fc.oneof(
      fc.record({ type: fc.constant(0), flags: fc.nat(15), id: fc.nat(9), payload: fc.uint8Array({ maxLength: 90 }) }),
      fc.record({
        type: fc.integer({ min: 1, max: 5 }),
        flags: fc.nat(0xffff),
        id: fc.nat(0xffff_ffff),
        payload: fc.constant(new Uint8Array()),
      }),
    );
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 20 }), fc.array(fc.nat(4000), { maxLength: 20 }), (frames, cuts) => {
        const bytes = Buffer.concat(
          frames.flatMap(({ type, flags, id, payload }) => [
            hex(header(type, flags, id, payload.length)),
            Buffer.from(payload),
          ]),
        );
        const good = frames.findIndex(({ type }) => type > 3);
        const { frames: read, violations } = parse(cutAt(bytes, cuts));
        expect(read.map(({ payload }) => payload)).toEqual(
          frames.slice(0, good === -1 ? undefined : good).map(({ payload }) => Buffer.from(payload).toString('hex')),
        );
        expect(violations).toHaveLength(good === -1 ? 0 : 1);
      }),
      { numRuns: 500 },
    );
  });
});
