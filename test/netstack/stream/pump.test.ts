// Joined streams over loopback TCP, mux streams and slow sinks in this process: both ways, every ending.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Duplex, PassThrough } from 'node:stream';
import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { type JoinResult, joinStreams } from '../../../src/netstack/stream/pump.ts';
import { duplexPair, type PairEnd, randomCuts } from '../../support/duplex-pair.ts';
import { failure, muxPair, readAll, turns } from '../../support/mux-peers.ts';
import { type Peer, tcpServer } from '../../support/peers.ts';
import { retainedBytes } from '../../support/retained.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

const peers: Peer[] = [];
afterEach(async () => {
  await Promise.all(peers.splice(0).map((peer) => peer.stop()));
});

/** The program's end of a TCP connection, and the end that is joined. */
async function tcp(): Promise<{ outside: Socket; inside: Socket }> {
  let came: (socket: Socket) => void;
  const accepted = new Promise<Socket>((resolve) => {
    came = resolve;
  });
  const server = await tcpServer((socket) => came(socket));
  peers.push(server);
  const outside = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
  outside.on('error', () => undefined);
  return { outside, inside: await accepted };
}

interface Joined {
  readonly left: Socket;
  readonly right: Socket;
  readonly insideLeft: Socket;
  readonly insideRight: Socket;
  readonly result: Promise<JoinResult>;
}

async function joinedTcp(): Promise<Joined> {
  const [a, b] = [await tcp(), await tcp()];
  const result = joinStreams(a.inside, b.inside);
  return { left: a.outside, right: b.outside, insideLeft: a.inside, insideRight: b.inside, result };
}

/** What a program sees at the end of its connection. */
async function ending(socket: Socket): Promise<string> {
  socket.resume();
  let how = 'closed';
  socket.on('end', () => {
    how = 'end';
    socket.end();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    how = error.code ?? error.message;
  });
  if (!socket.closed) await once(socket, 'close').catch(() => undefined);
  return how;
}

describe('bytes', () => {
  test('both ways, with counts', async () => {
    const { left, right, result } = await joinedTcp();
    left.end('to the right');
    right.end(Buffer.alloc(3 * MIB, 'l'));
    expect(String(await readAll(right))).toBe('to the right');
    expect((await readAll(left)).equals(Buffer.alloc(3 * MIB, 'l'))).toBe(true);
    expect(await result).toEqual({ aToB: 12, bToA: 3 * MIB });
  });

  test('that came before the join, with the end behind them', async () => {
    const [a, b] = [await tcp(), await tcp()];
    a.outside.end('early');
    await once(a.inside, 'readable');
    await turns();
    const result = joinStreams(a.inside, b.inside);
    expect(String(await readAll(b.outside))).toBe('early');
    b.outside.end('late');
    expect(String(await readAll(a.outside))).toBe('late');
    expect(await result).toEqual({ aToB: 5, bToA: 4 });
  });

  test('many small chunks of one turn are one write', async () => {
    const [a, far] = duplexPair();
    const [b, sink] = duplexPair();
    void joinStreams(a, b);
    const got = readAll(sink);
    for (let count = 0; count < 50; count += 1) far.write(Buffer.from(`chunk ${count};`));
    far.end();
    expect((await got).toString().split(';')).toHaveLength(51);
    expect(b.batches.length).toBeLessThan(10);
  });

  test('property: any pieces, any cuts, either side may end first', async () => {
    const sizes = fc.array(fc.oneof(fc.nat(20), fc.nat(100_000)), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(sizes, sizes, fc.integer(), fc.constantFrom(1, 4_096, 65_536), async (up, down, seed, mark) => {
        const [left, a] = duplexPair({ cut: randomCuts(seed), highWaterMark: mark });
        const [b, right] = duplexPair({ cut: randomCuts(seed + 1), highWaterMark: 70_000 - mark });
        const result = joinStreams(a, b);
        const [toLeft, toRight] = [readAll(left), readAll(right)];
        const send = async (end: PairEnd, list: number[], fill: number): Promise<Buffer> => {
          for (const size of list) if (!end.write(Buffer.alloc(size, fill))) await once(end, 'drain');
          end.end();
          return Buffer.concat(list.map((size) => Buffer.alloc(size, fill)));
        };
        const [sentUp, sentDown] = await Promise.all([send(left, up, 1), send(right, down, 2)]);
        expect((await toRight).equals(sentUp)).toBe(true);
        expect((await toLeft).equals(sentDown)).toBe(true);
        expect(await result).toEqual({ aToB: sentUp.length, bToA: sentDown.length });
      }),
      { numRuns: 40 },
    );
  });
});

describe('(1) both directions end', () => {
  test.each(['left', 'right'] as const)(
    'the %s ends first; the other goes on for as long as it wants',
    async (first) => {
      const { left, right, result } = await joinedTcp();
      const [early, late] = first === 'left' ? [left, right] : [right, left];
      early.end('question');
      expect(String(await readAll(late))).toBe('question');
      for (let count = 0; count < 3; count += 1) late.write('answer ');
      late.end();
      expect(String(await readAll(early))).toBe('answer answer answer ');
      expect((await result).error).toBeUndefined();
    },
  );

  test('a side that has said and heard all closes; what it said still reaches a slow sink', async () => {
    const [a, far] = duplexPair();
    const taken: number[] = [];
    let release: () => void = () => undefined;
    const slow = new Duplex({
      allowHalfOpen: true,
      highWaterMark: 64 * KIB,
      read() {
        this.push(null);
      },
      write(chunk: Buffer, _encoding, done) {
        taken.push(chunk.length);
        release = done;
      },
    });
    const result = joinStreams(a, slow);
    far.end('the last words');
    far.resume();
    await once(a, 'close');
    await turns();
    expect(slow.destroyed).toBe(false);
    release();
    expect(await result).toEqual({ aToB: 14, bToA: 0 });
    expect(taken).toEqual([14]);
  });

  test('both at once, with nothing said', async () => {
    const { left, right, result } = await joinedTcp();
    left.end();
    right.end();
    expect(await result).toEqual({ aToB: 0, bToA: 0 });
  });

  test('a mux stream and a socket', async () => {
    const [client, server] = muxPair();
    const { outside, inside } = await tcp();
    const stream = client.muxer.open();
    const result = joinStreams(await (stream.write('hello'), server.next()), inside);
    await once(outside, 'readable');
    expect(String(outside.read())).toBe('hello');
    outside.end('bye');
    expect(String(await readAll(stream))).toBe('bye');
    stream.end(' and more');
    expect(String(await readAll(outside))).toBe(' and more');
    expect(await result).toEqual({ aToB: 14, bToA: 3 });
    await turns();
    expect([client.muxer.streamCount, server.muxer.streamCount]).toEqual([0, 0]);
  });
});

describe('(2) a side fails', () => {
  test.each(['left', 'right'] as const)('the %s is reset: the other sees ECONNRESET', async (which) => {
    const { left, right, result } = await joinedTcp();
    const [failing, other] = which === 'left' ? [left, right] : [right, left];
    failing.write('x');
    await once(other, 'readable');
    failing.resetAndDestroy();
    expect(await ending(other)).toBe('ECONNRESET');
    expect((await result).error).toMatchObject({ code: 'ECONNRESET' });
  });

  test('a reset after the half-close of the same side is a reset still', async () => {
    const { left, right, result } = await joinedTcp();
    left.end('question');
    expect(String(await readAll(right))).toBe('question');
    left.resetAndDestroy();
    // Nobody reads a side that has ended, so the next bytes for it tell.
    const more = (): void => void right.write('answer', (error) => error ?? setImmediate(more));
    more();
    expect(await ending(right)).toMatch(/ECONNRESET|EPIPE/);
    expect((await result).error).toBeInstanceOf(Error);
  });

  test('a mux stream that is reset resets the socket', async () => {
    const [client, server] = muxPair();
    const { outside, inside } = await tcp();
    const stream = client.muxer.open();
    const result = joinStreams(await server.next(), inside);
    stream.reset();
    expect(await ending(outside)).toBe('ECONNRESET');
    expect(await result).toMatchObject({ error: { code: 'STREAM_RESET' } });
  });

  test('a socket that is reset resets the mux stream', async () => {
    const [client, server] = muxPair();
    const { outside, inside } = await tcp();
    const stream = client.muxer.open();
    const result = joinStreams(await server.next(), inside);
    outside.resetAndDestroy();
    expect(await failure(stream)).toMatchObject({ code: 'STREAM_RESET' });
    expect((await result).error).toMatchObject({ code: 'ECONNRESET' });
  });

  test('a lost link resets the sockets of all its streams', async () => {
    const [client, server] = muxPair();
    const ends = await Promise.all(
      Array.from({ length: 3 }, async () => {
        client.muxer.open();
        const { outside, inside } = await tcp();
        return { outside, result: joinStreams(await server.next(), inside) };
      }),
    );
    server.muxer.destroy();
    for (const { outside, result } of ends) {
      expect(await ending(outside)).toBe('ECONNRESET');
      expect((await result).error).toMatchObject({ code: 'LINK_LOST' });
    }
  });

  test('while it waits for the other to take its bytes', async () => {
    const { left, right, result } = await joinedTcp();
    right.pause();
    left.write(Buffer.alloc(16 * MIB));
    await turns(50);
    left.resetAndDestroy();
    expect(await ending(right)).toBe('ECONNRESET');
    expect((await result).error).toMatchObject({ code: 'ECONNRESET' });
  });

  test('before the join: the other is reset, and the join is over', async () => {
    const [a, b] = [await tcp(), await tcp()];
    a.inside.destroy(new Error('gone before'));
    a.inside.on('error', () => undefined);
    const result = await joinStreams(a.inside, b.inside);
    expect(result).toMatchObject({ aToB: 0, bToA: 0, error: { message: 'gone before' } });
    expect(await ending(b.outside)).toBe('ECONNRESET');
  });

  test('both before the join', async () => {
    const [a, b] = [new PassThrough(), new PassThrough()];
    a.destroy();
    b.destroy();
    expect(await joinStreams(a, b)).toMatchObject({ error: { code: 'STREAM_RESET' } });
  });

  test('errors after the end have nobody left to tell, and are no uncaught exception', async () => {
    const [a, far] = duplexPair();
    const [b, sink] = duplexPair();
    const result = joinStreams(a, b);
    far.end();
    far.resume();
    sink.end();
    sink.resume();
    await result;
    a.emit('error', new Error('late'));
    expect(await result).toEqual({ aToB: 0, bToA: 0 });
  });
});

describe('(3) a side closes without an end', () => {
  test('the other is reset: an end would say that this was all', async () => {
    const [a, b] = [await tcp(), await tcp()];
    const result = joinStreams(a.inside, b.inside);
    a.inside.destroy();
    expect(await ending(b.outside)).toBe('ECONNRESET');
    expect(await result).toMatchObject({ error: { code: 'STREAM_RESET', message: /before its end/ } });
  });

  test('a side that somebody else has ended takes no more: the sender is reset', async () => {
    const [a, b] = [await tcp(), await tcp()];
    b.inside.end();
    await once(b.inside, 'finish');
    const result = joinStreams(a.inside, b.inside);
    a.outside.write('nobody wants this');
    expect(await ending(a.outside)).toBe('ECONNRESET');
    expect((await result).error).toBeInstanceOf(Error);
  });
});

describe('back-pressure', () => {
  test('a fast source and a slow sink: memory stays bounded, nothing is lost', async () => {
    const total = 64 * MIB;
    let left = total;
    const chunk = Buffer.alloc(64 * KIB);
    const source = new Duplex({
      read() {
        if (left === 0) this.push(null);
        else {
          left -= chunk.length;
          this.push(Buffer.from(chunk));
        }
      },
      write: (_chunk, _encoding, done) => done(),
    });
    let got = 0;
    let most = 0;
    const before = retainedBytes();
    const sink = new Duplex({
      highWaterMark: 64 * KIB,
      read() {
        this.push(null);
      },
      writev(chunks: { chunk: Buffer }[], done) {
        for (const one of chunks) got += one.chunk.length;
        most = Math.max(most, sink.writableLength);
        if (got % (16 * MIB) === 0) expect(retainedBytes() - before).toBeLessThan(8 * MIB);
        setImmediate(done);
      },
    });
    expect(await joinStreams(source, sink)).toEqual({ aToB: total, bToA: 0 });
    expect(got).toBe(total);
    expect(most).toBeLessThanOrEqual(64 * KIB + 2 * chunk.length);
  });

  test('a sink that never reads stops the source', async () => {
    const { left, right, result } = await joinedTcp();
    right.pause();
    let accepted = 0;
    const bytes = Buffer.alloc(256 * KIB);
    const stuck = new Promise<void>((resolve) => {
      const more = (): void => {
        accepted += bytes.length;
        if (accepted >= 256 * MIB) resolve();
        else if (left.write(bytes)) setImmediate(more);
        else left.once('drain', more);
      };
      more();
      const look = (before: number, same: number): void => {
        if (accepted !== before) setImmediate(look, accepted, 0);
        else if (same > 500) resolve();
        else setImmediate(look, before, same + 1);
      };
      look(0, 0);
    });
    await stuck;
    expect(accepted).toBeLessThan(64 * MIB);
    left.destroy();
    right.destroy();
    await result;
  });

  test('a direction that stands still does not stop the other', async () => {
    const { left, right, result } = await joinedTcp();
    left.pause();
    right.write(Buffer.alloc(32 * MIB));
    left.end(Buffer.alloc(8 * MIB, 'r'));
    expect((await readAll(right)).length).toBe(8 * MIB);
    left.destroy();
    expect((await result).error).toBeInstanceOf(Error);
  });
});
