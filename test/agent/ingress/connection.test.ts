// Connections of a taken Service that are not HTTP: who speaks first, half-close, early data, back-pressure, resets, and the way to the
// origin whenever the laptop is not there. Plain TCP callers, real links.
import { once } from 'node:events';
import { Agent, createServer as createHttp, request } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { closedPort, IngressWorld, listening, portOf, type WorldOptions } from '../../support/ingress-world.ts';

const ALL = { kind: 'all' } as const;
const ANNA = { kind: 'header', name: 'version', value: 'anna' } as const;
/** Shorter than a person's patience, longer than a busy machine's round trip on the loopback. */
const SHORT_MS = 250;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = await listening(
    createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket.on('error', () => undefined));
      onSocket(socket);
    }),
  );
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return portOf(server);
}

/** Says `name` and all that it got, when the caller has ended. */
const telling = (name: string): Promise<number> =>
  serve((socket) => {
    let got = '';
    socket.on('data', (chunk: Buffer) => (got += chunk.toString()));
    socket.on('end', () => socket.end(`${name} got ${got}`));
  });

/** Answers each line with `name` and the line, behind a greeting. */
const greeting = (name: string): Promise<number> =>
  serve((socket) => {
    socket.write(`220 ${name}\r\n`);
    socket.on('data', (chunk: Buffer) => socket.write(`250 ${chunk.toString()}`));
    socket.on('end', () => socket.end());
  });

async function start(options: WorldOptions): Promise<IngressWorld> {
  const world = await IngressWorld.start(options);
  closers.push(() => world.close());
  return world;
}

function call(world: IngressWorld): Socket {
  const socket = connect({ port: world.port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined);
  closers.push(() => socket.destroy());
  return socket;
}

async function all(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

async function read(socket: Socket, bytes: number): Promise<string> {
  let text = '';
  while (text.length < bytes) {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) await once(socket, 'readable');
    else text += chunk.toString();
  }
  return text;
}

describe('who speaks first', () => {
  test('the server: a conversation behind its greeting, each line once', async () => {
    const world = await start({ originPort: await greeting('origin') });
    await (await world.laptop({ localPort: await greeting('laptop') })).hold(ALL);
    const socket = call(world);
    expect(await read(socket, 12)).toBe('220 laptop\r\n');
    for (const line of ['EHLO me\r\n', 'GET this\r\n', 'quit\r\n']) {
      socket.write(line);
      expect(await read(socket, 4 + line.length)).toBe(`250 ${line}`);
    }
    socket.end();
    expect(await all(socket)).toBe('');
  });

  test('the server, of a Service without rules for everything: the origin', async () => {
    const world = await start({ originPort: await greeting('origin') });
    await (await world.laptop({ localPort: await greeting('laptop') })).hold(ANNA);
    const socket = call(world);
    expect(await read(socket, 12)).toBe('220 origin\r\n');
  });

  test('the server, as the last time on this port: nobody waits for the caller first, who may speak first all the same', async () => {
    const limits = { firstBytesMs: SHORT_MS };
    const world = await start({ originPort: await greeting('origin'), limits });
    expect(await read(call(world), 12)).toBe('220 origin\r\n');
    limits.firstBytesMs = 600_000;
    const socket = call(world);
    expect(await read(socket, 12)).toBe('220 origin\r\n');
    const early = call(world);
    early.write('\x00early\r\n');
    expect(await read(early, 22)).toContain('220 origin\r\n');
  });

  test('the server closes without a word: so does the caller’s connection', async () => {
    const world = await start({ originPort: await serve((socket) => socket.end()) });
    const socket = call(world);
    expect(await all(socket)).toBe('');
  });

  test('the caller, with all it has to say before anybody was dialled (early data), and its half-close', async () => {
    const world = await start({ originPort: await telling('origin') });
    await (await world.laptop({ localPort: await telling('laptop') })).hold(ALL);
    const socket = call(world);
    socket.end('\x00early');
    expect(await all(socket)).toBe('laptop got \x00early');
  });

  test('the caller, with text that could become a request, and its half-close', async () => {
    const world = await start({ originPort: await telling('origin') });
    const socket = call(world);
    socket.end('HELLO');
    expect(await all(socket)).toBe('origin got HELLO');
  });

  test('the caller, with text that could become a request and never does', async () => {
    const origin = await serve((socket) =>
      socket.on('data', (chunk: Buffer) => socket.write(`got ${chunk.toString()}`)),
    );
    const world = await start({ originPort: origin, limits: { firstLineMs: SHORT_MS } });
    const socket = call(world);
    socket.write('PING');
    expect(await read(socket, 8)).toBe('got PING');
    socket.write('PONG');
    expect(await read(socket, 8)).toBe('got PONG');
  });

  test('nobody for a while, then the caller with a request: it is decided by its mark', async () => {
    let connections = 0;
    const http = async (name: string): Promise<number> => {
      const server = createHttp((_, response) => response.end(`I am ${name}`));
      if (name === 'origin') server.on('connection', () => (connections += 1));
      await listening(server);
      closers.push(() => (server.closeAllConnections(), server.close()));
      return portOf(server);
    };
    const world = await start({ originPort: await http('origin'), limits: { firstBytesMs: 1 } });
    const laptop = await world.laptop({ localPort: await http('laptop') });
    await laptop.hold(ANNA);
    for (const [mark, name] of [
      ['anna', 'laptop'],
      ['ben', 'origin'],
    ] as const) {
      const dialled = connections;
      const socket = call(world);
      // The agent asks who speaks first.
      await expect.poll(() => connections).toBe(dialled + 1);
      socket.write(`GET / HTTP/1.1\r\nHost: a\r\nversion: ${mark}\r\nConnection: close\r\n\r\n`);
      expect(await all(socket)).toContain(`I am ${name}`);
      expect(connections).toBe(dialled + 1);
    }
  });

  test('nobody, and the caller goes away: the other side hears of it', async () => {
    const ended: Promise<void>[] = [];
    const origin = await serve((socket) => ended.push(once(socket.resume(), 'end').then(() => void socket.end())));
    const world = await start({ originPort: origin, limits: { firstBytesMs: 1 } });
    const socket = call(world);
    await expect.poll(() => ended.length).toBe(1);
    socket.end();
    await ended[0];
    expect(await all(socket)).toBe('');
    await expect.poll(() => world.connections).toBe(0);
  });
});

describe('fail-open', () => {
  test('nothing listens on the laptop', async () => {
    const world = await start({ originPort: await telling('origin') });
    await (await world.laptop({ localPort: await closedPort() })).hold(ALL);
    const socket = call(world);
    socket.end('\x01');
    expect(await all(socket)).toBe('origin got \x01');
  });

  test('the laptop is silent: one connection waits for it, later ones ask nobody, and one byte of it ends the doubt', async () => {
    const world = await start({ originPort: await telling('origin'), limits: { openingMs: SHORT_MS } });
    const laptop = await world.laptop({ localPort: await telling('laptop') });
    await laptop.hold(ALL);
    laptop.stall();
    const first = call(world);
    first.end('\x01');
    expect(await all(first)).toBe('origin got \x01');
    expect(world.match()).toBe(undefined);
    const later = call(world);
    later.end('\x02');
    expect(await all(later)).toBe('origin got \x02');
    laptop.resume();
    await laptop.ask({ type: 'look' });
    const back = call(world);
    back.end('\x03');
    expect(await all(back)).toBe('laptop got \x03');
  });

  test('the laptop’s links are cut and come back, without a command', async () => {
    const world = await start({ originPort: await telling('origin') });
    const laptop = await world.laptop({ localPort: await telling('laptop') });
    await laptop.hold(ALL);
    laptop.cut();
    await expect.poll(() => world.match()).toBe(undefined);
    const gone = call(world);
    gone.end('\x01');
    expect(await all(gone)).toBe('origin got \x01');
    // Its rules were kept for it: the link alone brings them back.
    await laptop.connect();
    const back = call(world);
    back.end('\x02');
    expect(await all(back)).toBe('laptop got \x02');
  });

  test('a preview has no origin: without its laptop the caller is reset', async () => {
    const world = await start({ originPort: null });
    const socket = call(world);
    socket.write('\x01');
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
  });

  test('the origin refuses for a moment, as a pod that ends does: nobody notices', async () => {
    const port = await closedPort();
    const world = await start({ originPort: port });
    const socket = call(world);
    socket.write('\x01');
    await once(socket, 'connect');
    const late = createServer((one) => one.on('error', () => undefined).end('late')).listen(port, '127.0.0.1');
    closers.push(() => late.close());
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toBe('late');
  });

  test('neither answers: the caller is reset', async () => {
    const world = await start({ originPort: await closedPort() });
    await (await world.laptop({ localPort: await closedPort() })).hold(ALL);
    const socket = call(world);
    socket.write('\x01');
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
  });
});

describe('an open connection', () => {
  test('the link dies: the caller is reset at once, not ended', async () => {
    const world = await start({ originPort: await closedPort() });
    const laptop = await world.laptop({ localPort: await greeting('laptop') });
    await laptop.hold(ALL);
    const socket = call(world);
    await read(socket, 12);
    laptop.cut();
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
    await expect.poll(() => world.connections).toBe(0);
  });

  test('the caller resets: the laptop’s app hears of it', async () => {
    let local: Socket | undefined;
    const world = await start({ originPort: await closedPort() });
    const laptop = await world.laptop({
      localPort: await serve((socket) => {
        local = socket;
        socket.write('220 hello\r\n');
      }),
    });
    await laptop.hold(ALL);
    const socket = call(world);
    await read(socket, 11);
    const told = new Promise<NodeJS.ErrnoException>((resolve) => local?.once('error', resolve));
    socket.resetAndDestroy();
    expect((await told).code).toBe('ECONNRESET');
  });

  test('the server has said all and still listens (half-close the other way)', async () => {
    let got = '';
    const world = await start({ originPort: await closedPort() });
    const ended = Promise.withResolvers<string>();
    const laptop = await world.laptop({
      localPort: await serve((socket) => {
        socket.end('220 all\r\n');
        socket.on('data', (chunk: Buffer) => (got += chunk.toString()));
        socket.on('end', () => ended.resolve(got));
      }),
    });
    await laptop.hold(ALL);
    const socket = call(world);
    expect(await all(socket)).toBe('220 all\r\n');
    socket.end('still here');
    expect(await ended.promise).toBe('still here');
  });

  test('back-pressure: what nobody reads stays with the caller, other connections go on, and nothing is lost', async () => {
    const bytes = 64 * 1024 * 1024;
    let slow: Socket | undefined;
    const world = await start({ originPort: await closedPort() });
    const laptop = await world.laptop({
      localPort: await serve((socket) => {
        if (slow === undefined) slow = socket.pause();
        else socket.on('data', (chunk: Buffer) => socket.write(chunk));
      }),
    });
    await laptop.hold(ALL);
    const sender = call(world);
    sender.end(Buffer.alloc(bytes, 1));
    await expect.poll(() => slow?.readableLength ?? 0).toBeGreaterThan(0);
    const other = call(world);
    for (let round = 0; round < 100; round += 1) {
      other.write(Buffer.alloc(16, 2));
      await read(other, 16);
    }
    expect(sender.writableLength).toBeGreaterThan(bytes / 2);
    let got = 0;
    for await (const chunk of slow as Socket) got += (chunk as Buffer).length;
    expect(got).toBe(bytes);
  });
});

describe('kept connections to the origin', () => {
  test('it ends one while nobody asks: the next request gets a new one, also with a body', async () => {
    const sockets: Socket[] = [];
    const server = createHttp((incoming, response) => {
      incoming.resume().on('end', () => response.end(`connection ${sockets.length}`));
    });
    server.on('connection', (socket: Socket) => sockets.push(socket));
    await listening(server);
    closers.push(() => (server.closeAllConnections(), server.close()));
    const world = await start({ originPort: portOf(server) });
    const socket = call(world);
    const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi';
    const answer = async (): Promise<string> => {
      let text = '';
      while (!/connection \d$/.test(text)) text += await read(socket, 1);
      return text.slice(-1);
    };
    socket.write(post);
    expect(await answer()).toBe('1');
    socket.write(post);
    expect(await answer()).toBe('1');
    sockets[0]?.end();
    await once(sockets[0] as Socket, 'close');
    socket.write(post);
    expect(await answer()).toBe('2');
  });

  test('what it says while nobody asks is no answer', async () => {
    let count = 0;
    const origin = await serve((socket) => {
      count += 1;
      const text = `connection ${count}`;
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
        socket.end('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      });
    });
    const world = await start({ originPort: origin });
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    closers.push(() => kept.destroy());
    const get = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const asked = request({ port: world.port, agent: kept }, (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.on('end', () => resolve(`${response.statusCode} ${text}`));
        });
        asked.on('error', reject).end();
      });
    expect(await get()).toBe('200 connection 1');
    expect(await get()).toBe('200 connection 2');
  });
});
