// Inbound traffic as the journal sees it: a real ingress agent, a real link, the laptop's own serveInbound and real local apps. What callers
// get is the same with somebody looking and without.
import { once } from 'node:events';
import { createServer, request as httpRequest, type RequestListener, type Server } from 'node:http';
import { createServer as createHttp2, connect as http2 } from 'node:http2';
import { connect, createServer as createTcp } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { SessionEvent } from '../../../src/session/events.ts';
import { LocalPort } from '../../../src/session/inbound/local-port.ts';
import { serveInbound } from '../../../src/session/inbound/serve-inbound.ts';
import { tapsOf } from '../../../src/session/traffic/inbound-tap.ts';
import { TrafficJournal } from '../../../src/session/traffic/journal.ts';
import { replay } from '../../../src/session/traffic/replay.ts';
import type { InboundRecord } from '../../../src/session/traffic/types.ts';
import { closedPort, IngressWorld, listening, portOf } from '../../support/ingress-world.ts';

let world: IngressWorld;
let journal: TrafficJournal;
let records: Map<number, InboundRecord>;
const closers: (() => unknown)[] = [];

beforeEach(() => {
  records = new Map();
  journal = new TrafficJournal({
    emit: (event: SessionEvent) => {
      if (event.type === 'traffic') for (const one of event.records) records.set(one.id, one as InboundRecord);
    },
    whileWatched: (start) => {
      closers.push(start());
      return () => undefined;
    },
  });
});
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** A caller's way to `localPort`, watched. */
async function hold(localPort: number, protocol: 'TCP' | 'UDP' = 'TCP'): Promise<number> {
  const origin = createServer((_, response) => response.end('origin'));
  await listening(origin);
  world = await IngressWorld.start({ originPort: portOf(origin), protocol });
  closers.push(
    () => world.close(),
    () => origin.close().closeAllConnections(),
  );
  const tap = tapsOf(journal, { service: 'orders', reason: 'exchange: all requests' }, new Map([['r1', localPort]]));
  const local = new LocalPort(localPort, protocol);
  const laptop = await world.laptop({
    protocol,
    localPort,
    onStream: (stream, header) => void serveInbound(stream, header, local, tap(header.peer, header.rule)),
  });
  await laptop.hold({ kind: 'all' });
  return world.port;
}

async function app(handler: RequestListener): Promise<Server> {
  const server = await listening(createServer(handler));
  closers.push(() => server.close().closeAllConnections());
  return server;
}

interface Sent {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

async function ask(
  port: number,
  path: string,
  { method = 'GET', headers = {}, body }: Sent = {},
): Promise<{ status: number; text: string }> {
  const request = httpRequest({ port, host: '127.0.0.1', path, method, headers, agent: false });
  request.end(body);
  const [response] = await once(request, 'response');
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, text };
}

/** The only record, once it is as wanted. */
const record = (wanted: Partial<InboundRecord>): Promise<InboundRecord> =>
  vi.waitFor(() => {
    const found = [...records.values()].find((one) =>
      Object.entries(wanted).every(([key, value]) => one[key as keyof InboundRecord] === value),
    );
    if (!found) throw new Error(`no such record: ${JSON.stringify([...records.values()])}`);
    return found;
  });

describe('a request', () => {
  test('is a record with its facts, and a detail with secrets hidden unless asked for', async () => {
    const server = await app((request, response) => {
      request.resume();
      request.on('end', () =>
        response
          .writeHead(201, { 'Content-Type': 'application/json', 'Set-Cookie': 'a=b' })
          .end('{"token":"xyz","n":1}'),
      );
    });
    const port = await hold(portOf(server));
    const headers = { authorization: 'Bearer abc', 'content-type': 'application/json' };
    const answer = await ask(port, '/api?key=1&token=secret', { method: 'POST', headers, body: '{"password":"p"}' });
    expect(answer).toEqual({ status: 201, text: '{"token":"xyz","n":1}' });
    const seen = await record({ state: 'done' });
    expect(seen).toMatchObject({
      direction: 'in',
      service: 'orders',
      rule: 'r1',
      reason: 'exchange: all requests',
      local: portOf(server),
      protocol: 'http/1.1',
      method: 'POST',
      path: '/api?key=1&token=•••',
      status: 201,
      error: null,
    });
    expect(seen.caller).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(seen.answerMs).toBeGreaterThan(0);
    expect(seen.received).toBeGreaterThan(100);
    expect(seen.sent).toBeGreaterThan(100);
    const hidden = journal.detail(seen.id);
    expect(JSON.stringify(hidden)).not.toMatch(/abc|xyz|"p"|=b/);
    expect(hidden?.request).toMatchObject({
      line: 'POST /api?key=1&token=••• HTTP/1.1',
      masked: ['authorization'],
      body: { bytes: 16, kept: 16 },
    });
    const shown = journal.detail(seen.id, true);
    expect(shown?.request?.headers).toContainEqual(['authorization', 'Bearer abc']);
    expect(shown?.request?.headers.map(([name]) => name.toLowerCase())).toContain('x-forwarded-for');
    expect(shown?.response).toMatchObject({
      line: 'HTTP/1.1 201 Created',
      body: { text: '{"token":"xyz","n":1}', type: 'application/json' },
    });
  });

  test('kept-alive callers: one record each', async () => {
    const server = await app((request, response) => response.end(request.url));
    const port = await hold(portOf(server));
    const socket = connect({ port, host: '127.0.0.1' });
    closers.push(() => socket.destroy());
    for (const path of ['/1', '/2', '/3']) {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      await once(socket, 'data');
    }
    await vi.waitFor(() =>
      expect([...records.values()].map(({ path, state }) => `${path} ${state}`)).toEqual([
        '/1 done',
        '/2 done',
        '/3 done',
      ]),
    );
  });

  test('an app that breaks off in its answer: failed, with what it had said', async () => {
    const server = await app((_, response) => {
      response.writeHead(200, { 'Content-Length': '100' });
      response.write('part');
      setImmediate(() => response.socket?.destroy());
    });
    const port = await hold(portOf(server));
    await ask(port, '/').catch(() => undefined);
    expect(await record({ state: 'failed' })).toMatchObject({ status: 200, path: '/' });
  });

  test('a local port that refuses: failed, with the reason; the origin answered', async () => {
    const closed = await closedPort();
    const port = await hold(closed);
    expect((await ask(port, '/')).text).toBe('origin');
    const { error, protocol } = await record({ state: 'failed' });
    expect(error).toContain(`nothing answers on the laptop's port ${closed}`);
    expect(protocol).toBe('tcp');
  });
});

describe('other protocols', () => {
  test('a websocket is one record with what it became, open until it closes, counting both ways', async () => {
    const server = await app(() => undefined);
    new WebSocketServer({ server }).on('connection', (socket) => socket.on('message', (text) => socket.send(text)));
    const port = await hold(portOf(server));
    const socket = new WebSocket(`ws://127.0.0.1:${port}/live`);
    await once(socket, 'open');
    expect(await record({ upgrade: 'websocket' })).toMatchObject({ path: '/live', status: 101, state: 'open' });
    socket.send('x'.repeat(1000));
    await once(socket, 'message');
    socket.close();
    const closed = await record({ state: 'done' });
    expect(closed.received).toBeGreaterThan(1000);
    expect(closed.sent).toBeGreaterThan(1000);
  });

  test('raw TCP, and a server that speaks first: a record for the connection', async () => {
    const server = await listening(createTcp((socket) => socket.end('banner\n')));
    closers.push(() => server.close());
    const port = await hold(portOf(server));
    const socket = connect({ port, host: '127.0.0.1' });
    socket.write('\x00hello');
    await once(socket, 'data');
    socket.end();
    expect(await record({ protocol: 'tcp', state: 'done' })).toMatchObject({
      received: 6,
      sent: 7,
      method: null,
      status: null,
    });
  });

  test('HTTP/2: a record for each stream, with its head, its answer, its trailers and its bytes', async () => {
    const server = createHttp2();
    server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      if (headers[':path'] === '/reset') return stream.close(8);
      stream.respond({ ':status': 201, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.resume().on('end', () => stream.end('over h2'));
      return undefined;
    });
    await listening(server);
    closers.push(() => server.close());
    const port = await hold(portOf(server));
    const session = http2(`http://127.0.0.1:${port}`);
    closers.push(() => session.destroy());
    const call = async (path: string, body: Buffer): Promise<string> => {
      const stream = session.request({ ':path': path, ':method': 'POST', authorization: 'Bearer abc' });
      stream.end(body);
      let text = '';
      for await (const chunk of stream) text += String(chunk);
      return text;
    };
    const bodies = [Buffer.from('q'), Buffer.alloc(200_000, 'x')];
    expect(await Promise.all(bodies.map((body, at) => call(`/shop.Orders/Get${at}`, body)))).toEqual([
      'over h2',
      'over h2',
    ]);
    await call('/reset', Buffer.from('q')).catch(() => undefined);
    await vi.waitFor(() => expect([...records.values()].map(({ state }) => state)).toEqual(['done', 'done', 'failed']));
    const at = (path: string): InboundRecord | undefined => [...records.values()].find((one) => one.path === path);
    const [small, large, broken] = [at('/shop.Orders/Get0'), at('/shop.Orders/Get1'), at('/reset')];
    expect(small).toMatchObject({
      protocol: 'h2',
      method: 'POST',
      path: '/shop.Orders/Get0',
      status: 201,
      service: 'orders',
    });
    expect(large?.received).toBeGreaterThan(200_000);
    expect(large?.received).toBeLessThan(210_000);
    expect(broken).toMatchObject({ path: '/reset', error: 'reset by the local app (HTTP/2 error 8)' });
    const detail = journal.detail(small?.id ?? 0);
    expect(detail?.request).toMatchObject({ line: 'POST /shop.Orders/Get0 HTTP/2', body: { bytes: 1, text: 'q' } });
    expect(JSON.stringify(detail)).not.toContain('abc');
    expect(detail?.response).toMatchObject({ line: 'HTTP/2 201', body: { text: 'over h2' } });
    expect(detail?.response?.headers).toContainEqual(['grpc-status', '0']);
    await expect(replay(journal.entry(small?.id ?? 0))).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('replay', () => {
  test('gives both answers; the app gets the same request, the caller nothing', async () => {
    let count = 0;
    const bodies: string[] = [];
    const server = await app((request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        bodies.push(`${request.method} ${request.url} ${String(request.headers['x-lane'])} ${body}`);
        response.writeHead((count += 1) === 1 ? 500 : 200).end(`answer ${count}`);
      });
    });
    const port = await hold(portOf(server));
    // Chunked on the wire: framed anew.
    const headers = { 'x-lane': 'anna', 'transfer-encoding': 'chunked' };
    expect((await ask(port, '/api', { method: 'POST', headers, body: 'question' })).status).toBe(500);
    const { id } = await record({ state: 'done' });
    const { before, after } = await replay(journal.entry(id));
    expect(before).toMatchObject({ status: 500, response: { body: { text: 'answer 1' } } });
    expect(after).toMatchObject({ status: 200, response: { line: 'HTTP/1.1 200 OK', body: { text: 'answer 2' } } });
    expect(bodies).toEqual(Array.from({ length: 2 }, () => 'POST /api anna question'));
  });

  test.each([
    ['a request that is gone', 999, 'not kept any more'],
    ['a body that is longer than what is kept', 1, 'of the 100000 bytes of its body are kept'],
  ])('%s is refused', async (_, id, message) => {
    const server = await app((request, response) => request.resume().on('end', () => response.end()));
    const port = await hold(portOf(server));
    await ask(port, '/', { method: 'POST', body: Buffer.alloc(100_000) });
    await record({ state: 'done' });
    await expect(replay(journal.entry(id))).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(message) as string,
    });
  });

  test('an app that is gone, one that closes, one that is silent', async () => {
    const server = await app((_, response) => response.end('ok'));
    const localPort = portOf(server);
    const port = await hold(localPort);
    await ask(port, '/');
    const { id } = await record({ state: 'done' });
    server.removeAllListeners('request').on('request', (_, response) => response.socket?.destroy());
    await expect(replay(journal.entry(id))).rejects.toMatchObject({ code: 'STREAM_RESET' });
    server.removeAllListeners('request').on('request', () => undefined);
    await expect(replay(journal.entry(id), 50)).rejects.toMatchObject({ code: 'DIAL_TIMEOUT' });
    server.close().closeAllConnections();
    await expect(replay(journal.entry(id))).rejects.toMatchObject({ code: 'LISTEN_FAILED' });
  });
});

test('UDP: a flow that counts', async () => {
  const { createSocket } = await import('node:dgram');
  const server = createSocket('udp4').on('message', (text, from) => server.send(text, from.port, from.address));
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const port = await hold(server.address().port, 'UDP');
  const client = createSocket('udp4');
  closers.push(
    () => server.close(),
    () => client.close(),
  );
  client.send('datagram', port, '127.0.0.1');
  await once(client, 'message');
  await vi.waitFor(() => expect([...records.values()]).toMatchObject([{ protocol: 'udp', state: 'open', sent: 8 }]));
});
