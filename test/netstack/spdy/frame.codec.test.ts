import { createInflate, constants as zlib } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dataHeader, FLAG_FIN, ping, SpdyParser, synStream } from '../../../src/netstack/spdy/frame.codec.ts';

interface Seen {
  readonly bytes: Map<number, Buffer>;
  readonly events: string[];
  readonly parser: SpdyParser;
}

function reader(): Seen {
  const bytes = new Map<number, Buffer>();
  const events: string[] = [];
  const parser = new SpdyParser({
    data: (id, piece) => void bytes.set(id, Buffer.concat([bytes.get(id) ?? Buffer.alloc(0), piece])),
    end: (id, reset) => void events.push(`${reset ? 'reset' : 'end'} ${id}`),
    ping: (number) => void events.push(`ping ${number}`),
    goAway: () => void events.push('goAway'),
    violation: (message) => void events.push(message),
  });
  return { bytes, events, parser };
}

const frame = (type: number, payload: readonly number[], flags = 0, version = 3): Buffer =>
  Buffer.from([0x80, version, 0, type, flags, 0, 0, payload.length, ...payload]);

describe('reading', () => {
  test('any frames in any cuts', () => {
    const piece = fc.oneof(
      fc.record({
        id: fc.integer({ min: 1, max: 0x7fff_ffff }),
        body: fc.uint8Array({ maxLength: 300 }),
        end: fc.boolean(),
      }),
      fc.record({ ping: fc.nat({ max: 0xffff_ffff }) }),
      fc.record({ other: fc.constantFrom(2, 4, 8, 9), body: fc.uint8Array({ maxLength: 40 }) }),
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        (list, cuts) => {
          const wire: Buffer[] = [];
          const bytes = new Map<number, Buffer>();
          const events: string[] = [];
          for (const one of list) {
            if ('id' in one) {
              wire.push(dataHeader(one.id, one.body.length, one.end ? FLAG_FIN : 0), Buffer.from(one.body));
              if (one.body.length > 0)
                bytes.set(one.id, Buffer.concat([bytes.get(one.id) ?? Buffer.alloc(0), one.body]));
              if (one.end) events.push(`end ${one.id}`);
            } else if ('ping' in one) {
              wire.push(ping(one.ping));
              events.push(`ping ${one.ping}`);
            } else wire.push(frame(one.other, [...one.body]));
          }
          const all = Buffer.concat(wire);
          const seen = reader();
          for (let at = 0, turn = 0; at < all.length; turn += 1) {
            const length = cuts[turn % cuts.length] ?? 1;
            seen.parser.push(all.subarray(at, at + length));
            at += length;
          }
          expect(seen.events).toEqual(events);
          expect(seen.bytes).toEqual(bytes);
        },
      ),
    );
  });

  test('a stream that is broken off, and the farewell', () => {
    const seen = reader();
    seen.parser.push(Buffer.concat([frame(3, [0, 0, 0, 5, 0, 0, 0, 1]), frame(7, [0, 0, 0, 5, 0, 0, 0, 0])]));
    expect(seen.events).toEqual(['reset 5', 'goAway']);
  });

  test.each([
    ['data of stream 0', Buffer.alloc(8)],
    ['a frame of version 2', frame(6, [0, 0, 0, 1], 0, 2)],
    ['a frame of type 6 with 3 bytes', frame(6, [0, 0, 0])],
    ['a frame of type 3 with 9 bytes', frame(3, [0, 0, 0, 0, 0, 0, 0, 0, 0])],
  ])('%s: nothing more is read', (message, bytes) => {
    const seen = reader();
    seen.parser.push(Buffer.concat([bytes, dataHeader(1, 1), Buffer.from('x')]));
    seen.parser.push(dataHeader(1, 0, FLAG_FIN));
    expect(seen.events).toEqual([message]);
    expect(seen.bytes.size).toBe(0);
  });

  test('garbage is refused or read, never thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        reader().parser.push(Buffer.from(bytes));
      }),
    );
  });
});

test('openings share one zlib stream, and each can be read when it is there', async () => {
  const inflate = createInflate({ finishFlush: zlib.Z_SYNC_FLUSH });
  const openings: Record<string, string>[] = [{ streamtype: 'error', port: '80' }, { streamtype: 'data' }];
  for (const [index, fields] of openings.entries()) {
    const opening = synStream(index * 2 + 1, fields, index === 0);
    expect(opening.readUInt32BE(0)).toBe(0x8003_0001);
    expect(opening.readUInt32BE(4)).toBe(opening.length - 8);
    expect(opening.readUInt32BE(8)).toBe(index * 2 + 1);
    const entries = Object.entries(fields).flat();
    const expected = entries.reduce((sum, text) => sum + 4 + text.length, 4);
    const block = await new Promise<Buffer>((resolve) => {
      inflate.once('data', resolve);
      inflate.write(opening.subarray(18));
    });
    expect(block.length).toBe(expected);
    expect(block.readUInt32BE(0)).toBe(entries.length / 2);
    expect(block.toString('latin1', 8, 18)).toBe('streamtype');
  }
});
