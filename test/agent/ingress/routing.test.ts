// A taken Service: who gets which request or connection, and what callers notice when the laptop refuses, is silent, or is gone.
// Real sockets, real links, callers that are node:http and plain TCP (HTTP/2 is http2-routing.test.ts); only the cluster around it is missing.

import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer as createHttp, get, request } from 'node:http';
import { connect, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { closedPort, IngressWorld, listening, portOf } from '../../support/ingress-world.ts';

const ALL = { kind: 'all' } as const;
const ANNA = { kind: 'header', name: 'VERSION', value: 'anna' } as const;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** An HTTP server that says who it is and what it saw. */
async function app(name: string): Promise<Server & { port: number }> {
  const server = createHttp((incoming, response) => {
    const hash = createHash('sha256');
    incoming.on('data', (chunk: Buffer) => hash.update(chunk));
    incoming.on('end', () => {
      response.setHeader('x-app', name);
      response.end(JSON.stringify({ name, url: incoming.url, headers: incoming.rawHeaders, body: hash.digest('hex') }));
    });
  });
  await listening(server);
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) =>
    socket.on('message', (text) => socket.send(`${name} ${(text as Buffer).toString()}`)),
  );
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(server, { port: portOf(server) });
}

interface Seen {
  readonly name: string;
  readonly headers: string[];
  readonly body: string;
  readonly status: number | undefined;
}

function ask(
  port: number,
  headers: Record<string, string> = {},
  options: { agent?: Agent; body?: Buffer; method?: string } = {},
): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        port,
        host: '127.0.0.1',
        path: '/x',
        headers: { Host: 'orders', ...headers },
        method: options.method ?? (options.body ? 'POST' : 'GET'),
        ...(options.agent ? { agent: options.agent } : {}),
      },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () =>
          resolve({
            ...(text.startsWith('{') ? (JSON.parse(text) as Seen) : { name: text, headers: [], body: '' }),
            status: response.statusCode,
          }),
        );
        response.on('error', reject);
      },
    );
    asked.on('error', reject);
    asked.end(options.body);
  });
}

let origin: Server & { port: number };
let local: Server & { port: number };
let world: IngressWorld;
beforeEach(async () => {
  origin = await app('origin');
  local = await app('laptop');
  world = await IngressWorld.start({ originPort: origin.port });
  closers.push(() => world.close());
});

describe('exchange', () => {
  test('every request comes to the laptop, with the caller in X-Forwarded-For and all else as it was', async () => {
    const laptop = await world.laptop({ localPort: local.port });
    expect(await laptop.hold(ALL)).toMatchObject({ type: 'done', holders: [{ user: 'anna', live: true }] });
    const seen = await ask(world.port, { 'X-Odd-CASE': 'kept' });
    expect(seen).toMatchObject({ name: 'laptop', status: 200 });
    expect(seen.headers).toEqual([
      'Host',
      'orders',
      'X-Odd-CASE',
      'kept',
      'Connection',
      'keep-alive',
      'X-Forwarded-For',
      '127.0.0.1',
    ]);
  });

  test('nothing listens on the laptop: the origin answers; then it does, and traffic returns, on the same kept-alive connection', async () => {
    const port = await closedPort();
    const laptop = await world.laptop({ localPort: port });
    await laptop.hold(ALL);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    closers.push(() => agent.destroy());
    expect((await ask(world.port, {}, { agent })).name).toBe('origin');
    const late = createHttp((_, response) => response.end(JSON.stringify({ name: 'late' })));
    await new Promise<void>((resolve) => late.listen(port, '127.0.0.1', resolve));
    closers.push(() => late.close());
    expect((await ask(world.port, {}, { agent })).name).toBe('late');
  });

  test('the link is cut: the next request is answered by the origin; the laptop comes back: its own again', async () => {
    const laptop = await world.laptop({ localPort: local.port });
    await laptop.hold(ALL);
    expect((await ask(world.port)).name).toBe('laptop');
    laptop.cut();
    await expect.poll(() => world.registry.holders()[0]?.live).toBe(false);
    expect((await ask(world.port)).name).toBe('origin');
    await laptop.connect();
    await laptop.hold(ALL);
    expect((await ask(world.port)).name).toBe('laptop');
  });

  test('the laptop is silent: one request waits for it, the next ones do not, and a byte of it ends the doubt', {
    timeout: 20_000,
  }, async () => {
    const laptop = await world.laptop({ localPort: local.port });
    await laptop.hold(ALL);
    laptop.stall();
    expect((await ask(world.port)).name).toBe('origin');
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(world.port)));
    expect(answers.map(({ name }) => name)).toEqual(Array.from({ length: 20 }, () => 'origin'));
    laptop.resume();
    await laptop.ask({ type: 'look' });
    expect((await ask(world.port)).name).toBe('laptop');
  });

  test('the link dies before the answer: the origin answers what may be asked twice, 502 what may not', async () => {
    const seen: string[] = [];
    const hanging = createServer((socket) => {
      socket
        .on('error', () => undefined)
        .once('data', (bytes: Buffer) => {
          seen.push(bytes.toString().split(' ')[0] ?? '');
          if (seen.length === 2) laptop.cut();
        });
    });
    await listening(hanging);
    closers.push(() => hanging.close());
    const laptop = await world.laptop({ localPort: portOf(hanging) });
    await laptop.hold(ALL);
    const [get, post] = await Promise.all([ask(world.port), ask(world.port, {}, { body: Buffer.from('once') })]);
    expect(seen.toSorted()).toEqual(['GET', 'POST']);
    expect([get.status, get.name]).toEqual([200, 'origin']);
    expect(post.status).toBe(502);
  });

  test('the local app dies before it answers: 502 for that request alone', async () => {
    const dying = await listening(
      createServer((socket) => socket.on('error', () => undefined).once('data', () => socket.destroy())),
    );
    closers.push(() => dying.close());
    const laptop = await world.laptop({ localPort: portOf(dying) });
    await laptop.hold(ALL);
    expect(await ask(world.port)).toMatchObject({ status: 502, name: expect.stringContaining('kt:') });
  });

  test('raw TCP, and its half-close; with the laptop gone to the origin', async () => {
    const counting = await listening(
      createServer({ allowHalfOpen: true }, (socket) => {
        let bytes = 0;
        socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
        socket.on('end', () => socket.end(`counted ${bytes}`));
      }),
    );
    closers.push(() => counting.close());
    const laptop = await world.laptop({ localPort: portOf(counting) });
    await laptop.hold(ALL);
    const socket = connect({ port: world.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.end(Buffer.alloc(100_000, 1));
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text).toBe('counted 100000');
  });

  test('a server that speaks first', async () => {
    const banner = await listening(createServer((socket) => socket.on('error', () => undefined).end('220 hello\r\n')));
    closers.push(() => banner.close());
    const laptop = await world.laptop({ localPort: portOf(banner) });
    await laptop.hold(ALL);
    const socket = connect(world.port, '127.0.0.1').on('error', () => undefined);
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toBe('220 hello\r\n');
  });
});

describe('mesh', () => {
  test('M1: only marked requests, each one by itself on a kept-alive connection', async () => {
    const laptop = await world.laptop({ localPort: local.port });
    await laptop.hold(ANNA);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    closers.push(() => agent.destroy());
    const names: string[] = [];
    const marks: Record<string, string>[] = [
      {},
      { version: 'anna' },
      { VERSION: 'ben' },
      { Baggage: 'a=b, version=anna;p=1' },
      { tracestate: 'x=1,version=anna' },
      {},
    ];
    for (const headers of marks) names.push((await ask(world.port, headers, { agent })).name);
    expect(names).toEqual(['origin', 'laptop', 'origin', 'laptop', 'laptop', 'origin']);
  });

  test('M3, M4: two developers, two marks; the same mark is refused naming the holder; one leaves, the other stays', async () => {
    const ben = await app('ben');
    const [one, two] = [
      await world.laptop({ localPort: local.port }),
      await world.laptop({ localPort: ben.port, user: 'ben' }),
    ];
    await one.hold(ANNA);
    expect(await two.hold(ANNA)).toMatchObject({
      type: 'refused',
      code: 'SERVICE_HELD',
      message: expect.stringContaining('anna on laptop'),
    });
    expect(await two.hold({ ...ANNA, value: 'ben' })).toMatchObject({ type: 'done' });
    const both = async (): Promise<string[]> => [
      (await ask(world.port, { version: 'anna' })).name,
      (await ask(world.port, { version: 'ben' })).name,
    ];
    expect(await both()).toEqual(['laptop', 'ben']);
    expect(await one.ask({ type: 'leave' })).toMatchObject({ type: 'done', holders: [{ user: 'ben' }] });
    expect(await both()).toEqual(['origin', 'ben']);
    expect(await two.ask({ type: 'leave' })).toMatchObject({ holders: [] });
  });

  test('M5: exchange on a meshed Service and mesh on an exchanged one are refused; taking over tells the loser', async () => {
    const [one, two] = [
      await world.laptop({ localPort: local.port }),
      await world.laptop({ localPort: local.port, user: 'ben' }),
    ];
    await one.hold(ANNA);
    expect(await two.hold(ALL)).toMatchObject({ type: 'refused', code: 'SERVICE_HELD' });
    expect(await two.hold(ALL, true)).toMatchObject({ type: 'done' });
    await expect.poll(() => one.lines).toContainEqual({ type: 'evicted', by: 'ben on laptop', rules: ['r1'] });
    expect(await one.hold(ANNA)).toMatchObject({ type: 'refused', message: expect.stringContaining('all requests') });
  });

  test('rules of a session that is away stay reserved for two minutes, by the agent’s clock', async () => {
    const [one, two] = [
      await world.laptop({ localPort: local.port }),
      await world.laptop({ localPort: local.port, user: 'ben' }),
    ];
    await one.hold(ANNA);
    one.cut();
    await expect.poll(() => world.registry.holders()[0]?.live).toBe(false);
    expect(await two.hold(ANNA)).toMatchObject({
      type: 'refused',
      message: expect.stringContaining('does not answer now'),
    });
    world.now += 121_000;
    expect(await two.hold(ANNA)).toMatchObject({ type: 'done' });
  });

  test('what is no HTTP goes to the origin, whole', async () => {
    const raw = await listening(
      createServer((socket) => socket.on('error', () => undefined).on('data', (chunk) => socket.write(chunk))),
    );
    closers.push(() => raw.close());
    const echo = await IngressWorld.start({ originPort: portOf(raw) });
    closers.push(() => echo.close());
    await (await echo.laptop({ localPort: local.port })).hold(ANNA);
    const socket = connect(echo.port, '127.0.0.1').on('error', () => undefined);
    const hello = Buffer.from('16030100010100', 'hex');
    socket.write(hello);
    const [back] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(back.equals(hello)).toBe(true);
  });
});

describe('transparent for everybody else', () => {
  beforeEach(async () => {
    await (await world.laptop({ localPort: local.port })).hold(ANNA);
  });

  test('64 MiB of body, by length and by chunks', { timeout: 60_000 }, async () => {
    const body = randomBytes(64 * 1024 * 1024);
    const hash = createHash('sha256').update(body).digest('hex');
    expect(await ask(world.port, {}, { body })).toMatchObject({ name: 'origin', body: hash });
    expect(await ask(world.port, { 'Transfer-Encoding': 'chunked' }, { body })).toMatchObject({ body: hash });
    expect(await ask(world.port, { version: 'anna' }, { body })).toMatchObject({ name: 'laptop', body: hash });
  });

  test('websocket, unmarked and marked', async () => {
    for (const [headers, name] of [
      [{}, 'origin'],
      [{ version: 'anna' }, 'laptop'],
    ] as const) {
      const socket = new WebSocket(`ws://127.0.0.1:${world.port}/ws`, { headers }).on('error', () => undefined);
      await once(socket, 'open');
      socket.send('hello');
      const [text] = (await once(socket, 'message')) as [Buffer];
      socket.terminate();
      expect(text.toString()).toBe(`${name} hello`);
    }
  });

  test('HEAD, 304, pipelined requests, Expect: 100-continue, trailers', async () => {
    expect(await ask(world.port, {}, { method: 'HEAD' })).toMatchObject({ status: 200, name: '' });
    const socket = connect(world.port, '127.0.0.1').on('error', () => undefined);
    socket.write(
      'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nversion: anna\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect([...text.matchAll(/"name":"(\w+)","url":"(\/\d)"/g)].map(([, name, url]) => `${name}${url}`)).toEqual([
      'origin/1',
      'laptop/2',
      'origin/3',
    ]);
    const status = await new Promise((resolve) => {
      const asked = request(
        { port: world.port, method: 'POST', headers: { Expect: '100-continue', 'Content-Length': 2 } },
        (response) => resolve(response.resume().statusCode),
      );
      asked.on('continue', () => asked.end('ok'));
      asked.flushHeaders();
    });
    expect(status).toBe(200);
  });

  test('both lengths at once (smuggling) are refused', async () => {
    const socket = connect(world.port, '127.0.0.1').on('error', () => undefined);
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('draining: the answer asks the caller to leave, and it is answered', async () => {
    world.draining = true;
    const connection = await new Promise((resolve) =>
      get({ port: world.port, agent: new Agent({ keepAlive: true }) }, (response) => {
        response.resume();
        resolve(response.headers.connection);
      }),
    );
    expect(connection).toBe('close');
  });
});
