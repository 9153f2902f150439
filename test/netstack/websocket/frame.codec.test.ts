// Frames: the examples of RFC 6455 §5.7 byte for byte, every mistake a peer can make, any cut, garbage.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CLOSE_CODE,
  closePayload,
  type DecoderOptions,
  FrameDecoder,
  FrameError,
  frameHeader,
  OPCODE,
  unmask,
} from '../../../src/netstack/websocket/frame.codec.ts';

type Found = [kind: string, ...rest: unknown[]];

/** What a decoder finds, with the pieces of a message joined. */
function collector(options: DecoderOptions = { role: 'client' }) {
  const found: Found[] = [];
  let message: Buffer[] | undefined;
  const decoder = new FrameDecoder(
    {
      data(piece, start, end) {
        if (start) message = [];
        message?.push(Buffer.from(piece));
        if (end) found.push(['message', Buffer.concat(message ?? []).toString('latin1')]);
      },
      ping: (payload) => found.push(['ping', payload.toString('latin1')]),
      pong: (payload) => found.push(['pong', payload.toString('latin1')]),
      close: (code, reason) => found.push(['close', code, reason]),
    },
    options,
  );
  return { decoder, found };
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const decode = (text: string, options?: DecoderOptions): Found[] => {
  const { decoder, found } = collector(options);
  decoder.push(hex(text));
  return found;
};

describe('RFC 6455 §5.7', () => {
  test.each<[string, string, Found[], DecoderOptions['role']]>([
    ['a text without mask', '81 05 48 65 6c 6c 6f', [['message', 'Hello']], 'client'],
    ['a text with a mask', '81 85 37 fa 21 3d 7f 9f 4d 51 58', [['message', 'Hello']], 'server'],
    ['a text in fragments', '01 03 48 65 6c 80 02 6c 6f', [['message', 'Hello']], 'client'],
    ['a ping', '89 05 48 65 6c 6c 6f', [['ping', 'Hello']], 'client'],
    ['a masked pong', '8a 85 37 fa 21 3d 7f 9f 4d 51 58', [['pong', 'Hello']], 'server'],
    ['256 bytes', `82 7e 01 00 ${'61'.repeat(256)}`, [['message', 'a'.repeat(256)]], 'client'],
    [
      '65,536 bytes',
      `82 7f 00 00 00 00 00 01 00 00 ${'61'.repeat(65_536)}`,
      [['message', 'a'.repeat(65_536)]],
      'client',
    ],
  ])('%s', (_, bytes, wanted, role) => {
    expect(decode(bytes, { role })).toEqual(wanted);
  });
});

describe('decoding', () => {
  test('control frames in the middle of a fragmented message', () => {
    expect(decode('02 01 61  89 01 70  00 01 62  8a 00  80 01 63')).toEqual([
      ['ping', 'p'],
      ['pong', ''],
      ['message', 'abc'],
    ]);
  });

  test('empty messages and empty fragments', () => {
    expect(decode('82 00  02 00 00 00 80 00  02 00 80 01 61')).toEqual([
      ['message', ''],
      ['message', ''],
      ['message', 'a'],
    ]);
  });

  test('close: with code and reason, with code, without', () => {
    expect(decode('88 05 03 e8 62 79 65')).toEqual([['close', 1000, 'bye']]);
    expect(decode('88 02 03 f3')).toEqual([['close', 1011, '']]);
    expect(decode('88 00')).toEqual([['close', CLOSE_CODE.noCode, '']]);
  });

  test('what comes after a close is ignored', () => {
    expect(decode('88 00 ff ff ff 82 01 61')).toEqual([['close', CLOSE_CODE.noCode, '']]);
  });

  test('pieces are views into what was fed, not copies', () => {
    const chunk = hex('82 03 61 62 63');
    const pieces: Buffer[] = [];
    const nothing = (): void => undefined;
    new FrameDecoder(
      { data: (piece) => pieces.push(piece), ping: nothing, pong: nothing, close: nothing },
      { role: 'client' },
    ).push(chunk);
    expect(pieces.map((piece) => piece.buffer === chunk.buffer)).toEqual([true]);
  });

  test('knows whether it ended in the middle', () => {
    for (const [bytes, incomplete] of [
      ['', false],
      ['82', true],
      ['82 02 61', true],
      ['02 01 61', true],
      ['82 01 61', false],
      ['88 00', false],
    ] as const) {
      const { decoder } = collector();
      decoder.push(hex(bytes));
      expect([bytes, decoder.incomplete]).toEqual([bytes, incomplete]);
    }
  });

  test.each([
    ['reserved bits', 'c2 01 61', 1002],
    ['an unknown data frame', '83 00', 1002],
    ['an unknown control frame', '8b 00', 1002],
    ['a control frame in fragments', '09 00', 1002],
    ['a control frame of 126 bytes', '89 7e 00 7e', 1002],
    ['a close of one byte', '88 01 03', 1002],
    ['a continuation of nothing', '80 01 61', 1002],
    ['a message within a message', '02 01 61 82 01 62', 1002],
    ['a masked frame from a server', '82 81 00 00 00 00 61', 1002],
    ['a frame that is too large', '82 7f 00 00 00 00 02 00 00 01', 1009],
    ['a length with the top bit set', '82 7f 80 00 00 00 00 00 00 00', 1009],
  ])('%s', (_, bytes, code) => {
    let error: unknown;
    try {
      decode(bytes);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(FrameError);
    expect((error as FrameError).closeCode).toBe(code);
  });

  test('a server refuses frames without a mask', () => {
    expect(() => decode('82 01 61', { role: 'server' })).toThrow('without mask');
  });

  test('a limit of its own', () => {
    expect(() => decode('82 05 61', { role: 'client', maxFrameBytes: 4 })).toThrow('a frame of 5 bytes');
  });

  test('any bytes, cut anywhere, give frames or a FrameError', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), fc.constantFrom('client', 'server'), (chunks, role) => {
        const { decoder } = collector({ role });
        try {
          for (const chunk of chunks) decoder.push(Buffer.from(chunk));
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
      }),
    );
  });
});

describe('encoding', () => {
  test.each([
    [0, '8200'],
    [125, '827d'],
    [126, '827e007e'],
    [65_535, '827effff'],
    [65_536, '827f0000000000010000'],
    [2 ** 32 + 1, '827f0000000100000001'],
  ])('the header of %i bytes', (length, wanted) => {
    expect(frameHeader(OPCODE.binary, length).toString('hex')).toBe(wanted);
  });

  test('the header with a mask', () => {
    expect(frameHeader(OPCODE.ping, 5, hex('37fa213d')).toString('hex')).toBe('898537fa213d');
    expect(frameHeader(OPCODE.binary, 300, Buffer.alloc(4)).toString('hex')).toBe('82fe012c00000000');
  });

  test('a reason that is too long is cut between letters', () => {
    expect(closePayload(1000, 'bye').toString('hex')).toBe('03e8627965');
    const payload = closePayload(1011, 'ä'.repeat(100));
    expect(payload.length).toBeLessThanOrEqual(125);
    expect(payload.toString('utf8', 2)).toBe('ä'.repeat(61));
  });

  test('messages of any size, cut anywhere, come out as they went in, in both roles', () => {
    const messages = fc.array(
      fc.record({ payload: fc.uint8Array({ maxLength: 300 }), mask: fc.uint8Array({ minLength: 4, maxLength: 4 }) }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 1, max: 50 })), fc.boolean(), (sent, cuts, masked) => {
        const wire = Buffer.concat(
          sent.flatMap(({ payload, mask }) => {
            const bytes = Buffer.from(payload);
            if (masked) unmask(bytes, mask);
            return [frameHeader(OPCODE.binary, bytes.length, masked ? mask : undefined), bytes];
          }),
        );
        const { decoder, found } = collector({ role: masked ? 'server' : 'client' });
        let at = 0;
        for (const cut of [...cuts, wire.length]) {
          decoder.push(Buffer.from(wire.subarray(at, at + cut)));
          at += cut;
        }
        expect(found).toEqual(sent.map(({ payload }) => ['message', Buffer.from(payload).toString('latin1')]));
        expect(decoder.incomplete).toBe(false);
      }),
    );
  });
});

describe('unmask', () => {
  test('is the byte-wise XOR of RFC 6455 §5.3 for every alignment, length and offset, and its own inverse', () => {
    const input = fc.record({
      bytes: fc.uint8Array({ maxLength: 70 }),
      mask: fc.uint8Array({ minLength: 4, maxLength: 4 }),
      align: fc.nat(7),
      offset: fc.nat(3),
    });
    fc.assert(
      fc.property(input, ({ bytes, mask, align, offset }) => {
        const memory = new Uint8Array(align + bytes.length + 8);
        const view = memory.subarray(align, align + bytes.length);
        view.set(bytes);
        const next = unmask(view, mask, offset);
        expect([...view]).toEqual([...bytes].map((byte, index) => byte ^ (mask[(index + offset) % 4] ?? 0)));
        expect(next).toBe((offset + bytes.length) % 4);
        expect([...memory.subarray(align + bytes.length)]).toEqual(Array(8).fill(0));
        unmask(view, mask, offset);
        expect([...view]).toEqual([...bytes]);
      }),
    );
  });
});
