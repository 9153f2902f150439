// A peer that breaks the protocol, and one that floods: the link ends with a reason, or goes on; memory stays within its limits.
import { describe, expect, test } from 'vitest';
import { failure, muxAndPeer, type RawPeer, rawFrame, turns } from '../../support/mux-peers.ts';
import { retainedBytes } from '../../support/retained.ts';

const DATA = 0;
const WINDOW_UPDATE = 1;
const PING = 2;
const SYN = 1;
const ACK = 2;
const FIN = 4;
const RST = 8;
const KIB = 1024;
const MIB = 1024 * KIB;
const PROTOCOL_ERROR = '000300000000000000000001';

describe('violations: GO_AWAY 1 on the wire, then LINK_PROTOCOL for every stream', () => {
  test.each<[string, (peer: RawPeer) => void, string]>([
    ['a version', (peer) => void peer.transport.write('GET / HTTP/1.1\r\n\r\n'), 'version 71 in a frame header'],
    ['a type', (peer) => peer.send(4, 0, 1, 0), 'type 4 in a frame header'],
    ['data for stream 0', (peer) => peer.data(0, 0, Buffer.from('x')), 'a stream frame without a stream'],
    ['credit for stream 0', (peer) => peer.send(WINDOW_UPDATE, 0, 0, 1), 'a stream frame without a stream'],
    ['an id of ours', (peer) => peer.send(WINDOW_UPDATE, SYN, 4, 0), "stream 4 can't be opened by the peer"],
    ['an id in use', (peer) => peer.send(WINDOW_UPDATE, SYN, 1, 0), "stream 1 can't be opened by the peer"],
    ['a used id', (peer) => peer.send(WINDOW_UPDATE, SYN, 3, 0), "stream 3 can't be opened by the peer"],
    ['more than the credit', (peer) => peer.data(0, 1, Buffer.alloc(256 * KIB)), 'stream 1 got more than its credit'],
    [
      'a length beyond the credit',
      (peer) => peer.send(DATA, 0, 1, 0xffff_ffff, Buffer.alloc(300 * KIB)),
      'more than its credit',
    ],
    [
      'data after the end',
      (peer) => {
        peer.send(WINDOW_UPDATE, FIN, 1, 0);
        peer.data(0, 1, Buffer.from('x'));
      },
      'stream 1 got data after its end',
    ],
  ])('%s', async (_name, violate, message) => {
    const [end, peer] = muxAndPeer('server');
    peer.data(SYN, 1, Buffer.from('hello'));
    peer.send(WINDOW_UPDATE, SYN, 3, 0);
    const stream = await end.next();
    (await end.next()).destroy();
    await peer.frame(({ flags }) => (flags & RST) !== 0);
    const ping = expect(end.muxer.ping()).rejects.toMatchObject({ code: 'LINK_PROTOCOL' });
    violate(peer);
    peer.data(SYN, 5, Buffer.from('not read any more'));
    const reason = await end.closed;
    expect(reason).toMatchObject({ code: 'LINK_PROTOCOL' });
    expect(reason.message).toContain(message);
    expect(await failure(stream)).toBe(reason);
    await ping;
    await peer.hungUp();
    expect(peer.bytes.toString('hex')).toMatch(new RegExp(`${PROTOCOL_ERROR}$`));
    expect([end.accepted.length, end.muxer.streamCount]).toEqual([2, 0]);
  });

  test('and a peer that hangs up at once has broken the protocol all the same', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.transport.end('nonsense of thirteen');
    expect(await end.closed).toMatchObject({ code: 'LINK_PROTOCOL' });
  });

  test('the other side of a violation gets it as the reason', async () => {
    const [end, peer] = muxAndPeer('client');
    const stream = end.muxer.open();
    peer.send(3, 0, 0, 1);
    expect(await failure(stream)).toMatchObject({ code: 'LINK_PROTOCOL', message: /code 1/ });
  });

  test('a half header and a hang-up are a lost link', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.transport.end(Buffer.from('0000000000', 'hex'));
    expect(await end.closed).toMatchObject({ code: 'LINK_LOST' });
  });
});

describe('not violations', () => {
  test('frames for streams that are not there (any more): dropped', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.data(0, 77, Buffer.alloc(400 * KIB));
    peer.send(WINDOW_UPDATE, FIN, 78, 5);
    peer.send(WINDOW_UPDATE, RST, 2, 5);
    peer.send(PING, ACK, 0, 12_345);
    peer.data(SYN, 1, Buffer.from('goes on'));
    expect(String((await end.next()).read())).toBe('goes on');
    expect(end.muxer.streamCount).toBe(1);
  });

  test('a stream that nobody takes is reset', async () => {
    const { role, ...noTaker } = { role: 'server' as const, onStream: undefined };
    const [end, peer] = muxAndPeer(role, noTaker as object);
    peer.data(SYN, 1, Buffer.from('x'));
    expect(await peer.frame(() => true)).toMatchObject({ type: WINDOW_UPDATE, flags: RST | ACK, id: 1 });
    expect(end.muxer.streamCount).toBe(0);
  });

  test('unknown flags', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.data(SYN | 0xfff0, 1, Buffer.from('x'));
    expect(String((await end.next()).read())).toBe('x');
  });
});

/** Sends until the other side hangs up or `count` is reached, with turns for it to work. */
async function flood(peer: RawPeer, count: number, make: (index: number) => Buffer): Promise<void> {
  for (let index = 0; index < count && !peer.transport.destroyed && !peer.ended; ) {
    const frames: Buffer[] = [];
    for (let size = 0; size < 64 * KIB && index < count; index += 1) {
      const frame = make(index);
      frames.push(frame);
      size += frame.length;
    }
    if (!peer.transport.write(Buffer.concat(frames))) await turns(2);
    if (peer.transport.writableNeedDrain) await turns(2);
  }
}

describe('floods', () => {
  test('pings, answers not read: the link ends when 16,384 answers wait', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.stopReading();
    const before = retainedBytes();
    await flood(peer, 400_000, (index) => rawFrame(PING, SYN, 0, index));
    expect(await end.closed).toMatchObject({ code: 'LINK_PROTOCOL', message: /faster than it reads/ });
    expect(retainedBytes() - before).toBeLessThan(4 * MIB);
  });

  test('pings, answers read: each is answered, in order', async () => {
    const [end, peer] = muxAndPeer('server');
    await flood(peer, 50_000, (index) => rawFrame(PING, SYN, 0, index));
    await peer.until(() => peer.frames.length === 50_000);
    expect(
      peer.frames.every(({ type, flags, length }, index) => type === PING && flags === ACK && length === index),
    ).toBe(true);
    expect(end.muxer.closed).toBe(false);
  });

  test('openings: 4,096 streams, the rest is reset, and those that are there go on', async () => {
    const [end, peer] = muxAndPeer('server');
    await flood(peer, 10_000, (index) => rawFrame(WINDOW_UPDATE, SYN, 1 + 2 * index, 0));
    await peer.until(() => peer.frames.filter(({ flags }) => flags === (RST | ACK)).length === 10_000 - 4_096);
    expect([end.accepted.length, end.muxer.streamCount]).toEqual([4_096, 4_096]);
    peer.data(0, 1, Buffer.from('alive'));
    await turns();
    expect(String(end.accepted[0]?.read())).toBe('alive');
    peer.send(WINDOW_UPDATE, RST, 1, 0);
    peer.data(SYN, 30_001, Buffer.from('room again'));
    await turns();
    expect(String(end.accepted[4_096]?.read())).toBe('room again');
  });

  test('openings, resets not read: the link ends', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.stopReading();
    await flood(peer, 100_000, (index) => rawFrame(WINDOW_UPDATE, SYN, 1 + 2 * index, 0));
    expect(await end.closed).toMatchObject({ code: 'LINK_PROTOCOL' });
    expect(end.muxer.streamCount).toBe(0);
  });

  test('openings that are reset at once: nothing is kept, also while the line to the peer is full', async () => {
    let echoed = 0;
    const [end, peer] = muxAndPeer('server', {
      onStream: (stream) => {
        echoed += 1;
        stream.write(Buffer.alloc(1_000));
      },
    });
    peer.stopReading();
    // As many answers as fill both sides' buffers and leave the queue short of its limit.
    await flood(peer, 12_000, (index) => rawFrame(PING, SYN, 0, index));
    await turns(50);
    const before = retainedBytes();
    await flood(peer, 20_000, (index) =>
      Buffer.concat([rawFrame(WINDOW_UPDATE, SYN, 1 + 2 * index, 0), rawFrame(WINDOW_UPDATE, RST, 1 + 2 * index, 0)]),
    );
    await turns(50);
    expect([echoed, end.muxer.streamCount, end.muxer.closed]).toEqual([20_000, 0, false]);
    expect(retainedBytes() - before).toBeLessThan(4 * MIB);
    peer.transport.resume();
    const pinged = end.muxer.ping();
    const { length } = await peer.frame(({ type, flags }) => type === PING && flags === SYN);
    peer.send(PING, ACK, 0, length);
    expect(await pinged).toBeGreaterThan(0);
  });

  test('credit and resets for streams that are not there', async () => {
    const [end, peer] = muxAndPeer('server');
    const before = retainedBytes();
    await flood(peer, 200_000, (index) => rawFrame(WINDOW_UPDATE, index % 2 === 0 ? 0 : RST, 1 + index, 0xffff_ffff));
    peer.data(SYN, 1, Buffer.from('alive'));
    expect(String((await end.next()).read())).toBe('alive');
    expect(retainedBytes() - before).toBeLessThan(4 * MIB);
    expect(peer.frames).toEqual([]);
  });

  test('credit without end for one stream', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.data(SYN, 1, Buffer.from('x'));
    const stream = await end.next();
    await flood(peer, 50_000, () => rawFrame(WINDOW_UPDATE, 0, 1, 0xffff_ffff));
    stream.end(Buffer.alloc(3 * MIB));
    await peer.until(() => peer.received(1) === 3 * MIB);
  });

  test('empty data frames', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.data(SYN, 1, Buffer.from('x'));
    const stream = await end.next();
    const before = retainedBytes();
    await flood(peer, 200_000, () => rawFrame(DATA, 0, 1, 0));
    peer.data(FIN, 1, Buffer.from('y'));
    await turns(100);
    expect(retainedBytes() - before).toBeLessThan(4 * MIB);
    expect(String(stream.read())).toBe('xy');
  });

  test('streams that all send and are never read: each holds its window at most', async () => {
    const [end, peer] = muxAndPeer('server');
    const before = retainedBytes();
    const payload = Buffer.alloc(64 * KIB, 1);
    await flood(peer, 64 * 4, (index) =>
      rawFrame(DATA, index < 64 ? SYN : 0, 1 + 2 * (index % 64), payload.length, payload),
    );
    await turns(50);
    expect(end.muxer.streamCount).toBe(64);
    expect(retainedBytes() - before).toBeLessThan(64 * 256 * KIB * 1.5);
    expect(peer.frames.filter(({ type, length }) => type === WINDOW_UPDATE && length > 0)).toEqual([]);
  });

  test('one-byte frames that are never read stay within a multiple of the window', async () => {
    const [end, peer] = muxAndPeer('server');
    const before = retainedBytes();
    await flood(peer, 256 * KIB, (index) => rawFrame(DATA, index === 0 ? SYN : 0, 1, 1, Buffer.of(index)));
    await turns(50);
    const stream = await end.next();
    expect(stream.readableLength).toBe(256 * KIB);
    expect(retainedBytes() - before).toBeLessThan(48 * MIB);
    peer.data(0, 1, Buffer.of(1));
    expect(await end.closed).toMatchObject({ code: 'LINK_PROTOCOL' });
  });
});
