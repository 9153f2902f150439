// Port-forward as a websocket client sees it. The peer is `ws`; the expected behaviour is that of a real cluster (containerd).
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { type Playground, startPlayground } from '../../src/playground/start.ts';
import { nodePod, PlaygroundClient } from '../support/playground-client.ts';

const PODS = '/api/v1/namespaces/shop/pods';

let playground: Playground;
let client: PlaygroundClient;

/** As the real cluster's `echo`: 7000 echoes, 7001 resets, 7002 counts to the end, 7003 sends N bytes, 7004 speaks first, 7005 never reads. */
const SERVER = `
  const net = require('node:net'); let left = 6;
  const listen = (port, serve) => net.createServer({ allowHalfOpen: true }, (s) => { s.on('error', () => s.destroy()); serve(s); }).listen(port, '127.0.0.1', () => { if (--left === 0) console.log('up'); });
  const block = Buffer.alloc(65536, 'x');
  listen(7000, (s) => s.pipe(s));
  listen(7001, (s) => s.once('data', () => s.resetAndDestroy()));
  listen(7002, (s) => { let n = 0; s.on('data', (d) => { n += d.length; }); s.on('end', () => { console.log('end ' + n); s.end(n + '\\n'); }); });
  listen(7003, (s) => s.once('data', (line) => { let n = Number(line); const more = () => { while (n > 0) { const p = block.subarray(0, Math.min(n, block.length)); n -= p.length; if (!s.write(p)) return s.once('drain', more); } s.end(); }; more(); }));
  listen(7004, (s) => s.write('220 hello\\r\\n'));
  listen(7005, (s) => s.pause());`;

beforeAll(async () => {
  playground = await startPlayground({ shop: false });
  client = new PlaygroundClient(playground);
  await client.post(PODS, nodePod('echo', SERVER));
  await client.podPhase('shop', 'echo', 'Running');
  await client.firstLine('shop', 'echo');
});
afterAll(async () => {
  client.close();
  await playground.close();
});

interface Seen {
  readonly messages: Buffer[];
  readonly code: number;
}

/** Everything until the end. */
async function all(websocket: WebSocket): Promise<Seen> {
  const messages: Buffer[] = [];
  websocket.on('message', (message: Buffer) => messages.push(message));
  const [code] = (await once(websocket, 'close')) as [number];
  return { messages, code };
}

const data = (channel: number, text: string | Buffer): Buffer =>
  Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);

/** What a refused upgrade is answered with. */
async function refusal(websocket: WebSocket): Promise<{ code: number; body: string }> {
  websocket.on('error', () => {});
  const [, response] = (await once(websocket, 'unexpected-response')) as [
    unknown,
    NodeJS.ReadableStream & { statusCode: number },
  ];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { code: response.statusCode, body };
}

test('the port comes first on both channels, little-endian, then the bytes', async () => {
  const websocket = client.websocket('shop', 'echo', [7000]);
  const messages: Buffer[] = [];
  const three = new Promise<void>((resolve) => {
    websocket.on('message', (message: Buffer) => {
      messages.push(message);
      if (messages.length === 3) resolve();
    });
  });
  await once(websocket, 'open');
  websocket.send(data(0, 'hello'));
  await three;
  expect(websocket.protocol).toBe('v4.channel.k8s.io');
  expect(messages.map((message) => message.toString('hex'))).toEqual([
    '00581b',
    '01581b',
    `00${Buffer.from('hello').toString('hex')}`,
  ]);
  websocket.close();
  await once(websocket, 'close');
});

test('a pod that speaks first, and early bytes that come with the upgrade', async () => {
  const stream = await client.forward('shop', 'echo', 7004);
  const [greeting] = (await once(stream, 'data')) as [Buffer];
  expect(greeting.toString()).toBe('220 hello\r\n');
  stream.destroy();
});

test('a refused port: the error channel says so, then the end with 1000', async () => {
  const { messages, code } = await all(client.websocket('shop', 'echo', [9999]));
  expect(code).toBe(1000);
  expect(messages).toHaveLength(3);
  expect(messages[2]?.[0]).toBe(1);
  expect(messages[2]?.subarray(1).toString()).toMatch(
    /^error forwarding port 9999 to pod [0-9a-f]{64}, uid : failed to execute portforward in network namespace "\/var\/run\/netns\/cni-[0-9a-f-]{36}": failed to connect to localhost:9999 inside namespace "[0-9a-f]{64}", IPv4: dial tcp4 127\.0\.0\.1:9999: connect: connection refused IPv6 dial tcp6 \[::1\]:9999: connect: connection refused $/,
  );
});

test('the pod ends: all its bytes, then the end with 1000', async () => {
  const websocket = client.websocket('shop', 'echo', [7003]);
  websocket.on('open', () => websocket.send(data(0, '1000000\n')));
  const { messages, code } = await all(websocket);
  expect(code).toBe(1000);
  const bytes = messages.slice(2).reduce((sum, message) => sum + message.length - 1, 0);
  expect(bytes).toBe(1_000_000);
  expect(Math.max(...messages.map((message) => message.length))).toBeLessThanOrEqual(64 * 1024 + 1);
});

test('the pod resets: a text on the error channel', async () => {
  const websocket = client.websocket('shop', 'echo', [7001]);
  websocket.on('open', () => websocket.send(data(0, 'x')));
  const { messages, code } = await all(websocket);
  expect(code).toBe(1000);
  expect(messages.at(-1)?.[0]).toBe(1);
  expect(messages.at(-1)?.toString()).toContain('connection reset by peer');
});

test('the client goes: the pod sees the end, and no answer comes back (there is no half-close)', async () => {
  const stream = await client.forward('shop', 'echo', 7002);
  stream.write('12345');
  await new Promise((resolve) => stream.write('678', resolve));
  stream.on('error', () => {});
  stream.destroy();
  expect(await client.logLine('shop', 'echo', /^end \d+$/)).toBe('end 8');
});

test('several ports on one websocket, and the same one twice', async () => {
  const websocket = client.websocket('shop', 'echo', [7000, 7004, 7000, 9999]);
  const byChannel = new Map<number, string>();
  const complete = new Promise<void>((resolve) => {
    websocket.on('message', (message: Buffer) => {
      const channel = message[0] ?? 0;
      byChannel.set(channel, (byChannel.get(channel) ?? '') + message.toString('latin1', 1));
      if (
        byChannel.get(0)?.endsWith('first') &&
        byChannel.get(4)?.endsWith('second') &&
        byChannel.get(2)?.endsWith('hello\r\n') &&
        byChannel.get(7)?.includes('refused')
      )
        resolve();
    });
  });
  await once(websocket, 'open');
  websocket.send(data(0, 'first'));
  websocket.send(data(4, 'second'));
  await complete;
  // One port of several has ended: nothing says so, the others go on.
  expect(websocket.readyState).toBe(websocket.OPEN);
  expect([...byChannel.keys()].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  websocket.terminate();
});

test('empty messages, unknown channels and the error channel are dropped', async () => {
  const stream = client.websocket('shop', 'echo', [7000]);
  await once(stream, 'open');
  for (const message of [Buffer.alloc(0), Buffer.from([0]), data(1, 'x'), data(9, 'x'), data(200, 'x')])
    stream.send(message);
  stream.send(data(0, 'still here'));
  const answer = await new Promise<Buffer>((resolve) => {
    stream.on('message', (message: Buffer) => {
      if (message.length > 3) resolve(message);
    });
  });
  expect(answer.toString('latin1', 1)).toBe('still here');
  stream.terminate();
});

test('20 MB each way arrive whole', async () => {
  const stream = await client.forward('shop', 'echo', 7000);
  const piece = Buffer.from(Array.from({ length: 64 * 1024 }, (_, index) => index & 0xff));
  const pieces = 320;
  let received = 0;
  let broken = 0;
  const done = new Promise<void>((resolve) => {
    stream.on('data', (chunk: Buffer) => {
      for (const byte of [chunk[0], chunk.at(-1)].entries()) {
        const at = byte[0] === 0 ? received : received + chunk.length - 1;
        if (byte[1] !== (at & 0xff)) broken += 1;
      }
      received += chunk.length;
      if (received === pieces * piece.length) resolve();
    });
  });
  for (let sent = 0; sent < pieces; sent += 1) if (!stream.write(piece)) await once(stream, 'drain');
  await done;
  expect(broken).toBe(0);
  stream.destroy();
});

test('a pod that does not read holds the client back', async () => {
  const websocket = client.websocket('shop', 'echo', [7005]);
  await once(websocket, 'open');
  const message = data(0, Buffer.alloc(64 * 1024));
  // More than all the buffers on the way may hold.
  for (let sent = 0; sent < 1024; sent += 1) websocket.send(message);
  const pong = new Promise<string>((resolve) => websocket.once('pong', () => resolve('pong')));
  websocket.ping();
  const { heapUsed, external } = process.memoryUsage();
  expect(websocket.bufferedAmount).toBeGreaterThan(8 * 1024 * 1024);
  expect(external + heapUsed).toBeLessThan(500 * 1024 * 1024);
  // Its own answers to pings wait behind the bytes that nobody takes, as in the real runtime.
  const first = await Promise.race([
    pong,
    once(client.websocket('shop', 'echo', [7004]), 'message').then(() => 'other'),
  ]);
  expect(first).toBe('other');
  websocket.terminate();
});

describe('refused before the upgrade', () => {
  test.each([
    ['no such pod', 'nope', [80], 'dev', undefined, 404, '"message":"pods \\"nope\\" not found"'],
    [
      'no rights',
      'echo',
      [80],
      'reader',
      undefined,
      403,
      'User \\"reader\\" cannot get resource \\"pods/portforward\\"',
    ],
    ['an expired token', 'echo', [80], 'expired', undefined, 401, '"message":"Unauthorized"'],
    ['an unknown subprotocol: no body', 'echo', [80], 'dev', 'v9.channel.k8s.io', 403, ''],
    ['no port', 'echo', [], 'dev', undefined, 400, 'query parameter "port" is required'],
    ['port 0', 'echo', [0], 'dev', undefined, 400, 'port "0" must be > 0'],
    ['a port that is none', 'echo', [70_000], 'dev', undefined, 400, 'value out of range'],
  ] as const)('%s', async (_, pod, ports, user, protocol, code, text) => {
    const answer = await refusal(client.websocket('shop', pod, ports, user, protocol));
    expect(answer.code).toBe(code);
    expect(text === '' ? answer.body : answer.body.includes(text)).toBe(text === '' ? '' : true);
  });

  test('a plain GET', async () => {
    const answer = await client.get(`${PODS}/echo/portforward?ports=80`);
    expect(answer.body).toMatchObject({ code: 400, reason: 'BadRequest', message: 'Upgrade request required' });
  });

  test('an upgrade of another path', async () => {
    const answer = await client.request('admin', 'GET', PODS, undefined, {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    });
    expect(answer.body).toMatchObject({ code: 400 });
  });
});

test('the pod goes away: the forward ends', async () => {
  await client.post(
    PODS,
    nodePod(
      'short',
      "require('node:net').createServer((s) => s.on('error', () => {})).listen(80, () => console.log('up')); process.on('SIGTERM', () => process.exit())",
    ),
  );
  await client.podPhase('shop', 'short', 'Running');
  await client.firstLine('shop', 'short');
  const websocket = client.websocket('shop', 'short', [80]);
  await once(websocket, 'open');
  const seen = all(websocket);
  await client.delete(`${PODS}/short`);
  expect((await seen).code).toBe(1000);
});
