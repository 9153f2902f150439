import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import { duplexPair, randomCuts } from '../../support/duplex-pair.ts';
import { failure, muxAndPeer, muxEnd, muxPair, RawPeer, readAll, turns } from '../../support/mux-peers.ts';

const DATA = 0;
const WINDOW_UPDATE = 1;
const PING = 2;
const SYN = 1;
const ACK = 2;
const FIN = 4;
const RST = 8;
const KIB = 1024;
const hex = (text: string): string => Buffer.from(text).toString('hex');

describe('opening', () => {
  test('early data travels in the first frame, with SYN', async () => {
    const [{ muxer }, peer] = muxAndPeer('client');
    muxer.open().write('hello');
    await peer.frame(() => true);
    expect(peer.bytes.toString('hex')).toBe(`000000010000000100000005${hex('hello')}`);
  });

  test('a stream without early data is announced by a frame of its own', async () => {
    const [{ muxer }, peer] = muxAndPeer('client');
    muxer.open();
    await peer.frame(() => true);
    expect(peer.bytes.toString('hex')).toBe('000100010000000100000000');
  });

  test('the other side acknowledges with its first data', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.send(DATA, SYN, 1, 4, Buffer.from('ping'));
    (await end.next()).write('pong');
    await peer.frame(() => true);
    expect(peer.bytes.toString('hex')).toBe(`000000020000000100000004${hex('pong')}`);
  });

  test('or with an empty frame, where it has nothing to say', async () => {
    const [, peer] = muxAndPeer('server');
    peer.send(WINDOW_UPDATE, SYN, 1, 0);
    await peer.frame(() => true);
    expect(peer.bytes.toString('hex')).toBe('000100020000000100000000');
  });

  test('opened and ended at once is one frame', async () => {
    const [{ muxer }, peer] = muxAndPeer('client');
    muxer.open().end();
    await peer.frame(() => true);
    expect(peer.bytes.toString('hex')).toBe('000100050000000100000000');
  });

  test('ids: the client has the odd ones, the server the even ones', async () => {
    const [client, server] = muxPair();
    expect([client.muxer.open().id, client.muxer.open().id]).toEqual([1, 3]);
    expect([server.muxer.open().id, server.muxer.open().id]).toEqual([2, 4]);
    await turns();
    expect(client.accepted.map(({ id }) => id)).toEqual([2, 4]);
    expect(server.accepted.map(({ id }) => id)).toEqual([1, 3]);
  });

  test('streams may be announced in another order than they were opened in', async () => {
    const [client, server] = muxPair();
    const [first, second, third] = [client.muxer.open(), client.muxer.open(), client.muxer.open()];
    third.end();
    second.write('two');
    first.write('one');
    await turns();
    expect(server.accepted.map(({ id }) => id)).toEqual([5, 3, 1]);
    expect(server.accepted.map((stream) => String(stream.read()))).toEqual(['null', 'two', 'one']);
    expect(client.muxer.closed).toBe(false);
  });

  test('a stream that was given up before it was announced leaves no trace', async () => {
    const [{ muxer }, peer] = muxAndPeer('client');
    muxer.open().destroy();
    const written = muxer.open();
    written.write('never sent');
    written.destroy();
    muxer.open().write('x');
    await peer.frame(({ type }) => type === DATA);
    expect(peer.frames.map(({ id, flags }) => [id, flags])).toEqual([[5, SYN]]);
    expect(muxer.streamCount).toBe(1);
  });
});

describe('credit', () => {
  test('256 KiB without asking, what came with SYN on top, then no byte more', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.send(WINDOW_UPDATE, SYN, 1, 100 * KIB);
    (await end.next()).write(Buffer.alloc(400 * KIB));
    await peer.until(() => peer.received(1) === 356 * KIB);
    await turns();
    expect(peer.received(1)).toBe(356 * KIB);
    peer.send(WINDOW_UPDATE, 0, 1, 40 * KIB);
    await peer.until(() => peer.received(1) === 396 * KIB);
    peer.send(WINDOW_UPDATE, 0, 1, 1000 * KIB);
    await peer.until(() => peer.received(1) === 400 * KIB);
  });

  test('is given back when a quarter is free, and only for what was read', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.send(DATA, SYN, 1, 63 * KIB, Buffer.alloc(63 * KIB));
    const stream = await end.next();
    await turns();
    expect(peer.frames.filter(({ length }) => length > 0)).toEqual([]);
    stream.resume();
    await turns();
    // A request and its answer cost no frame for credit.
    expect(peer.frames.filter(({ length }) => length > 0)).toEqual([]);
    peer.send(DATA, 0, 1, KIB, Buffer.alloc(KIB));
    expect(await peer.frame(({ length }) => length > 0)).toMatchObject({
      type: WINDOW_UPDATE,
      id: 1,
      length: 64 * KIB,
    });
  });

  test('an ended stream gets none', async () => {
    const [end, peer] = muxAndPeer('server');
    peer.send(DATA, SYN | FIN, 1, 200 * KIB, Buffer.alloc(200 * KIB));
    await readAll(await end.next());
    await turns();
    expect(peer.frames.filter(({ length }) => length > 0)).toEqual([]);
  });

  test.each(['data', 'readable', 'iterator', 'pipe'])('flows however the stream is read: %s', async (how) => {
    const [client, server] = muxPair();
    const out = client.muxer.open();
    const sent = Buffer.alloc(2048 * KIB, 'kt');
    out.end(sent);
    const stream = await server.next();
    const chunks: Buffer[] = [];
    if (how === 'iterator') chunks.push(await readAll(stream));
    else if (how === 'pipe') {
      const back = server.muxer.open();
      stream.pipe(back);
      chunks.push(await readAll(await client.next()));
    } else {
      if (how === 'data') stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      else
        stream.on('readable', () => {
          for (
            let chunk = stream.read(1000) ?? stream.read();
            chunk !== null;
            chunk = stream.read(1000) ?? stream.read()
          )
            chunks.push(chunk);
        });
      await once(stream, 'end');
    }
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
  });
});

describe('batches', () => {
  test('a turn writes no more than the mark of the transport and one batch, and all are full while there is enough', async () => {
    const [client, server] = muxPair();
    for (let count = 0; count < 8; count += 1) client.muxer.open().end(Buffer.alloc(200 * KIB));
    await Promise.all(Array.from({ length: 8 }, async () => readAll(await server.next())));
    expect(Math.max(...client.transport.batches)).toBeLessThanOrEqual((64 + 65) * KIB);
    expect(client.transport.batches.length).toBeLessThanOrEqual(Math.ceil((8 * 200) / 60) + 10);
  });

  test('what a socket gives at a time goes out in one frame', async () => {
    const [{ muxer }, peer] = muxAndPeer('client');
    muxer.open().write(Buffer.alloc(64 * KIB));
    await peer.until(() => peer.received(1) === 64 * KIB);
    expect(peer.frames.filter(({ type }) => type === DATA).map(({ length }) => length)).toEqual([64 * KIB]);
  });

  test('control frames go first', async () => {
    const [{ muxer }, peer] = muxAndPeer('client');
    muxer.open().write(Buffer.alloc(100 * KIB));
    const pinged = muxer.ping();
    await peer.frame(({ type }) => type === DATA);
    expect(peer.frames.map(({ type }) => type)).toEqual([PING, DATA]);
    peer.send(PING, ACK, 0, peer.frames[0]?.length ?? 0);
    expect(await pinged).toBeGreaterThan(0);
  });

  test('a control frame waits for one batch at most', async () => {
    const [end, peer] = muxAndPeer('client');
    end.transport.stalled = true;
    end.muxer.open().write(Buffer.alloc(200 * KIB));
    await turns();
    void end.muxer.ping().catch(() => undefined);
    end.transport.resumeLine();
    await peer.frame(({ type }) => type === PING);
    const before = peer.frames.slice(
      0,
      peer.frames.findIndex(({ type }) => type === PING),
    );
    expect(before.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(65 * KIB);
    end.muxer.destroy();
  });

  test('streams take turns', async () => {
    const [{ muxer }, peer] = muxAndPeer('client');
    for (let count = 0; count < 4; count += 1) muxer.open().write(Buffer.alloc(256 * KIB));
    await peer.until(() => peer.received(7) === 256 * KIB);
    const data = peer.frames.filter(({ type, length }) => type === DATA && length > 32 * KIB).map(({ id }) => id);
    expect(data.slice(0, 8)).toEqual([1, 3, 5, 7, 1, 3, 5, 7]);
  });

  test('small writes of many streams share a batch', async () => {
    const [client, server] = muxPair();
    for (let count = 0; count < 100; count += 1) client.muxer.open().end(`request ${count}`);
    await turns();
    expect(server.accepted).toHaveLength(100);
    expect(client.transport.batches.length).toBeLessThanOrEqual(4);
  });
});

describe('half-close', () => {
  test('one side ends, the other answers later', async () => {
    const [client, server] = muxPair();
    const out = client.muxer.open();
    out.end('question');
    const stream = await server.next();
    expect(String(await readAll(stream))).toBe('question');
    expect(server.muxer.streamCount).toBe(1);
    stream.end('answer');
    expect(String(await readAll(out))).toBe('answer');
    await turns();
    expect([client.muxer.streamCount, server.muxer.streamCount]).toEqual([0, 0]);
  });

  test('the side that was opened ends first', async () => {
    const [client, server] = muxPair();
    const out = client.muxer.open();
    const stream = await server.next();
    stream.end('greeting');
    expect(String(await readAll(out))).toBe('greeting');
    out.write('still ');
    out.end('here');
    expect(String(await readAll(stream))).toBe('still here');
  });

  test('the end comes after the data, however long that waits for credit', async () => {
    const [{ muxer }, peer] = muxAndPeer('client');
    muxer.open().end(Buffer.alloc(300 * KIB));
    await peer.until(() => peer.received(1) === 256 * KIB);
    await turns();
    expect(peer.frames.some(({ flags }) => (flags & FIN) !== 0)).toBe(false);
    peer.send(WINDOW_UPDATE, 0, 1, 256 * KIB);
    await peer.frame(({ flags }) => flags === FIN);
    expect(peer.received(1)).toBe(300 * KIB);
  });

  test('data is kept for a reader who comes after both ends', async () => {
    const [client, server] = muxPair();
    client.muxer.open().end('kept');
    const stream = await server.next();
    stream.end();
    await turns();
    expect(server.muxer.streamCount).toBe(0);
    expect(String(await readAll(stream))).toBe('kept');
  });
});

describe('a prefix', () => {
  const status = Buffer.from('STATUS');

  /** Takes the status off, wherever it is cut. */
  function statusTaker(seen: Buffer[]): (chunk: Buffer) => Buffer | undefined {
    return (chunk) => {
      seen.push(chunk);
      const held = Buffer.concat(seen);
      return held.length < status.length ? undefined : held.subarray(status.length);
    };
  }

  test('is taken in front of a reader that is attached already, cut at every byte', async () => {
    const answer = Buffer.concat([status, Buffer.from('and then the body')]);
    for (let cut = 0; cut <= answer.length; cut += 1) {
      const [{ muxer }, peer] = muxAndPeer('client');
      const stream = muxer.open();
      const seen: Buffer[] = [];
      const body: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => body.push(chunk));
      stream.takePrefix(statusTaker(seen));
      for (const part of [answer.subarray(0, cut), answer.subarray(cut)]) if (part.length > 0) peer.data(ACK, 1, part);
      peer.send(WINDOW_UPDATE, FIN, 1, 0);
      await once(stream, 'end');
      expect([cut, Buffer.concat(body).toString()]).toEqual([cut, 'and then the body']);
    }
  });

  test('byte by byte, on a transport that cuts as well', async () => {
    const [left, right] = duplexPair({ cut: randomCuts(7) });
    const { muxer } = muxEnd(left, 'client');
    const peer = new RawPeer(right);
    const stream = muxer.open();
    stream.takePrefix(statusTaker([]));
    for (const byte of Buffer.concat([status, Buffer.from('body')])) peer.data(0, 1, Buffer.of(byte));
    peer.send(WINDOW_UPDATE, FIN, 1, 0);
    expect(String(await readAll(stream))).toBe('body');
  });

  test('may destroy the stream', async () => {
    const [{ muxer }, peer] = muxAndPeer('client');
    const stream = muxer.open();
    stream.takePrefix(() => {
      stream.destroy(new KtError('DIAL_REFUSED', 'no'));
      return Buffer.alloc(0);
    });
    peer.data(0, 1, Buffer.from('nonsense'));
    expect(await failure(stream)).toMatchObject({ code: 'DIAL_REFUSED' });
    await peer.frame(({ flags }) => (flags & RST) !== 0);
    expect(muxer.streamCount).toBe(0);
  });
});
