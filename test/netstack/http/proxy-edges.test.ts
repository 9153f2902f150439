import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ErrorCode, KtError } from '../../../src/errors.ts';
import { curl, deadPort, echoServer, httpServer, type Peer, RawClient, tcpServer } from '../../support/peers.ts';
import { ProxyWorld } from '../../support/proxy-world.ts';

describe('HTTP proxy: pooling, failures, CONNECT, passwords, strangers', () => {
  let world: ProxyWorld;

  beforeEach(async () => {
    world = new ProxyWorld();
    await world.serveWeb();
    await world.serve('echo', echoServer());
    await world.start();
  });

  afterEach(() => world.stop());

  describe('pooled connections', () => {
    /** Answers the first request of each connection, and resets on the second. */
    const stale = (count: { requests: number }): Promise<Peer> =>
      tcpServer((socket) => {
        let first = true;
        socket.on('data', () => {
          count.requests += 1;
          if (!first) socket.resetAndDestroy();
          first = false;
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        });
      });

    test('a GET on a connection that went stale is sent again on a new one', async () => {
      const count = { requests: 0 };
      await world.serve('stale', stale(count));
      const client = new RawClient(world.port);
      for (const text of ['1', '2']) {
        client.send(`GET http://stale/${text} HTTP/1.1\r\nHost: s\r\n\r\n`);
        expect(await client.readTo('ok')).toContain('200 OK');
      }
      expect(count.requests).toBe(3);
      expect(world.dialer.dials).toHaveLength(2);
    });

    test('a POST never goes on a connection that may be stale', async () => {
      const count = { requests: 0 };
      await world.serve('stale', stale(count));
      const client = new RawClient(world.port);
      for (const method of ['GET', 'POST', 'POST']) {
        client.send(`${method} http://stale/ HTTP/1.1\r\nHost: s\r\nContent-Length: 0\r\n\r\n`);
        expect(await client.readTo('ok')).toContain('200 OK');
      }
      expect(count.requests).toBe(3);
      expect(world.dialer.dials).toHaveLength(3);
    });

    test('a connection that the destination closes leaves the pool', async () => {
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      await world.serve(
        'short',
        tcpServer((socket) => {
          socket.once('data', () => {
            socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
            setImmediate(() => socket.end());
          });
          socket.once('end', () => resolve());
        }),
      );
      const client = world.raw('GET http://short/ HTTP/1.1\r\nHost: s\r\n\r\n');
      await client.readTo('ok');
      await closed;
      client.send('GET http://short/ HTTP/1.1\r\nHost: s\r\n\r\n');
      expect(await client.readTo('ok')).toContain('200 OK');
    });

    test('bytes that nobody asked for do not become the next answer', async () => {
      await world.serve(
        'chatty',
        tcpServer((socket) => {
          let count = 0;
          socket.on('data', () => {
            count += 1;
            socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n0${count}`);
            if (count === 1) setImmediate(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'));
          });
        }),
      );
      const client = world.raw('GET http://chatty/ HTTP/1.1\r\nHost: c\r\n\r\n');
      await client.readTo('\r\n\r\n01');
      await world.dialer.dials[0]?.stream.receivedBytes(2 * 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'.length + 6);
      client.send('GET http://chatty/ HTTP/1.1\r\nHost: c\r\n\r\n');
      expect(await client.readTo('\r\n\r\n')).toContain('Content-Length: 2');
      expect((await client.read(2)).toString()).toMatch(/^0/);
    });
  });

  describe('failures', () => {
    const failures: [string, ErrorCode, number][] = [
      ['refused', 'DIAL_REFUSED', 502],
      ['unknown', 'DIAL_NOT_FOUND', 502],
      ['unreachable', 'DIAL_UNREACHABLE', 502],
      ['slow', 'DIAL_TIMEOUT', 504],
      ['parked', 'LINK_PARKED', 504],
      ['denied', 'DIAL_DENIED', 403],
      ['lost', 'LINK_LOST', 503],
    ];

    test.each(failures)('%s: plain and CONNECT say %s by status, field and text', async (name, code, status) => {
      world.dialer.failures[name] = new KtError(code, `${name} it is`, { hint: 'Do this.' });
      const target = { host: name, port: 80 };
      for (const head of [`GET http://${name}/`, `CONNECT ${name}:80`]) {
        const client = world.raw(`${head} HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
        const text = (await client.readAll()).toString();
        expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
        expect(text).toContain(`X-Kt-Error: ${code}\r\n`);
        expect(text).toContain(`\r\n\r\nkt: ${name} it is\nDo this.\n`);
      }
      expect(world.log).toMatchObject([
        { door: 'http', event: 'failed', target, code },
        { door: 'connect', event: 'failed', target, code },
      ]);
    });

    test('a dial that never left, for plain requests, CONNECT and upgrades', async () => {
      world.dialer.rejections['parked'] = new KtError('LINK_PARKED', 'no link for 10 s');
      for (const head of ['GET http://parked/', 'CONNECT parked:80']) {
        const text = (await world.raw(`${head} HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n`).readAll()).toString();
        expect(text).toMatch(/^HTTP\/1\.1 504 .*kt: no link for 10 s\n$/s);
      }
      const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
      const text = (await world.raw(`GET http://parked/ HTTP/1.1\r\nHost: p\r\n${upgrade}\r\n`).readAll()).toString();
      expect(text).toMatch(/^HTTP\/1\.1 504 .*kt: no link for 10 s\n$/s);
    });

    test('the connection to the proxy goes on after a failure, also with a body on its way', async () => {
      world.dialer.names['closed'] = await deadPort();
      const client = world
        .raw('POST http://closed/ HTTP/1.1\r\nHost: c\r\nContent-Length: 1000000\r\n\r\n')
        .send(Buffer.alloc(1_000_000));
      expect(await client.readTo('\n')).toContain('502 Bad Gateway');
      client.send('GET http://web/ HTTP/1.1\r\nHost: web\r\n\r\n');
      expect(await client.readTo('GET / 0\n')).toContain('200 OK');
    });

    test('a link lost before the answer: a GET is sent again, a POST is not', async () => {
      let left = 1;
      world.dialer.failures['flaky'] = new KtError('LINK_LOST', 'gone');
      world.dialer.names['flaky'] = world.dialer.names['web'] ?? 0;
      world.dialer.onDial = () => {
        left -= 1;
        if (left < 0) delete world.dialer.failures['flaky'];
      };
      const client = world.raw('GET http://flaky/ HTTP/1.1\r\nHost: f\r\n\r\n');
      expect(await client.readTo('GET / 0\n')).toContain('200 OK');
      world.dialer.failures['flaky'] = new KtError('LINK_LOST', 'gone');
      left = 1;
      client.send('POST http://flaky/ HTTP/1.1\r\nHost: f\r\nContent-Length: 0\r\n\r\n');
      expect(await client.readTo('\r\n\r\n')).toContain('503 Service Unavailable');
    });

    test('a destination that closes without an answer, and one that speaks something else', async () => {
      await world.serve(
        'mute',
        tcpServer((socket) => socket.once('data', () => socket.end())),
      );
      await world.serve(
        'mysql',
        tcpServer((socket) => socket.end(Buffer.from('4a0000000a382e302e33', 'hex'))),
      );
      const mute = await world.raw('GET http://mute/ HTTP/1.1\r\nHost: m\r\n\r\n').readTo('answered\n');
      expect(mute).toContain('X-Kt-Error: STREAM_RESET');
      expect(mute).toContain('kt: mute:80 closed the connection before it answered');
      const mysql = await world.raw('GET http://mysql:3306/ HTTP/1.1\r\nHost: m\r\n\r\n').readTo('SOCKS5.\n');
      expect(mysql).toContain('kt: mysql:3306 answered with something that is not HTTP/1\nIs that port an HTTP port?');
    });

    test('curl shows the status of a failed CONNECT', async () => {
      const { code, stderr } = await curl('--proxy', `http://127.0.0.1:${world.port}`, 'https://nowhere/');
      expect(code).toBe(56);
      expect(stderr).toContain('502');
    });
  });

  describe('CONNECT', () => {
    test('the answer comes after the dial; early data leaves before', async () => {
      const open = world.gate();
      const client = world.raw('CONNECT echo:7 HTTP/1.1\r\nHost: echo:7\r\n\r\nearly');
      await world.dialer.dialled(1);
      expect((await world.dialer.dials[0]?.stream.earlyBytes(5))?.toString()).toBe('early');
      expect(client.heldBytes).toBe(0);
      open();
      expect(await client.readTo('\r\n\r\n')).toBe('HTTP/1.1 200 Connection established\r\n\r\n');
      expect((await client.read(5)).toString()).toBe('early');
    });

    test('half-close both ways', async () => {
      const client = world.raw('CONNECT echo:7 HTTP/1.1\r\nHost: echo:7\r\n\r\n');
      await client.readTo('\r\n\r\n');
      expect((await client.send('last words').end().readAll()).toString()).toBe('last words');
    });

    test('IPv6 in brackets arrives without them', async () => {
      world.dialer.names['2001:db8::1'] = world.dialer.names['echo'] ?? 0;
      const client = world.raw('CONNECT [2001:DB8::1]:7 HTTP/1.1\r\nHost: x\r\n\r\n');
      await client.readTo('\r\n\r\n');
      expect(world.dialer.dials[0]?.target).toEqual({ host: '2001:db8::1', port: 7 });
      client.socket.destroy();
    });

    test.each(['echo', 'echo:0', ':7', 'http://echo:7', 'a b:7'])('%j is refused', async (authority) => {
      const text = (await world.raw(`CONNECT ${authority} HTTP/1.1\r\nHost: x\r\n\r\n`).readAll()).toString();
      expect(text).toMatch(/^HTTP\/1\.1 400 /);
      expect(world.dialer.dials).toHaveLength(0);
    });
  });

  describe('a password', () => {
    const basic = (text: string): string => `Proxy-Authorization: Basic ${Buffer.from(text).toString('base64')}\r\n`;

    beforeEach(() => world.start({ auth: { username: 'dev', password: 'gehe:im' } }));

    test.each([
      ['none', ''],
      ['a wrong one', basic('dev:x')],
      ['a wrong name', basic('x:gehe:im')],
      ['no colon', basic('dev')],
      ['another scheme', 'Proxy-Authorization: Bearer x\r\n'],
      ['garbage', 'Proxy-Authorization: Basic ***\r\n'],
    ])('%s: 407 for plain requests, CONNECT and upgrades', async (_, field) => {
      const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
      for (const head of [
        `GET http://web/ HTTP/1.1\r\nHost: w\r\n${field}Connection: close\r\n`,
        `CONNECT echo:7 HTTP/1.1\r\nHost: e\r\n${field}`,
        `GET http://web/ HTTP/1.1\r\nHost: w\r\n${field}${upgrade}`,
      ]) {
        const text = (await world.raw(`${head}\r\n`).readAll()).toString();
        expect(text).toMatch(/^HTTP\/1\.1 407 Proxy Authentication Required\r\n/);
        expect(text).toContain('Proxy-Authenticate: Basic realm="kt"');
      }
      expect(world.dialer.dials).toHaveLength(0);
    });

    test('the right one, by curl, and it does not reach the destination', async () => {
      const proxy = ['--proxy', `http://127.0.0.1:${world.port}`, '--proxy-user', 'dev:gehe:im'];
      expect((await curl(...proxy, 'http://web/a')).stdout).toBe('GET /a 0\n');
      expect((await curl(...proxy, '--proxytunnel', 'http://web/b')).stdout).toBe('GET /b 0\n');
      expect(
        world.seen
          .flatMap(({ raw: fields }) => fields)
          .join(' ')
          .toLowerCase(),
      ).not.toContain('proxy-');
    });
  });

  describe('what is no proxy request', () => {
    test('a web request to the port is told what the port is', async () => {
      const { stdout } = await curl('-w', '%{http_code}', `http://127.0.0.1:${world.port}/`);
      expect(stdout).toContain('kt: this is the proxy of kt');
      expect(stdout).toContain(`curl --proxy http://127.0.0.1:${world.port} http://SERVICE/`);
      expect(stdout).toMatch(/400$/);
    });

    test.each([
      [
        'https:// without CONNECT',
        'GET https://web/ HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n',
        501,
        'UNSUPPORTED',
      ],
      ['HTTP/2 with prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'USAGE'],
      ['garbage', 'hello\r\n\r\n', 400, 'USAGE'],
      ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'looks like TLS'],
      ['a header over the limit', `GET http://web/ HTTP/1.1\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`, 431, 'longer than'],
      ['a request line over the limit', `GET http://web/${'a'.repeat(70_000)} HTTP/1.1\r\n\r\n`, 431, 'longer than'],
      [
        'two lengths',
        'POST http://web/ HTTP/1.1\r\nHost: w\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
        400,
        'USAGE',
      ],
      [
        'an unknown transfer coding',
        'POST http://web/ HTTP/1.1\r\nHost: w\r\nConnection: close\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
        501,
        'UNSUPPORTED',
      ],
    ])('%s', async (_, bytes, status, text) => {
      const answer = (await world.raw(bytes).readAll()).toString();
      expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      expect(answer).toContain(text);
      expect(world.dialer.dials).toHaveLength(0);
    });

    test('60 KiB of fields in both directions pass', async () => {
      await world.serve(
        'wide',
        httpServer(
          (incoming, response) => {
            response.writeHead(200, { 'X-Back': incoming.headers['x-wide'] ?? '' }).end();
          },
          (server) => Object.assign(server, { maxHeaderSize: 80_000 }),
        ),
      );
      const wide = 'w'.repeat(60_000);
      const text = await world
        .raw(`GET http://wide/ HTTP/1.1\r\nHost: w\r\nX-Wide: ${wide}\r\n\r\n`)
        .readTo('\r\n\r\n');
      expect(text).toContain(`X-Back: ${wide}\r\n`);
    });

    test('3,000 fields all pass, in both directions', async () => {
      let head = '';
      await world.serve(
        'many',
        tcpServer((socket) =>
          socket.on('data', (chunk) => {
            head += chunk.toString();
            if (head.endsWith('\r\n\r\n')) socket.end(`HTTP/1.1 200 OK\r\n${fields}\r\n`);
          }),
        ),
      );
      const fields = Array.from({ length: 3000 }, (_, index) => `F${index}: 1\r\n`).join('');
      const text = await world.raw(`GET http://many/ HTTP/1.1\r\nHost: w\r\n${fields}\r\n`).readTo('\r\n\r\n');
      expect(head).toContain(fields);
      expect(text).toContain(fields);
    });

    test('a header that does not come in time is 408', async () => {
      await world.start({ headersMs: 30 });
      const text = (await world.raw('GET http://web/ HTTP/1.1\r\nHost').readAll()).toString();
      expect(text).toMatch(/^HTTP\/1\.1 408 /);
    });
  });

  describe('Node’s own client', () => {
    test('32 at a time, 640 requests, all answered', async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 32 });
      const get = async (path: string): Promise<string> => {
        const outgoing = request(world.proxied({ agent }, `http://web${path}`)).end();
        const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
        let text = '';
        for await (const chunk of answer) text += String(chunk);
        return text;
      };
      const answers = await Promise.all(Array.from({ length: 640 }, (_, index) => get(`/${index}`)));
      expect(answers).toEqual(Array.from({ length: 640 }, (_, index) => `GET /${index} 0\n`));
      expect(world.dialer.dials.length).toBeLessThanOrEqual(64);
      agent.destroy();
    });
  });
});
