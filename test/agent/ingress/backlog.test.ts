// What the agent holds for those that do not read is bounded over all callers: the ones that stood still for longest go, others never notice.
import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { IngressWorld, listening, portOf } from '../../support/ingress-world.ts';

const MIB = 1024 * 1024;
/** The kernel takes some megabytes for each of them first. */
const LONG = { timeout: 20_000 };

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(origin: Server, heldBytesMax: number): Promise<IngressWorld> {
  await listening(origin);
  closers.push(() => origin.close());
  const world = await IngressWorld.start({ originPort: portOf(origin), limits: { heldBytesMax } });
  closers.push(() => world.close());
  return world;
}

/** Sends to everybody for as long as they read. */
function pour(socket: Pick<Socket, 'write' | 'on' | 'destroyed'>): void {
  const block = Buffer.alloc(64 * 1024);
  const more = (): void => {
    while (!socket.destroyed && socket.write(block));
  };
  socket.on('drain', more).on('error', () => undefined);
  more();
}

interface Reader {
  readonly socket: Socket;
  readonly closed: () => boolean;
}

function caller(port: number, text: string): Reader {
  const socket = connect(port, '127.0.0.1');
  let closed = false;
  // Nothing is read: an end that is not read is no event either, so the error counts.
  socket.on('error', () => undefined).on('close', () => (closed = true));
  socket.write(text);
  closers.push(() => socket.destroy());
  return { socket, closed: () => closed };
}

describe('readers that stand still', { timeout: 60_000 }, () => {
  test.each<[string, string, () => Server]>([
    [
      'HTTP',
      'GET / HTTP/1.1\r\nHost: orders\r\n\r\n',
      () => createHttp((_, response) => pour(response as unknown as Socket)),
    ],
    ['raw', '\0\r\n', () => createServer((socket) => pour(socket))],
  ])(
    '%s: the first ones are reset, the one that reads goes on, and the agent holds no more than it may',
    async (_, text, origin) => {
      const world = await start(origin(), 6 * MIB);
      const reading = caller(world.port, text);
      let bytes = 0;
      reading.socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
      await once(reading.socket, 'data');
      for (let index = 0; index < 40; index += 1) caller(world.port, text);
      await expect.poll(() => world.log.join(), LONG).toContain('did not read');
      // A caller that does not read hears of no reset; the agent knows.
      await expect.poll(() => world.connections, LONG).toBeLessThan(30);
      await expect.poll(() => world.heldBytes, LONG).toBeLessThanOrEqual(6 * MIB);
      const before = bytes;
      await expect.poll(() => bytes, LONG).toBeGreaterThan(before + MIB);
      expect(reading.closed()).toBe(false);
    },
  );

  test('HTTP/2: many answers on one connection count as much', async () => {
    const server = createHttp2();
    server.on('stream', (stream) => {
      stream.respond({ ':status': 200 });
      pour(stream as unknown as Socket);
    });
    const world = await start(server, 2 * MIB);
    const session = connectHttp2(`http://127.0.0.1:${world.port}`);
    session.on('error', () => undefined);
    closers.push(() => session.destroy());
    const closed = new Promise((resolve) => session.once('close', resolve));
    for (let index = 0; index < 40; index += 1) session.request({ ':path': `/${index}` }).on('error', () => undefined);
    await closed;
    await expect.poll(() => world.heldBytes).toBe(0);
  });

  test('a head that comes byte by byte and never ends counts too', async () => {
    const world = await start(createHttp(), MIB);
    const long = `GET / HTTP/1.1\r\nX: ${'x'.repeat(60 * 1024)}`;
    const still = Array.from({ length: 30 }, () => caller(world.port, long));
    await expect.poll(() => still.some(({ closed }) => closed()), LONG).toBe(true);
    await expect.poll(() => world.heldBytes).toBeLessThanOrEqual(MIB);
  });
});

test('more connections than there is room for are reset; those that are there go on', async () => {
  const origin = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
  await listening(origin);
  closers.push(() => origin.close());
  const world = await IngressWorld.start({ originPort: portOf(origin), limits: { connectionsMax: 3 } });
  closers.push(() => world.close());
  const there = Array.from({ length: 3 }, () => caller(world.port, '\0 1'));
  for (const { socket } of there) await once(socket, 'data');
  const late = caller(world.port, '\0 2');
  await expect.poll(late.closed).toBe(true);
  const [first] = there;
  first?.socket.write('\0 3');
  if (first) expect(String(await once(first.socket, 'data'))).toBe('\0 3');
});
