// A stream that nobody reads takes its own window and nothing else.
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { muxPair, readAll, turns } from '../../support/mux-peers.ts';
import { retainedBytes } from '../../support/retained.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

describe('a stalled stream', () => {
  test('never stalls another, in either direction', async () => {
    const [client, server] = muxPair();
    const stuck = client.muxer.open();
    stuck.write(Buffer.alloc(8 * MIB));
    const unread = await server.next();
    const stuckToo = server.muxer.open();
    stuckToo.write(Buffer.alloc(8 * MIB));
    await client.next();
    for (let round = 0; round < 5; round += 1) {
      const out = client.muxer.open();
      out.end(Buffer.alloc(3 * MIB, round));
      const stream = await server.next();
      stream.pipe(stream);
      const back = await readAll(out);
      expect([back.length, back[0], back.at(-1)]).toEqual([3 * MIB, round, round]);
    }
    expect(unread.readableLength).toBe(256 * KIB);
    expect(stuck.writableLength).toBeGreaterThan(7 * MIB);
    client.muxer.destroy();
    await server.closed;
  });

  test('holds no more than its window, also while others carry a hundred times as much', async () => {
    const [client, server] = muxPair();
    const stalled = Array.from({ length: 16 }, () => client.muxer.open());
    for (const stream of stalled) stream.write(Buffer.alloc(64 * KIB));
    const unread = await Promise.all(stalled.map(() => server.next()));
    const before = retainedBytes();
    const out = client.muxer.open();
    const sink = await server.next();
    sink.resume();
    let carried = 0;
    const feed = setInterval(() => {
      for (const stream of stalled) if (stream.writableLength < 64 * KIB) stream.write(Buffer.alloc(3 * KIB));
    }, 1);
    while (carried < 96 * MIB) {
      carried += 64 * KIB;
      if (!out.write(Buffer.alloc(64 * KIB))) await once(out, 'drain');
    }
    clearInterval(feed);
    const held = unread.reduce((sum, { readableLength }) => sum + readableLength, 0);
    const sending = stalled.reduce((sum, { writableLength }) => sum + writableLength, 0);
    expect(held).toBeLessThanOrEqual(16 * 256 * KIB);
    expect(retainedBytes() - before).toBeLessThan(2 * (held + sending) + 8 * MIB);
    client.muxer.destroy();
    await server.closed;
  });

  test('that was carrying bulk holds the share of the budget that it had', async () => {
    const [client, server] = muxPair();
    const out = client.muxer.open();
    const stream = await server.next();
    stream.resume();
    for (let carried = 0; carried < 32 * MIB; carried += 64 * KIB)
      if (!out.write(Buffer.alloc(64 * KIB))) await once(out, 'drain');
    stream.pause();
    out.write(Buffer.alloc(40 * MIB));
    await turns(200);
    expect(stream.readableLength).toBeLessThanOrEqual(32 * MIB);
    expect(stream.readableLength).toBeGreaterThan(0);
    const small = client.muxer.open();
    small.end('beside it');
    expect(String(await readAll(await server.next()))).toBe('beside it');
    // And it goes on from where it was.
    const rest = once(stream, 'end');
    out.end();
    stream.resume();
    await rest;
    client.muxer.destroy();
    await server.closed;
  });

  test('the line stalls: writers are told to stop, and go on with it', async () => {
    const [client, server] = muxPair();
    client.transport.stalled = true;
    const out = client.muxer.open();
    let written = 0;
    const fill = async (): Promise<void> => {
      while (!out.writableNeedDrain) {
        written += 16 * KIB;
        out.write(Buffer.alloc(16 * KIB));
        await turns();
      }
    };
    await fill();
    // What both buffers and one batch hold.
    expect(written).toBeLessThanOrEqual((256 + 64 + 65 + 16) * KIB);
    const more = client.muxer.open();
    more.end('also waiting');
    client.transport.resumeLine();
    // More than the credit of a stream that nobody reads.
    const read = readAll(await server.next());
    await once(out, 'drain');
    out.end();
    expect((await read).length).toBe(written);
    expect(String(await readAll(await server.next()))).toBe('also waiting');
    client.muxer.destroy();
    await server.closed;
  });
});
