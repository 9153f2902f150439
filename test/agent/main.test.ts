// The ingress agent as the process that it is in a pod: ready when everything listens, on with its callers after SIGTERM, then gone.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, createServer as createHttp, get } from 'node:http';
import { connect as connectHttp2, constants, createServer as createHttp2 } from 'node:http2';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { closedPort, Laptop, listening, portOf } from '../support/ingress-world.ts';

const MAIN = new URL('../../src/agent/main.ts', import.meta.url).href;
const ALL = { kind: 'all' } as const;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

class Pod {
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
  said = '';

  constructor(env: Record<string, string>) {
    // What the bundler puts into the code otherwise.
    const code = `globalThis.__KT_VERSION__ = 'test'; await import(${JSON.stringify(MAIN)});`;
    this.process = spawn(process.execPath, ['--input-type=module', '-e', code], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.ended = once(this.process, 'exit').then(([code]) => code as number | null);
    for (const stream of [this.process.stdout, this.process.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.said += chunk.toString();
        this.process.emit('said');
      });
    closers.push(() => this.process.kill('SIGKILL'));
  }

  async says(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.said)) await once(this.process, 'said');
  }
}

interface Ready {
  readonly pod: Pod;
  readonly port: number;
  readonly linkPort: number;
  readonly health: () => Promise<number | undefined>;
}

async function start(originPort: number): Promise<Ready> {
  const [port, linkPort, healthPort] = [await closedPort(), await closedPort(), await closedPort()];
  const listeners = [{ port, protocol: 'TCP', originPort }];
  const pod = new Pod({
    KT_LINK_PORT: String(linkPort),
    KT_INGRESS: JSON.stringify({ service: 'orders', origin: '127.0.0.1', healthPort, listeners }),
  });
  await pod.says(/kt ingress agent test of orders/);
  const health = (): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      get({ port: healthPort, agent: false }, (response) => resolve(response.resume().statusCode)).on('error', reject);
    });
  return { pod, port, linkPort, health };
}

async function serve(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
  await listening(server);
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return portOf(server);
}

const echo = (): Promise<number> => serve(createServer((socket) => socket.pipe(socket)));

async function say(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return answer.toString();
}

const outcome = (port: number): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve('connected');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });

describe('SIGTERM', () => {
  test('not ready at once, new callers for a while, open connections to their end', { timeout: 20_000 }, async () => {
    const { pod, port, health } = await start(await echo());
    expect(await health()).toBe(200);
    const open = connect(port, '127.0.0.1').on('error', () => undefined);
    expect(await say(open, '\x01one')).toBe('\x01one');
    pod.process.kill('SIGTERM');
    await pod.says(/draining/);
    expect(await health()).toBe(503);
    // Those who have not heard of it yet.
    const late = connect(port, '127.0.0.1').on('error', () => undefined);
    expect(await say(late, '\x01late')).toBe('\x01late');
    await expect.poll(() => outcome(port), { timeout: 15_000 }).toBe('ECONNREFUSED');
    expect(await say(open, '\x01two')).toBe('\x01two');
    open.destroy();
    expect(await say(late, '\x01three')).toBe('\x01three');
    late.destroy();
    expect(await pod.ended).toBe(0);
  });

  test('kept-alive callers that say nothing do not hold it up', { timeout: 20_000 }, async () => {
    const http = await start(await serve(createHttp((_, response) => response.end('hi'))));
    const kept = new Agent({ keepAlive: true });
    closers.push(() => kept.destroy());
    await new Promise((resolve, reject) => {
      get({ port: http.port, agent: kept }, (response) => response.resume().once('end', resolve)).once('error', reject);
    });
    http.pod.process.kill('SIGTERM');
    expect(await http.pod.ended).toBe(0);
    expect(http.pod.said).not.toContain('defect');
  });

  test('HTTP/2: a request in flight is answered whole, the connection ends with it', { timeout: 20_000 }, async () => {
    const server = createHttp2();
    const asked = new Promise<() => void>((resolve) => {
      server.on('stream', (stream) => {
        stream.respond({ ':status': 200 });
        stream.write('begun ');
        resolve(() => stream.end('and done'));
      });
    });
    const { pod, port } = await start(await serve(server));
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    session.on('error', () => undefined);
    const goaway = once(session, 'goaway');
    const stream = session.request({ ':path': '/' });
    let text = '';
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const answer = await asked;
    await once(stream, 'response');
    pod.process.kill('SIGTERM');
    await goaway;
    answer();
    await once(stream, 'end');
    expect(text).toBe('begun and done');
    expect(await pod.ended).toBe(0);
  });

  test('HTTP/2: callers that never stop asking lose no request, also one that was on its way at that moment', {
    timeout: 20_000,
  }, async () => {
    const server = createHttp2((_, response) => response.end('hi'));
    const { pod, port } = await start(await serve(server));
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    session.on('error', () => undefined);
    let leaving = false;
    session.on('goaway', () => (leaving = true));
    const ask = (): Promise<string> =>
      new Promise((resolve) => {
        const stream = session.request({ ':path': '/' });
        let text = '';
        stream.on('data', (chunk: Buffer) => (text += chunk.toString())).on('error', () => undefined);
        // RFC 9113 §8.7: refused is "nobody has seen it", so clients ask again elsewhere. Node's own refuses what it had not sent yet.
        stream.on('close', () => resolve(stream.rstCode === constants.NGHTTP2_REFUSED_STREAM ? 'again' : text));
      });
    const answers = [await ask()];
    pod.process.kill('SIGTERM');
    const caller = async (): Promise<void> => {
      while (!leaving) answers.push(await ask());
    };
    await Promise.all(Array.from({ length: 20 }, caller));
    expect(answers.filter((answer) => answer !== 'again' && answer !== 'hi')).toEqual([]);
    expect(await pod.ended).toBe(0);
  });

  test('laptops are told, and one that is given back waits a second only for callers that come late', async () => {
    const { pod, port, linkPort, health } = await start(await echo());
    const laptop = new Laptop({ linkPort, port, localPort: await echo(), user: 'anna' });
    await laptop.connect();
    closers.push(() => laptop.cut());
    expect(await laptop.hold(ALL)).toMatchObject({ type: 'done' });
    expect(await laptop.ask({ type: 'retire' })).toMatchObject({ type: 'refused' });
    await laptop.ask({ type: 'leave' });
    expect(await laptop.ask({ type: 'retire' })).toMatchObject({ type: 'done' });
    expect(await health()).toBe(503);
    pod.process.kill('SIGTERM');
    await expect.poll(() => laptop.lines).toContainEqual({ type: 'drain' });
    expect(await pod.ended).toBe(0);
  });
});

describe('what can’t start says why', () => {
  test.each([
    ['{', 'the ingress configuration is not JSON'],
    ['{"service":"orders"}', 'the ingress configuration lacks a field'],
  ])('KT_INGRESS=%s', async (KT_INGRESS, message) => {
    const pod = new Pod({ KT_INGRESS, KT_LINK_PORT: '0' });
    expect(await pod.ended).toBe(2);
    expect(pod.said).toContain(`the agent can't start: ${message}`);
  });

  test('a port is taken: the Service’s, the link’s, the probe’s', async () => {
    const taken = await serve(createServer());
    const all = await listening(createServer());
    closers.push(() => all.close());
    const any = await new Promise<number>((resolve) => {
      const server = createServer().listen(0, () => resolve(portOf(server)));
      closers.push(() => server.close());
    });
    for (const [port, linkPort, healthPort] of [
      [any, await closedPort(), await closedPort()],
      [await closedPort(), taken, await closedPort()],
      [await closedPort(), await closedPort(), any],
    ] as const) {
      const pod = new Pod({
        KT_LINK_PORT: String(linkPort),
        KT_INGRESS: JSON.stringify({
          service: 'orders',
          origin: null,
          healthPort,
          listeners: [{ port, protocol: 'TCP', originPort: 80 }],
        }),
      });
      expect(await pod.ended).toBe(2);
      expect(pod.said).toContain('EADDRINUSE');
    }
  });
});
