// Port-forwards to a server that behaves as containerd's does (channels, port bytes, error texts, close), over TLS.
// The real one is in test/e2e/cluster-access.test.ts.
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { WebSocket } from 'ws';
import { ChannelFraming } from '../../src/cluster/channel-framing.codec.ts';
import { PortForwardStream } from '../../src/cluster/port-forward-stream.ts';
import { openPortForward } from '../../src/cluster/upgrade.ts';
import { AT, cluster, data, error, open, type Runtime } from './support/runtime.ts';

async function readAll(stream: Duplex): Promise<string> {
  let text = '';
  for await (const chunk of stream as AsyncIterable<Buffer>) text += chunk.toString('latin1');
  return text;
}

describe('bytes', () => {
  test('what is asked for', async () => {
    const asked = Promise.withResolvers<IncomingMessage>();
    const { api } = await cluster(({ request }) => asked.resolve(request));
    const stream = await openPortForward(api, { ...AT, pod: 'a b' });
    const request = await asked.promise;
    expect(request.url).toBe('/api/v1/namespaces/shop/pods/a%20b/portforward?ports=8080');
    expect(request.headers['sec-websocket-protocol']).toBe('v4.channel.k8s.io');
    expect(request.headers['sec-websocket-extensions']).toBeUndefined();
    stream.destroy();
  });

  test('both ways; the end of the pod is the end of the stream', async () => {
    const stream = await open(({ socket }) =>
      socket.on('message', (message: Buffer) => {
        socket.send(message);
        if (message.includes('bye')) socket.close(1000);
      }),
    );
    stream.write('hello ');
    stream.write('bye');
    expect(await readAll(stream)).toBe('hello bye');
    expect(stream.destroyed).toBe(true);
  });

  test('the port bytes are dropped, however they are cut', async () => {
    const stream = await open(({ socket }) => {
      for (const message of [[0], [0, 0x90], [1, 0x90], [0, 0x1f, 0x61], [1, 0x1f], [0], [0, 0x62]])
        socket.send(Buffer.from(message));
      socket.close(1000);
    }, false);
    expect(await readAll(stream)).toBe('ab');
  });

  test('a message in fragments keeps its channel', async () => {
    const stream = await open(({ socket }) => {
      socket.send(data('a'), { fin: false });
      socket.send(Buffer.from([1, 2]), { fin: true });
      socket.close(1000);
    });
    expect(await readAll(stream)).toBe('a\u0001\u0002');
  });

  test('other channels and empty messages mean nothing', async () => {
    const stream = await open(({ socket }) => {
      for (const message of [[], [2, 9, 9, 9], [255, 1], [0]]) socket.send(Buffer.from(message));
      socket.send(data('x'));
      socket.close(1000);
    });
    expect(await readAll(stream)).toBe('x');
  });

  test('gathered writes are one message, of at most 65 KiB, in order; a write is rather not cut in two', async () => {
    const runtime = Promise.withResolvers<Runtime>();
    const stream = await open(runtime.resolve);
    const { messages, socket } = await runtime.promise;
    stream.cork();
    for (let number = 0; number < 100; number += 1) stream.write(Buffer.from([number]));
    stream.uncork();
    await once(socket, 'message');
    expect(messages).toEqual([Buffer.from(Array.from({ length: 100 }, (_, index) => index))]);
    messages.length = 0;
    const big = Buffer.from(Array.from({ length: 150_000 }, (_, index) => index % 251));
    stream.cork();
    stream.write(big.subarray(0, 10));
    stream.write(big.subarray(10));
    stream.uncork();
    while (messages.reduce((sum, message) => sum + message.length, 0) < big.length) await once(socket, 'message');
    expect(messages.map((message) => message.length)).toEqual([10, 66_560, 66_560, 149_990 - 2 * 66_560]);
    expect(Buffer.concat(messages).equals(big)).toBe(true);
  });

  test('any writes arrive as one sequence of bytes', async () => {
    const sizes = fc.array(fc.array(fc.integer({ min: 0, max: 70_000 }), { maxLength: 5 }), { maxLength: 4 });
    const runtime = Promise.withResolvers<Runtime>();
    const stream = await open(runtime.resolve);
    const { messages, socket } = await runtime.promise;
    await fc.assert(
      fc.asyncProperty(sizes, async (batches) => {
        messages.length = 0;
        let next = 0;
        for (const batch of batches) {
          stream.cork();
          for (const size of batch) stream.write(Buffer.from(Array.from({ length: size }, () => next++ % 253)));
          stream.uncork();
        }
        while (messages.reduce((sum, message) => sum + message.length, 0) < next) await once(socket, 'message');
        const all = Buffer.concat(messages);
        expect(all.length).toBe(next);
        expect(all.every((byte, index) => byte === index % 253)).toBe(true);
        expect(Math.max(0, ...messages.map((message) => message.length))).toBeLessThanOrEqual(66_560);
      }),
      { numRuns: 20 },
    );
  });

  test('keepAlive sends an empty message on channel 0, ping a ping', async () => {
    const runtime = Promise.withResolvers<Runtime>();
    const stream = await open(runtime.resolve);
    const { messages, socket } = await runtime.promise;
    stream.keepAlive();
    await once(socket, 'message');
    expect(messages).toEqual([Buffer.alloc(0)]);
    expect(await stream.ping()).toBeGreaterThanOrEqual(0);
  });
});

describe('back-pressure', () => {
  test('a reader that does not read stops the pod', async () => {
    const stuck = Promise.withResolvers<void>();
    const block = data(Buffer.alloc(32 * 1024));
    const stream = await open(({ socket }) => {
      const more = (): void => {
        if (socket.bufferedAmount > 8 * 1024 * 1024) return stuck.resolve();
        socket.send(block);
        setImmediate(more);
      };
      more();
    });
    await stuck.promise;
    expect(stream.readableLength).toBeLessThan(1024 * 1024);
    await once(stream, 'readable');
    stream.destroy();
  });

  test('a pod that does not read stops the writer, and nothing is lost when it reads again', async () => {
    const runtime = Promise.withResolvers<Runtime>();
    const stream = await open((one) => {
      one.socket.pause();
      runtime.resolve(one);
    });
    const { messages, socket } = await runtime.promise;
    const block = Buffer.alloc(64 * 1024, 'x');
    const total = 512;
    let written = 0;
    const writing = (async () => {
      for (; written < total; written += 1) if (!stream.write(block)) await once(stream, 'drain');
    })();
    // It is stuck when many turns bring it no further.
    for (let before = -1, still = 0; still < 100; before = written) {
      await new Promise((resolve) => setImmediate(resolve));
      still = written === before ? still + 1 : 0;
    }
    expect(written).toBeLessThan(total);
    expect(stream.writableLength).toBeLessThan(1024 * 1024);
    socket.resume();
    await writing;
    while (messages.reduce((sum, message) => sum + message.length, 0) < total * block.length)
      await once(socket, 'message');
  });
});

describe('ends', () => {
  const refused =
    'error forwarding port 8080 to pod abc, uid : failed to execute portforward in network namespace "/x": failed to connect to localhost:8080 inside namespace "abc", IPv4: dial tcp4 127.0.0.1:8080: connect: connection refused';

  test('a refusal on the error channel destroys the stream with its meaning', async () => {
    const stream = await open(({ socket }) => {
      socket.send(error(refused));
      socket.close(1000);
    });
    const [failed] = (await once(stream, 'error')) as [Error];
    expect(failed).toMatchObject({
      code: 'DIAL_REFUSED',
      message: 'nothing listens on the loopback address of shop/orders-0:8080',
      cause: { message: refused },
    });
  });

  test('an error text in pieces, and one without end', async () => {
    const stream = await open(({ socket }) => {
      socket.send(error('connection'));
      socket.send(error(' reset by peer'));
      for (let count = 0; count < 100; count += 1) socket.send(error('x'.repeat(10_000)));
      socket.close(1000);
    });
    const [failed] = (await once(stream, 'error')) as [{ code: string; cause: Error }];
    expect(failed.code).toBe('STREAM_RESET');
    expect(failed.cause.message.length).toBeLessThan(32 * 1024);
  });

  test.each([
    [
      'a connection that breaks',
      (socket: WebSocket) => socket.terminate(),
      'the port-forward to shop/orders-0:8080 broke: it ended without a goodbye',
    ],
    [
      'a close with another code',
      (socket: WebSocket) => socket.close(1011, 'idle'),
      'the port-forward to shop/orders-0:8080 broke: closed with 1011 (idle)',
    ],
  ])('%s', async (_, end, message) => {
    const stream = await open(({ socket }) => end(socket));
    const [failed] = (await once(stream, 'error')) as [Error];
    expect(failed).toMatchObject({ code: 'LINK_LOST', message });
  });

  test('end does not close: an answer that is under way still comes', async () => {
    const runtime = Promise.withResolvers<Runtime>();
    const stream = await open(runtime.resolve);
    stream.end('last question');
    const { socket, messages } = await runtime.promise;
    if (messages.length === 0) await once(socket, 'message');
    socket.send(data('late answer'));
    socket.close(1000);
    expect(await readAll(stream)).toBe('late answer');
  });

  test('end, then silence: closed after a time, which data puts off', async () => {
    const runtime = Promise.withResolvers<Runtime>();
    const stream = await open(runtime.resolve);
    const { socket } = await runtime.promise;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    stream.end();
    vi.advanceTimersByTime(9_000);
    socket.send(data('x'));
    await once(stream, 'data');
    vi.advanceTimersByTime(9_000);
    expect(stream.destroyed).toBe(false);
    const closed = once(socket, 'close');
    vi.advanceTimersByTime(1_001);
    expect(stream.destroyed).toBe(true);
    expect((await closed)[0]).toBe(1000);
  });

  test('destroy says goodbye to the runtime; with an error it breaks off', async () => {
    for (const [reason, code] of [
      [undefined, 1000],
      [new Error('x'), 1006],
    ] as const) {
      const runtime = Promise.withResolvers<Runtime>();
      const stream = await open(runtime.resolve);
      stream.on('error', () => undefined);
      const closed = once((await runtime.promise).socket, 'close');
      stream.destroy(reason);
      expect((await closed)[0]).toBe(code);
    }
  });

  test('a write that waits for the pod ends with the stream', async () => {
    const stream = await open(({ socket }) => socket.pause());
    const written = Promise.withResolvers<Error | null | undefined>();
    const block = Buffer.alloc(32 * 1024 * 1024);
    stream.on('error', () => undefined);
    stream.write(block, written.resolve);
    stream.destroy(new Error('over'));
    expect((await written.promise)?.message).toBe('over');
  });

  test('a flood of garbage after the switch ends the stream with a reason', async () => {
    const { api } = await cluster(({ request }) => request.socket.write(Buffer.alloc(100_000, 0xff)));
    const stream = await openPortForward(api, AT);
    expect((await once(stream, 'error'))[0]).toMatchObject({ code: 'LINK_PROTOCOL' });
  });
});

test('bytes that came with the answer to the handshake are the first ones', async () => {
  const frame = (...bytes: number[]): Buffer => Buffer.from([0x82, bytes.length, ...bytes]);
  const head = Buffer.concat([frame(0, 0x90, 0x1f), frame(1, 0x90, 0x1f), frame(0, ...Buffer.from('220 hello'))]);
  const socket = new Duplex({ read: () => undefined, write: (_, __, done) => done() });
  const stream = new PortForwardStream(socket, head, { name: 'shop/x:1', mask: 'zero', framing: new ChannelFraming() });
  const [first] = (await once(stream, 'data')) as [Buffer];
  expect(first.toString()).toBe('220 hello');
  stream.destroy();
});
