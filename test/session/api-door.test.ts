// kt's door to the API server: who may pass, what passes unchanged (bodies, errors, watches, upgrades), and what is changed (who asks).
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request } from 'node:https';
import type { Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type ApiDoor, openApiDoor } from '../../src/session/api-door.ts';
import { apiFor, fixed, startFakeApi } from '../cluster/support/fake-api.ts';

const USER = fixed({ headers: { Authorization: 'Bearer of-the-user', 'Impersonate-User': 'anna' } });

async function doorTo(
  handle: Parameters<typeof startFakeApi>[0],
  options: Parameters<typeof startFakeApi>[1] = {},
): Promise<ApiDoor> {
  const server = await startFakeApi(handle, options);
  const door = await openApiDoor(apiFor(server.url, USER));
  onTestFinished(() => door.close());
  return door;
}

interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

function open(
  door: ApiDoor,
  path: string,
  { method = 'GET', headers = {}, body }: Asked = {},
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const authorization = { authorization: `Bearer ${door.token}` };
    const sent = request(
      {
        host: '127.0.0.1',
        port: door.port,
        path,
        method,
        ca: door.certificate,
        headers: { ...authorization, ...headers },
      },
      resolve,
    );
    sent.on('error', reject).end(body);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of response) text += String(piece);
  return text;
}

test('a request is the same but for who asks', async () => {
  let seen: { method: string; url: string; headers: Record<string, unknown>; body: string } | undefined;
  const door = await doorTo(async (from, response) => {
    seen = { method: from.method ?? '', url: from.url ?? '', headers: from.headers, body: await textOf(from) };
    response.writeHead(409, { 'content-type': 'application/json', 'x-kubernetes-pf': 'yes' }).end('{"kind":"Status"}');
  });
  const response = await open(door, '/api/v1/namespaces/shop/pods?limit=2&x=%2F', {
    method: 'PATCH',
    headers: { 'content-type': 'application/merge-patch+json', 'impersonate-user': 'root' },
    body: '{"a":1}',
  });
  expect([response.statusCode, response.headers['x-kubernetes-pf'], await textOf(response)]).toEqual([
    409,
    'yes',
    '{"kind":"Status"}',
  ]);
  expect(seen).toMatchObject({ method: 'PATCH', url: '/api/v1/namespaces/shop/pods?limit=2&x=%2F', body: '{"a":1}' });
  expect(seen?.headers).toMatchObject({
    authorization: 'Bearer of-the-user',
    'content-type': 'application/merge-patch+json',
    'impersonate-user': 'anna',
  });
  expect(JSON.stringify(seen?.headers)).not.toContain(door.token);
});

test.each([{}, { authorization: 'Bearer wrong' }, { authorization: 'Basic YTpi' }])(
  'without the token nobody passes: %o',
  async (headers) => {
    let asked = 0;
    const door = await doorTo(() => (asked += 1));
    const response = await open(door, '/api', { headers: { authorization: '', ...headers } });
    expect(response.statusCode).toBe(401);
    expect(JSON.parse(await textOf(response))).toMatchObject({ kind: 'Status', code: 401 });
    expect(asked).toBe(0);
  },
);

test('a watch: its head comes before its first event, events as they come, and the program ends it', async () => {
  let far: ServerResponse | undefined;
  let head: (() => void) | undefined;
  const started = new Promise<void>((resolve) => {
    head = resolve;
  });
  const door = await doorTo((_, response) => {
    far = response;
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    head?.();
  });
  const response = await open(door, '/api/v1/pods?watch=true');
  await started;
  expect(response.statusCode).toBe(200);
  far?.write('{"type":"ADDED"}\n');
  const [first] = (await once(response, 'data')) as [Buffer];
  expect(first.toString()).toBe('{"type":"ADDED"}\n');
  const closed = once(far as object as NodeJS.EventEmitter, 'close');
  response.destroy();
  await closed;
});

test('an upgrade (exec, websockets) passes both ways, with the user’s credentials', async () => {
  let seen: IncomingMessage | undefined;
  const door = await doorTo(() => undefined, {
    upgrade: (from, socket, early) => {
      seen = from;
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`);
      socket.write(early);
      socket.on('data', (piece: Buffer) => socket.write(piece));
    },
  });
  const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-protocol': 'v5.channel.k8s.io' };
  const sent = request({
    host: '127.0.0.1',
    port: door.port,
    path: '/api/v1/exec?command=ls',
    ca: door.certificate,
    headers: { ...headers, authorization: `Bearer ${door.token}` },
  });
  sent.end();
  const [, socket] = (await once(sent, 'upgrade')) as [IncomingMessage, Socket];
  socket.write('echo');
  const [piece] = (await once(socket, 'data')) as [Buffer];
  expect(piece.toString()).toBe('echo');
  expect(seen?.url).toBe('/api/v1/exec?command=ls');
  expect(seen?.headers).toMatchObject({
    authorization: 'Bearer of-the-user',
    'sec-websocket-protocol': 'v5.channel.k8s.io',
    upgrade: 'websocket',
  });
  socket.destroy();
});

test('an API server that is away is a Status, as programs understand it', async () => {
  const server = await startFakeApi(() => undefined);
  const door = await openApiDoor(apiFor(server.url, USER));
  onTestFinished(() => door.close());
  server.close();
  const response = await open(door, '/api');
  expect(response.statusCode).toBe(502);
  expect(JSON.parse(await textOf(response))).toMatchObject({
    kind: 'Status',
    message: expect.stringContaining("kt can't reach the API server"),
  });
});
