// Our connection against the `ws` package's server, and against raw bytes where `ws` would not do it.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { WebSocket } from 'ws';
import { WebSocketConnection } from '../../../src/netstack/websocket/connection.ts';
import { connectPeer, dialPeer, startPeer } from './peer.ts';

const echo = (socket: WebSocket): void =>
  void socket.on('message', (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));

/** A raw TCP server; our connection on it without a handshake. */
async function raw(serve: (socket: Socket) => void, mask: 'zero' | 'random' = 'zero') {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const socket = await dialPeer((server.address() as AddressInfo).port);
  const closed = Promise.withResolvers<[number, string, Error | undefined]>();
  const pieces: Buffer[] = [];
  const connection = new WebSocketConnection(
    socket,
    {
      onData: (piece) => pieces.push(piece),
      onDrain: () => undefined,
      onClose: (...all) => closed.resolve(all as [number, string, Error | undefined]),
    },
    Buffer.alloc(0),
    { mask },
  );
  return { connection, socket, pieces, closed: closed.promise };
}

describe('messages', () => {
  test.each(['zero', 'random'] as const)(
    'of every size come back, with a %s mask; the parts stay as they were',
    async (mask) => {
      const peer = await connectPeer(await startPeer(echo), { mask });
      let count = 0;
      for (const size of [1, 2, 125, 126, 65_535, 65_536, 200_001]) {
        const part = Buffer.alloc(size - 1, 'x');
        peer.connection.send([Buffer.from([0]), part], size);
        count += 1;
        const message = (await peer.received(count)).at(-1) ?? Buffer.alloc(0);
        expect([message.length, message[0], message.subarray(1).equals(part)]).toEqual([size, 0, true]);
        expect(part.every((byte) => byte === 0x78)).toBe(true);
      }
    },
  );

  test('gathered messages arrive in order', async () => {
    const peer = await connectPeer(await startPeer(echo));
    const uncork = peer.connection.cork();
    for (let number = 0; number < 50; number += 1) peer.connection.send([Buffer.from([number])], 1);
    uncork();
    expect((await peer.received(50)).map((message) => message[0])).toEqual(
      Array.from({ length: 50 }, (_, index) => index),
    );
  });

  test('a message in fragments is one message', async () => {
    const peer = await connectPeer(
      await startPeer((socket) => {
        socket.send('ab', { binary: true, fin: false });
        socket.ping();
        socket.send('cd', { binary: true, fin: true });
      }),
    );
    expect(await peer.received(1)).toEqual([Buffer.from('abcd')]);
  });

  test('frames that come with the answer to the handshake are kept', async () => {
    // ws sends these in the same turn as its 101.
    const peer = await connectPeer(
      await startPeer((socket) => ['one', 'two'].forEach((text) => socket.send(Buffer.from(text)))),
    );
    expect((await peer.received(2)).map(String)).toEqual(['one', 'two']);
  });
});

describe('back-pressure', () => {
  test('a peer that does not read: send says false, then drains', async () => {
    let other: WebSocket | undefined;
    const peer = await connectPeer(
      await startPeer((socket) => {
        other = socket;
        socket.pause();
      }),
    );
    const block = Buffer.alloc(64 * 1024);
    let sent = 0;
    while (peer.connection.send([block], block.length)) sent += 1;
    expect(peer.socket.writableLength).toBeLessThan(1024 * 1024);
    const drained = once(peer, 'drain');
    other?.resume();
    await drained;
    expect(sent).toBeGreaterThan(0);
  });

  test('pause stops reading: the peer can not push without end', async () => {
    const stuck = Promise.withResolvers<void>();
    const block = Buffer.alloc(256 * 1024);
    const peer = await connectPeer(
      await startPeer((socket) => {
        const more = (): void => {
          if (socket.bufferedAmount > 16 * block.length) return stuck.resolve();
          socket.send(block, () => setImmediate(more));
        };
        for (let count = 0; count < 32; count += 1) more();
      }),
    );
    peer.connection.pause();
    await stuck.promise;
    const before = peer.messages.length;
    await new Promise((resolve) => setImmediate(resolve));
    expect(peer.messages.length).toBe(before);
    peer.connection.resume();
    await peer.received(before + 1);
  });
});

describe('pings', () => {
  test('are answered, with their payload', async () => {
    const pong = Promise.withResolvers<Buffer>();
    await connectPeer(
      await startPeer((socket) => {
        socket.on('pong', pong.resolve);
        socket.ping(Buffer.from('are you there'));
      }),
    );
    expect((await pong.promise).toString()).toBe('are you there');
  });

  test('of ours resolve with milliseconds', async () => {
    const peer = await connectPeer(await startPeer(echo));
    const times = await Promise.all([peer.connection.ping(), peer.connection.ping(), peer.connection.ping()]);
    for (const time of times) expect(time).toBeGreaterThanOrEqual(0);
  });

  test('an answer to the last one answers those before it; answers to none are ignored', async () => {
    const { connection, socket } = await raw((peer) => {
      let seen = 0;
      peer.on('data', (chunk) => {
        seen += chunk.length;
        // Two pings of 2 + 4 + 4 bytes: unasked, unknown, then the second one's answer.
        if (seen === 20) peer.write(Buffer.from('8a00 8a04ffffffff 8a0400000002'.replaceAll(' ', ''), 'hex'));
      });
    });
    await Promise.all([connection.ping(), connection.ping()]);
    socket.destroy();
  });

  test('reject when the connection ends before the answer, and when too many wait', async () => {
    const { connection, socket } = await raw(() => undefined);
    const pings = Array.from({ length: 8 }, () => connection.ping().catch((error: { code: string }) => error.code));
    await expect(connection.ping()).rejects.toMatchObject({
      code: 'LINK_LOST',
      message: 'earlier pings were not answered',
    });
    socket.destroy();
    expect(await Promise.all(pings)).toEqual(Array(8).fill('LINK_LOST'));
    await expect(connection.ping()).rejects.toMatchObject({ message: 'the websocket is closed' });
  });

  test('a flood of pings from one who does not read fills no memory', async () => {
    const flooded = Promise.withResolvers<void>();
    const { connection, socket } = await raw((peer) => {
      peer.pause();
      const ping = Buffer.concat(
        Array.from({ length: 500 }, () => Buffer.concat([Buffer.from([0x89, 125]), Buffer.alloc(125)])),
      );
      let left = 400;
      const more = (): void => {
        left -= 1;
        if (left === 0) flooded.resolve();
        else peer.write(ping, more);
      };
      more();
    });
    await flooded.promise;
    expect(socket.writableLength).toBeLessThan(1024 * 1024);
    connection.destroy();
  });
});

describe('ending', () => {
  test('close is answered; nothing is sent after it', async () => {
    const codes: unknown[] = [];
    const peer = await connectPeer(
      await startPeer((socket) => socket.on('close', (code, reason) => codes.push(code, reason.toString()))),
    );
    peer.connection.close(1001, 'going');
    expect(peer.connection.closing).toBe(true);
    expect(peer.connection.send([Buffer.from('x')], 1)).toBe(true);
    expect(await peer.closed).toEqual([1001, 'going', undefined]);
    await expect.poll(() => codes).toEqual([1001, 'going']);
  });

  test.each([
    [1000, 'done'],
    [1011, 'failed'],
    [4000, ''],
  ])('a close of the peer with %i', async (code, reason) => {
    const peer = await connectPeer(await startPeer((socket) => socket.close(code, reason)));
    expect(await peer.closed).toEqual([code, reason, undefined]);
  });

  test('a close without a code', async () => {
    const peer = await connectPeer(await startPeer((socket) => socket.close()));
    expect((await peer.closed)[0]).toBe(1005);
  });

  test('data before the close arrives first', async () => {
    const peer = await connectPeer(
      await startPeer((socket) => {
        socket.send(Buffer.from('last words'));
        socket.close(1000);
      }),
    );
    await peer.closed;
    expect(peer.messages.map(String)).toEqual(['last words']);
  });

  test('a peer that vanishes, and one that resets', async () => {
    const gone = await connectPeer(await startPeer((socket) => socket.terminate()));
    expect((await gone.closed)[0]).toBe(1006);
    const { closed, connection } = await raw((socket) => socket.once('data', () => socket.resetAndDestroy()));
    connection.send([Buffer.from('x')], 1);
    const [code, , error] = await closed;
    expect([code, (error as NodeJS.ErrnoException).code]).toEqual([1006, 'ECONNRESET']);
  });

  test('a peer that breaks the protocol is told so, and the reason is ours to see', async () => {
    const answer = Promise.withResolvers<Buffer>();
    const { closed } = await raw((socket) => {
      socket.once('data', answer.resolve);
      socket.write(Buffer.from('f0', 'hex'));
      socket.write(Buffer.from('00', 'hex'));
    });
    expect(await closed).toMatchObject([
      1006,
      '',
      {
        code: 'LINK_PROTOCOL',
        message: "the websocket's other side sent a frame with reserved bits, which no extension was agreed for",
      },
    ]);
    expect((await answer.promise).toString('hex')).toBe('88820000000003ea');
  });

  test('a peer that breaks the protocol and goes on sending is left after a time', async () => {
    const { closed } = await raw((socket) => {
      const block = Buffer.alloc(64 * 1024, 0xff);
      const more = (): void => {
        while (!socket.destroyed && socket.write(block));
        socket.once('drain', more);
      };
      more();
    });
    expect((await closed)[2]).toMatchObject({ code: 'LINK_PROTOCOL' });
  });

  test('a peer that never answers the close is left after a time', async () => {
    const { connection, closed } = await raw((socket) => socket.resume());
    connection.close(1000);
    expect((await closed)[0]).toBe(1000);
  });
});
