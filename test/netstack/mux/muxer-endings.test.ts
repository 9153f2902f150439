// Every way in which a stream ends, as half-close.machine.ts lists them.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import { Muxer } from '../../../src/netstack/mux/muxer.ts';
import type { MuxStream } from '../../../src/netstack/mux/stream.ts';
import { failure, muxAndPeer, muxPair, RawPeer, readAll, turns } from '../../support/mux-peers.ts';

const DATA = 0;
const WINDOW_UPDATE = 1;
const SYN = 1;
const FIN = 4;
const RST = 8;
const KIB = 1024;

describe('(1) both sides end', () => {
  test.each(['ours first', 'theirs first'])('%s', async (order) => {
    const [{ muxer }, peer] = muxAndPeer('client');
    const stream = muxer.open();
    if (order === 'ours first') {
      stream.end('x');
      await peer.frame(({ flags }) => (flags & FIN) !== 0);
      peer.send(WINDOW_UPDATE, FIN, 1, 0);
    } else {
      peer.send(WINDOW_UPDATE, FIN, 1, 0);
      await turns();
      stream.end('x');
    }
    stream.resume();
    expect(await failure(stream)).toBeUndefined();
    await turns();
    expect(muxer.streamCount).toBe(0);
    expect(peer.frames.some(({ flags }) => (flags & RST) !== 0)).toBe(false);
  });

  test('a second FIN means nothing', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.send(DATA, SYN | FIN, 1, 1, Buffer.from('x'));
    peer.send(WINDOW_UPDATE, FIN, 1, 0);
    const stream = await end.next();
    stream.end();
    peer.send(WINDOW_UPDATE, FIN, 1, 0);
    expect(String(await readAll(stream))).toBe('x');
    expect([end.muxer.closed, end.muxer.streamCount]).toEqual([false, 0]);
  });
});

describe('(2) we break it off', () => {
  const withReason = (stream: MuxStream): void => stream.reset(new KtError('CANCELLED', 'gone'));
  test.each([
    ['destroy()', (stream: MuxStream) => void stream.destroy(), undefined],
    ['reset()', (stream: MuxStream) => stream.reset(), { code: 'STREAM_RESET' }],
    ['reset(reason)', withReason, { code: 'CANCELLED', message: 'gone' }],
  ])('%s: one RST, no FIN, and late frames are dropped', async (_name, end, error) => {
    const [{ muxer }, peer] = muxAndPeer('client');
    const stream = muxer.open();
    stream.write('x');
    await peer.frame(() => true);
    end(stream);
    stream.destroy();
    const reason = await failure(stream);
    if (error) expect(reason).toMatchObject(error);
    else expect(reason).toBeUndefined();
    await peer.frame(({ flags }) => flags === RST);
    peer.data(0, 1, Buffer.alloc(300 * KIB));
    peer.send(WINDOW_UPDATE, FIN, 1, 7);
    await turns();
    expect(peer.frames.map(({ type, flags, id }) => [type, flags, id])).toEqual([
      [DATA, SYN, 1],
      [WINDOW_UPDATE, RST, 1],
    ]);
    expect([muxer.streamCount, muxer.outstanding, muxer.closed]).toEqual([0, 0, false]);
  });

  test('with data that waits for credit: it is dropped, and its callback fails', async () => {
    const [{ muxer }, peer] = muxAndPeer('client');
    const stream = muxer.open();
    const written = new Promise<Error | null | undefined>((resolve) => stream.write(Buffer.alloc(500 * KIB), resolve));
    await peer.until(() => peer.received(1) === 256 * KIB);
    stream.reset();
    expect(await written).toMatchObject({ code: 'STREAM_RESET' });
    peer.send(WINDOW_UPDATE, 0, 1, 500 * KIB);
    await turns();
    expect(peer.received(1)).toBe(256 * KIB);
  });

  test('in the middle of a frame that comes in', async () => {
    const [end, peer] = muxAndPeer('server');
    const frame = Buffer.alloc(12 + 200 * KIB);
    frame.set([0, 0, 0, SYN, 0, 0, 0, 1, 0, 3, 32, 0]);
    peer.transport.write(frame.subarray(0, 1_000));
    const stream = await end.next();
    await once(stream, 'readable');
    stream.destroy();
    peer.transport.write(frame.subarray(1_000));
    peer.data(SYN, 3, Buffer.from('next'));
    expect(String((await end.next()).read())).toBe('next');
    expect(end.muxer.streamCount).toBe(1);
  });

  test('after it has ended both ways: nothing is sent', async () => {
    const [{ muxer }, peer] = muxAndPeer('client');
    const stream = muxer.open();
    stream.end();
    peer.send(WINDOW_UPDATE, FIN, 1, 0);
    await turns();
    stream.destroy();
    await turns();
    expect(peer.frames.map(({ flags }) => flags)).toEqual([SYN | FIN]);
  });

  test('the other side sees a reset', async () => {
    const [client, server] = muxPair();
    const out = client.muxer.open();
    const stream = await server.next();
    out.destroy();
    expect(await failure(stream)).toMatchObject({ code: 'STREAM_RESET' });
    expect([client.muxer.streamCount, server.muxer.streamCount]).toEqual([0, 0]);
  });
});

describe('(3) the peer breaks it off', () => {
  test.each<[string, (stream: MuxStream) => void]>([
    ['open', () => undefined],
    ['after our end', (stream) => void stream.end()],
    ['while we write', (stream) => void stream.write(Buffer.alloc(500 * KIB))],
    ['with nobody listening for errors', (stream) => void stream.removeAllListeners('close')],
  ])('%s', async (_name, prepare) => {
    const [{ muxer }, peer] = muxAndPeer('client');
    const stream = muxer.open();
    prepare(stream);
    await peer.frame(() => true);
    peer.send(WINDOW_UPDATE, RST, 1, 0);
    expect(await failure(stream)).toMatchObject({ code: 'STREAM_RESET', message: /other side/ });
    await turns();
    expect([muxer.streamCount, muxer.outstanding]).toEqual([0, 0]);
    expect(peer.frames.some(({ flags }) => (flags & RST) !== 0)).toBe(false);
  });

  test('after its own end', async () => {
    const [{ muxer }, peer] = muxAndPeer('client');
    const stream = muxer.open();
    peer.send(WINDOW_UPDATE, FIN, 1, 0);
    peer.send(WINDOW_UPDATE, RST, 1, 0);
    expect(await failure(stream)).toMatchObject({ code: 'STREAM_RESET' });
    expect(muxer.streamCount).toBe(0);
  });

  test('with the opening itself', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.send(WINDOW_UPDATE, SYN | RST, 1, 0);
    expect(await failure(await end.next())).toMatchObject({ code: 'STREAM_RESET' });
    await turns();
    expect([end.muxer.streamCount, peer.frames]).toEqual([0, []]);
  });

  test('between the status and its reader', async () => {
    const [{ muxer }, peer] = muxAndPeer('client');
    const stream = muxer.open();
    const opened = new Promise<void>((resolve) => {
      stream.takePrefix((chunk) => {
        resolve();
        return chunk.subarray(1);
      });
    });
    peer.transport.cork();
    peer.data(0, 1, Buffer.from('S'));
    peer.send(WINDOW_UPDATE, RST, 1, 0);
    peer.transport.uncork();
    await opened;
    expect(await failure(stream)).toMatchObject({ code: 'STREAM_RESET' });
  });
});

/** A muxer and a peer of single frames over loopback TCP. */
async function overTcp(): Promise<{ muxer: Muxer; near: Socket; far: Socket; peer: RawPeer; close: () => void }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [Socket];
  return { muxer: new Muxer(near, { role: 'client' }), near, far, peer: new RawPeer(far), close: () => server.close() };
}

describe('(4) the link dies: every stream fails with the reason, pings too, and nothing can be opened', () => {
  test.each<[string, (at: { muxer: Muxer; near: Socket; far: Socket }) => void, RegExp]>([
    ['the peer closes', ({ far }) => void far.end(), /the other side closed/],
    ['the peer resets', ({ far }) => void far.resetAndDestroy(), /ECONNRESET/],
    ['we lose the socket', ({ near }) => void near.destroy(), /the connection was closed/],
    ['the socket fails', ({ near }) => void near.destroy(new Error('EHOSTDOWN')), /EHOSTDOWN/],
    ['the link is closed', ({ muxer }) => muxer.destroy(), /the link was closed/],
    ['closed for a reason', ({ muxer }) => muxer.destroy(new KtError('LINK_DEAD', 'silent')), /silent/],
  ])('%s', async (name, kill, message) => {
    const { muxer, near, far, peer, close } = await overTcp();
    const states: MuxStream[] = [muxer.open(), muxer.open(), muxer.open()];
    states[0]?.write('x');
    states[1]?.end('x');
    states[2]?.write(Buffer.alloc(900 * KIB));
    await peer.until(() => peer.received(5) === 256 * KIB);
    states.push(muxer.open());
    const ping = expect(muxer.ping()).rejects.toMatchObject({ message });
    kill({ muxer, near, far });
    const code = name === 'closed for a reason' ? 'LINK_DEAD' : 'LINK_LOST';
    for (const stream of states) expect(await failure(stream)).toMatchObject({ code, message });
    await ping;
    expect([muxer.closed, muxer.full, muxer.streamCount, muxer.outstanding]).toEqual([true, true, 0, 0]);
    expect(() => muxer.open()).toThrow(expect.objectContaining({ code: 'LINK_LOST' }));
    await expect(muxer.ping()).rejects.toMatchObject({ code: 'LINK_LOST' });
    muxer.destroy();
    muxer.goAway();
    await peer.hungUp();
    expect(near.destroyed).toBe(true);
    far.destroy();
    close();
  });

  test('onClose is called once, with the reason that the streams got', async () => {
    const [client, server] = muxPair();
    const stream = client.muxer.open();
    await server.next();
    server.muxer.destroy(new KtError('LINK_DEAD', 'over'));
    server.muxer.destroy(new KtError('LINK_LOST', 'again'));
    expect(await server.closed).toMatchObject({ code: 'LINK_DEAD' });
    expect(await client.closed).toMatchObject({ code: 'LINK_LOST' });
    expect(await failure(stream)).toBe(await client.closed);
  });

  test('what has arrived whole can be read still', async () => {
    const [client, server] = muxPair();
    const out = client.muxer.open();
    out.end('whole');
    const stream = await server.next();
    stream.end();
    await turns();
    client.muxer.destroy();
    await server.closed;
    expect(String(await readAll(stream))).toBe('whole');
  });
});

// (5) the peer breaks the protocol: muxer-violations.test.ts
