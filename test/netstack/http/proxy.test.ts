import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { curl, echoServer, httpServer, RawClient, tcpServer } from '../../support/peers.ts';
import { ProxyWorld } from '../../support/proxy-world.ts';

describe('HTTP proxy: plain requests', () => {
  let world: ProxyWorld;

  beforeEach(async () => {
    world = new ProxyWorld();
    await world.serveWeb();
    await world.serve('echo', echoServer());
    await world.start();
  });

  afterEach(() => world.stop());

  describe('plain requests', () => {
    test('the request leaves before the dial is decided: one round trip', async () => {
      const open = world.gate();
      const client = world.raw('GET http://web/fast HTTP/1.1\r\nHost: web\r\n\r\n');
      await world.dialer.dialled(1);
      const early = await world.dialer.dials[0]?.stream.earlyBytes(10);
      expect(early?.toString()).toBe('GET /fast HTTP/1.1\r\nHost: web\r\nConnection: keep-alive\r\n\r\n');
      expect(world.dialer.dials[0]?.options.settle).toBeUndefined();
      open();
      expect(await client.readTo('GET /fast 0\n')).toContain('HTTP/1.1 200 OK');
    });

    test('one connection to the proxy and one to the destination carry many requests', async () => {
      const client = new RawClient(world.port);
      for (const path of ['/1', '/2', '/3']) {
        client.send(`GET http://web${path} HTTP/1.1\r\nHost: web\r\n\r\n`);
        await client.readTo(`GET ${path} 0\n`);
      }
      expect(world.dialer.dials).toHaveLength(1);
    });

    test('pipelined requests are answered in their order', async () => {
      const client = world.raw(
        ['/1', '/2', '/3'].map((path) => `GET http://web${path} HTTP/1.1\r\nHost: web\r\n\r\n`).join(''),
      );
      const text = await client.readTo('/3 0\n');
      expect([...text.matchAll(/GET (\/\d)/g)].map(([, path]) => path)).toEqual(['/1', '/2', '/3']);
    });

    test('fields keep case, order and repetition; hop-by-hop ones and the client address stay here', async () => {
      const client = world.raw(
        [
          'GET http://web:80/x HTTP/1.1',
          'Host: elsewhere',
          'X-First: 1',
          'x-SECOND: ä',
          'Cookie: a=1',
          'X-First: 2',
          'Proxy-Connection: keep-alive',
          'Proxy-Authorization: Basic eDp5',
          'Connection: keep-alive, X-Hop',
          'X-Hop: 1',
          '',
          '',
        ].join('\r\n'),
      );
      await client.readTo('GET /x 0\n');
      expect(world.seen[0]?.raw).toEqual([
        'Host',
        'web:80',
        'X-First',
        '1',
        'x-SECOND',
        'ä',
        'Cookie',
        'a=1',
        'X-First',
        '2',
        'Connection',
        'keep-alive',
      ]);
    });

    test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'GET'])('%s with a body', async (method) => {
      const { stdout } = await curl(
        '--proxy',
        `http://127.0.0.1:${world.port}`,
        '-X',
        method,
        '-d',
        'body',
        'http://web/',
      );
      expect(stdout).toBe(`${method} / 4\n`);
      expect(world.seen[0]?.body.toString()).toBe('body');
    });

    test('a POST without a body stays without one', async () => {
      const client = world.raw('POST http://web/ HTTP/1.1\r\nHost: web\r\n\r\n');
      await client.readTo('POST / 0\n');
      expect(world.seen[0]?.raw).toEqual(['Host', 'web', 'Content-Length', '0', 'Connection', 'close']);
    });

    test('HEAD, 204 and 304 have no body and the connection goes on', async () => {
      await world.serve(
        'bare',
        httpServer((incoming, response) => {
          const status = Number(incoming.url?.slice(1));
          response.writeHead(status || 200, status ? {} : { 'Content-Length': '5' }).end();
        }),
      );
      const client = new RawClient(world.port);
      for (const [method, path, status] of [
        ['HEAD', '/', '200 OK'],
        ['GET', '/204', '204 No Content'],
        ['GET', '/304', '304 Not Modified'],
      ]) {
        client.send(`${method} http://bare${path} HTTP/1.1\r\nHost: bare\r\n\r\n`);
        expect(await client.readTo('\r\n\r\n')).toContain(`HTTP/1.1 ${status}\r\n`);
      }
      client.send('GET http://web/ HTTP/1.1\r\nHost: web\r\n\r\n');
      expect(await client.readTo('GET / 0\n')).toMatch(/^HTTP\/1\.1 200/);
    });

    test('trailers pass both ways, and TE: trailers is told to the destination', async () => {
      await world.serve(
        'trailers',
        httpServer((incoming, response) => {
          incoming.resume().on('end', () => {
            response.writeHead(200, { Trailer: 'X-Checksum' });
            response.write(
              `${String(incoming.headers.te)} ${incoming.headers.connection} ${incoming.trailers['x-sum']}`,
            );
            response.addTrailers({ 'X-Checksum': 'abc' });
            response.end();
          });
        }),
      );
      const client = world.raw(
        'POST http://trailers/ HTTP/1.1\r\nHost: t\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n' +
          '3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n',
      );
      const text = await client.readTo('X-Checksum: abc\r\n\r\n');
      expect(text).toContain('trailers close, TE 42');
      expect(text).toContain('Trailer: X-Checksum');
    });

    test('Expect: 100-continue is the destination’s to answer', async () => {
      await world.serve(
        'asking',
        httpServer(
          () => undefined,
          (server) =>
            server.on('checkContinue', (incoming, response) => {
              if (incoming.url === '/no') {
                response.writeHead(417).end('no');
                return;
              }
              response.writeContinue();
              incoming.resume().on('end', () => response.end('took it'));
            }),
        ),
      );
      const head = (path: string): string =>
        `PUT http://asking${path} HTTP/1.1\r\nHost: asking\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`;
      const yes = world.raw(head('/yes'));
      expect(await yes.readTo('\r\n\r\n')).toBe('HTTP/1.1 100 Continue\r\n\r\n');
      expect(await yes.send('body').readTo('took it')).toContain('200 OK');
      const no = world.raw(head('/no'));
      const refused = (await no.readAll()).toString();
      expect(refused).toContain('417 Expectation Failed');
      expect(refused).toContain('Connection: close');
    });

    test('103 Early Hints pass', async () => {
      await world.serve(
        'hints',
        httpServer((_, response) => {
          response.writeEarlyHints({ link: '</a.css>; rel=preload' }, () => response.end('done'));
        }),
      );
      const text = await world.raw('GET http://hints/ HTTP/1.1\r\nHost: hints\r\n\r\n').readTo('done');
      expect(text).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK/);
    });

    test('server-sent events come one by one', async () => {
      let emit: (text: string) => void = () => undefined;
      await world.serve(
        'events',
        httpServer((_, response) => {
          response.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
          emit = (text) => response.write(`data: ${text}\n\n`);
        }),
      );
      const client = world.raw('GET http://events/ HTTP/1.1\r\nHost: events\r\n\r\n');
      expect(await client.readTo('\r\n\r\n')).toContain('text/event-stream');
      for (const text of ['one', 'two']) {
        emit(text);
        expect(await client.readTo('\n\n')).toContain(`data: ${text}`);
      }
      client.socket.destroy();
    });

    test('HTTP/1.0 clients and destinations that end a body by closing', async () => {
      await world.serve(
        'old',
        tcpServer((socket) => socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nuntil the end'))),
      );
      const modern = await world.raw('GET http://old/ HTTP/1.1\r\nHost: old\r\n\r\n').readTo('0\r\n\r\n');
      expect(modern).toContain('Transfer-Encoding: chunked');
      const old = (await world.raw('GET http://old/ HTTP/1.0\r\n\r\n').readAll()).toString();
      expect(old).toMatch(/Connection: close\r\n\r\nuntil the end$/);
    });

    test('64 MiB up and down, byte for byte, with bounded memory', async () => {
      const size = 64 * 1024 * 1024;
      const block = randomBytes(1024 * 1024);
      await world.serve(
        'mirror',
        httpServer((incoming, response) => incoming.pipe(response)),
      );
      const outgoing = request(world.proxied({ method: 'POST' }, 'http://mirror/'));
      const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
      const sent = createHash('sha256');
      const received = createHash('sha256');
      const reading = answered.then(async ([answer]) => {
        for await (const chunk of answer as AsyncIterable<Buffer>) received.update(chunk);
      });
      for (let count = 0; count < size; count += block.length) {
        sent.update(block);
        if (!outgoing.write(block)) await once(outgoing, 'drain');
      }
      outgoing.end();
      await reading;
      expect(received.digest('hex')).toBe(sent.digest('hex'));
    });

    test('back-pressure: a client that does not read stops the destination', async () => {
      const chunk = Buffer.alloc(64 * 1024);
      let written = 0;
      const { promise: stalled, resolve } = Promise.withResolvers<void>();
      await world.serve(
        'fountain',
        httpServer((_, response) => {
          const pour = (): void => {
            while (written < 256 * 1024 * 1024) {
              written += chunk.length;
              if (!response.write(chunk)) {
                response.once('drain', pour);
                clearTimeout(quiet);
                quiet = setTimeout(resolve, 200);
                return;
              }
            }
            resolve();
          };
          let quiet = setTimeout(() => undefined, 0);
          pour();
        }),
      );
      const client = world.raw('GET http://fountain/ HTTP/1.1\r\nHost: f\r\n\r\n');
      client.socket.pause();
      await stalled;
      // Kernel buffers of four sockets and our own high-water marks.
      expect(written).toBeLessThan(64 * 1024 * 1024);
      client.socket.destroy();
    });

    test('a client that leaves cancels the destination, during the dial and during the answer', async () => {
      world.gate();
      const during = world.raw('GET http://web/ HTTP/1.1\r\nHost: web\r\n\r\n');
      await world.dialer.dialled(1);
      const signal = world.dialer.dials[0]?.options.signal;
      during.socket.destroy();
      if (signal?.aborted === false) await once(signal, 'abort');
      expect(signal?.reason).toMatchObject({ code: 'CANCELLED' });
      world.dialer.hold = undefined;

      const { promise: gone, resolve } = Promise.withResolvers<void>();
      await world.serve(
        'endless',
        httpServer((_, response) => {
          response.write('begun');
          response.on('close', () => resolve());
        }),
      );
      const later = world.raw('GET http://endless/ HTTP/1.1\r\nHost: e\r\n\r\n');
      await later.readTo('begun');
      later.socket.destroy();
      await gone;
    });

    test('a destination that breaks off in the middle is not taken for the end', async () => {
      await world.serve(
        'broken',
        tcpServer((socket) =>
          socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')),
        ),
      );
      const client = world.raw('GET http://broken/ HTTP/1.1\r\nHost: b\r\n\r\n');
      const text = (await client.readAll()).toString();
      expect(text).toContain('hello');
      expect(text).not.toContain('0\r\n\r\n');
    });

    test('a destination that breaks off resets an HTTP/1.0 client, who would take an end for the whole', async () => {
      await world.serve(
        'cut',
        tcpServer((socket) =>
          socket.once('data', () => {
            socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
            setImmediate(() => socket.resetAndDestroy());
          }),
        ),
      );
      const client = world.raw('GET http://cut/ HTTP/1.0\r\n\r\n');
      await client.closed;
      expect(client.error?.code).toBe('ECONNRESET');
    });

    test('an upload that the destination refuses early gets its answer', async () => {
      await world.serve(
        'picky',
        tcpServer((socket) => {
          // As nginx does: the answer, FIN, and the rest of the body is read over.
          socket.once('data', () => socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\n\r\ntoo much'));
          socket.resume();
        }),
      );
      const client = world.raw('POST http://picky/ HTTP/1.1\r\nHost: p\r\nContent-Length: 4000000\r\n\r\n');
      client.send(Buffer.alloc(4_000_000));
      expect(await client.readTo('too much')).toContain('413');
      client.send('GET http://web/ HTTP/1.1\r\nHost: web\r\n\r\n');
      expect(await client.readTo('GET / 0\n')).toContain('200 OK');
    });
  });
});
