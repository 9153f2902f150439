import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttp2 } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { SocksClient } from 'socks';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { KtError } from '../../../src/errors.ts';
import { curl, httpServer, tcpServer } from '../../support/peers.ts';
import { ProxyWorld } from '../../support/proxy-world.ts';

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: echo\r\n';

describe('upgrades through the proxy', () => {
  let world: ProxyWorld;
  let sockets: WebSocketServer;

  /** A websocket client that asks in absolute-form, as Java's and browsers' plain-proxy code does. */
  const absolute = (url: string): WebSocket =>
    new WebSocket(`ws://127.0.0.1:${world.port}`, {
      perMessageDeflate: false,
      finishRequest: (request) => {
        request.path = url;
        request.setHeader('Host', new URL(url).host);
        request.end();
      },
    });

  beforeEach(async () => {
    world = new ProxyWorld();
    sockets = new WebSocketServer({ noServer: true });
    sockets.on('connection', (socket, request) => {
      socket.send(`hello at ${request.headers.host}${request.url}`);
      socket.on('message', (data, binary) => socket.send(data, { binary }));
    });
    await world.serve(
      'shop',
      httpServer(
        (_, response) => response.writeHead(403).end('no websocket here'),
        (server) =>
          server.on('upgrade', (request, socket, head) => {
            sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request));
          }),
      ),
    );
    // Changes to a protocol that sends everything back.
    await world.serve(
      'echo',
      httpServer(
        () => undefined,
        (server) =>
          server.on('upgrade', (request, socket, head) => {
            socket.on('error', () => undefined);
            const fields = request.rawHeaders.join('|');
            socket.write(
              `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Saw: ${fields}\r\n\r\n`,
            );
            socket.write(head);
            socket.pipe(socket);
          }),
      ),
    );
    await world.start();
  });

  afterEach(async () => {
    sockets.close();
    await world.stop();
  });

  test.each(['http', 'ws'])('a websocket in absolute-form (%s://): text, 4 MiB, clean close', async (scheme) => {
    const client = absolute(`${scheme}://shop/chat?room=1`);
    const [greeting] = (await once(client, 'message')) as [Buffer];
    expect(greeting.toString()).toBe('hello at shop/chat?room=1');
    const data = randomBytes(4 * 1024 * 1024);
    client.send(data);
    const [back] = (await once(client, 'message')) as [Buffer];
    expect(back.equals(data)).toBe(true);
    client.close(1000, 'done');
    const [code, reason] = (await once(client, 'close')) as [number, Buffer];
    expect([code, reason.toString()]).toEqual([1000, 'done']);
  });

  test('a websocket through CONNECT and through SOCKS5', async () => {
    const tunnel = world.raw('CONNECT shop:80 HTTP/1.1\r\nHost: shop:80\r\n\r\n');
    await tunnel.readTo('\r\n\r\n');
    tunnel.socket.removeAllListeners('data');
    const proxy = { host: '127.0.0.1', port: world.port, type: 5 as const };
    const destination = { host: 'shop', port: 80 };
    const { socket } = await SocksClient.createConnection({ proxy, command: 'connect', destination });
    for (const connection of [tunnel.socket, socket]) {
      const client = new WebSocket('ws://shop/x', { createConnection: (): Socket => connection });
      const [greeting] = (await once(client, 'message')) as [Buffer];
      expect(greeting.toString()).toBe('hello at shop/x');
      client.terminate();
    }
  });

  test('bytes that follow the request at once arrive, and half-close works', async () => {
    const client = world.raw(`GET http://echo/ HTTP/1.1\r\nHost: e\r\n${UPGRADE}\r\nearly `);
    expect(await client.readTo('\r\n\r\n')).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    expect((await client.send('late').end().readAll()).toString()).toBe('early late');
  });

  test('h2c: its own fields and Connection members reach the destination', async () => {
    const client = world.raw(
      'GET http://echo/ HTTP/1.1\r\nHost: elsewhere\r\nConnection: keep-alive, Upgrade, HTTP2-Settings\r\n' +
        'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nProxy-Authorization: Basic eDp5\r\nX-A: 1\r\n\r\n',
    );
    expect(await client.readTo('\r\n\r\n')).toContain(
      'X-Saw: Host|echo|HTTP2-Settings|AAMAAABk|X-A|1|Connection|upgrade, http2-settings|Upgrade|h2c\r\n',
    );
    client.socket.destroy();
  });

  test('an upgrade with a body goes on as a plain request', async () => {
    await world.serve(
      'plain',
      httpServer((request, response) => {
        let body = '';
        request.on('data', (chunk) => {
          body += String(chunk);
        });
        request.on('end', () => response.end(`${body} ${request.headers.upgrade}`));
      }),
    );
    const client = world.raw(
      'POST http://plain/ HTTP/1.1\r\nHost: p\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nContent-Length: 4\r\n\r\nbody',
    );
    expect(await client.readTo('body undefined')).toContain('200 OK');
  });

  test('a destination that says no: its answer, whole, and the end', async () => {
    const client = absolute('http://shop/chat');
    client.terminate();
    client.on('error', () => undefined);
    await world.serve(
      'no',
      httpServer((_, response) => response.writeHead(426, { 'X-Why': 'because' }).end('use something else')),
    );
    const text = (await world.raw(`GET http://no/ HTTP/1.1\r\nHost: n\r\n${UPGRADE}\r\n`).readAll()).toString();
    expect(text).toMatch(/^HTTP\/1\.1 426 Upgrade Required\r\n/);
    expect(text).toContain('X-Why: because');
    expect(text).toMatch(/Connection: close\r\n\r\nuse something else$/);
  });

  test('a failed dial is told by status, field and text', async () => {
    world.dialer.failures['gone'] = new KtError('DIAL_REFUSED', 'nobody listens', { hint: 'Start it.' });
    const text = (await world.raw(`GET http://gone/ HTTP/1.1\r\nHost: g\r\n${UPGRADE}\r\n`).readAll()).toString();
    expect(text).toMatch(/^HTTP\/1\.1 502 /);
    expect(text).toContain('X-Kt-Error: DIAL_REFUSED');
    expect(text).toMatch(/kt: nobody listens\nStart it\.\n$/);
  });

  test('a client that resets while it waits cancels the dial', async () => {
    world.dialer.hold = new Promise(() => undefined);
    const client = world.raw(`GET http://echo/ HTTP/1.1\r\nHost: e\r\n${UPGRADE}\r\n`);
    await world.dialer.dialled(1);
    const signal = world.dialer.dials[0]?.options.signal;
    client.socket.resetAndDestroy();
    if (signal?.aborted === false) await once(signal, 'abort');
    expect(signal?.reason).toMatchObject({ code: 'CANCELLED' });
  });

  test('a destination that breaks off in the middle of its refusal resets the client', async () => {
    await world.serve(
      'broken',
      tcpServer((socket) =>
        socket.once('data', () => {
          socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nhalf');
          setImmediate(() => socket.resetAndDestroy());
        }),
      ),
    );
    const client = world.raw(`GET http://broken/ HTTP/1.1\r\nHost: b\r\n${UPGRADE}\r\n`);
    await client.closed;
    expect(client.error?.code).toBe('ECONNRESET');
  });

  test('h2c with prior knowledge through CONNECT and SOCKS5 (curl)', async () => {
    const http2 = createHttp2((request, response) => response.end(`HTTP/${request.httpVersion} ${request.url}`));
    await new Promise<void>((resolve) => http2.listen(0, '127.0.0.1', resolve));
    world.dialer.names['grpc'] = (http2.address() as AddressInfo).port;
    const args = ['--http2-prior-knowledge', 'http://grpc/x'];
    const answers = await Promise.all([
      curl('--proxytunnel', '--proxy', `http://127.0.0.1:${world.port}`, ...args),
      curl('--proxy', `socks5h://127.0.0.1:${world.port}`, ...args),
    ]);
    expect(answers.map(({ stdout }) => stdout)).toEqual(['HTTP/2.0 /x', 'HTTP/2.0 /x']);
    http2.close();
  });
});
