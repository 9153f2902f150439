import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { SocksClient } from 'socks';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import type { MixedPortOptions } from '../../../src/netstack/mixed-port.ts';
import { curl, deadPort, echoServer, httpServer, RawClient, tcpServer } from '../../support/peers.ts';
import { ProxyWorld } from '../../support/proxy-world.ts';

const GREETING = '05 01 00';
/** CONNECT to `name`:7. */
const connectTo = (name: string): string =>
  `05 01 00 03 ${Buffer.from([name.length]).toString('hex')} ${Buffer.from(name).toString('hex')} 0007`;

describe('SOCKS server', () => {
  let world: ProxyWorld;
  const start = (options: Partial<MixedPortOptions> = {}): Promise<void> =>
    world.start({ protocols: 'socks', ...options });

  beforeEach(async () => {
    world = new ProxyWorld();
    await world.serve('echo', echoServer());
    await start();
  });

  afterEach(() => world.stop());

  test('the reply comes after the dial, never before', async () => {
    const open = world.gate();
    const client = new RawClient(world.port).hex(`${GREETING} ${connectTo('echo')}`);
    expect(await client.readHex(2)).toBe('0500');
    await world.dialer.dialled(1);
    expect(client.heldBytes).toBe(0);
    open();
    expect(await client.readHex(10)).toBe('05000001000000000000');
    expect((await client.send('ping').read(4)).toString()).toBe('ping');
  });

  test('data in the same segment as CONNECT leaves before the dial is decided', async () => {
    const open = world.gate();
    const client = new RawClient(world.port).hex(`${GREETING} ${connectTo('echo')}`).send('early');
    await world.dialer.dialled(1);
    expect((await world.dialer.dials[0]?.stream.earlyBytes(5))?.toString()).toBe('early');
    expect(world.dialer.dials[0]?.options.settle).toBe(false);
    open();
    expect(await client.readHex(12)).toBe('050005000001000000000000');
    expect((await client.read(5)).toString()).toBe('early');
  });

  test('data during the dial is kept, and so is a half-close', async () => {
    const open = world.gate();
    const client = new RawClient(world.port).hex(`${GREETING} ${connectTo('echo')}`);
    await client.readHex(2);
    await world.dialer.dialled(1);
    client.send('during the dial').end();
    open();
    expect((await client.readAll()).subarray(10).toString()).toBe('during the dial');
  });

  test('a client that half-closes at once still reads its answer', async () => {
    const client = new RawClient(world.port)
      .hex(`${GREETING} ${connectTo('echo')}`)
      .send('all at once')
      .end();
    expect((await client.readAll()).subarray(12).toString()).toBe('all at once');
  });

  test('a destination that half-closes first still reads the client', async () => {
    let heard = '';
    const { promise: done, resolve } = Promise.withResolvers<void>();
    await world.serve(
      'greeter',
      tcpServer((socket) => {
        socket.end('bye');
        socket.on('data', (chunk) => {
          heard += chunk.toString();
        });
        socket.on('end', () => resolve());
      }),
    );
    const client = new RawClient(world.port).hex(`${GREETING} ${connectTo('greeter')}`);
    expect((await client.readAll()).subarray(12).toString()).toBe('bye');
    client.send('and my last words').end();
    await done;
    expect(heard).toBe('and my last words');
  });

  test('early data beyond the limit waits in the socket and arrives whole', async () => {
    const data = randomBytes(3 * 1024 * 1024);
    const open = world.gate();
    const client = new RawClient(world.port)
      .hex(`${GREETING} ${connectTo('echo')}`)
      .send(data)
      .end();
    await world.dialer.dialled(1);
    const early = await world.dialer.dials[0]?.stream.earlyBytes(64 * 1024);
    expect(early?.length).toBe(64 * 1024);
    open();
    const back = (await client.readAll()).subarray(12);
    expect(hash(back)).toBe(hash(data));
    expect(world.dialer.dials[0]?.stream.early.length).toBe(64 * 1024);
  });

  test('a client that resets during the dial cancels it', async () => {
    world.gate();
    const client = new RawClient(world.port).hex(`${GREETING} ${connectTo('echo')}`);
    await client.readHex(2);
    await world.dialer.dialled(1);
    const signal = world.dialer.dials[0]?.options.signal;
    client.socket.resetAndDestroy();
    if (signal !== undefined && !signal.aborted) await once(signal, 'abort');
    expect(signal?.reason).toMatchObject({ code: 'CANCELLED' });
  });

  test('a reset of the destination resets the client', async () => {
    await world.serve(
      'rude',
      tcpServer((socket) => socket.once('data', () => socket.resetAndDestroy())),
    );
    const client = new RawClient(world.port).hex(`${GREETING} ${connectTo('rude')}`);
    await client.readHex(12);
    await client.send('x').closed;
    expect(client.error?.code).toBe('ECONNRESET');
  });

  describe('a failed dial', () => {
    const failures: [string, KtError, string, number][] = [
      ['refused', new KtError('DIAL_REFUSED', 'refused'), '05', 5],
      ['timeout', new KtError('DIAL_TIMEOUT', 'nobody answered'), '06', 6],
      ['unreachable', new KtError('DIAL_UNREACHABLE', 'no route'), '04', 4],
      ['denied', new KtError('DIAL_DENIED', 'not allowed'), '02', 2],
      ['parked', new KtError('LINK_PARKED', 'no link'), '03', 3],
    ];

    test.each(failures)('%s is told by its code, in 10 bytes', async (name, error, code) => {
      world.dialer.failures[name] = error;
      const client = new RawClient(world.port).hex(`${GREETING} ${connectTo(name)}`);
      expect((await client.readAll()).toString('hex')).toBe(`050005${code}0001000000000000`);
      expect(world.log).toEqual([
        { door: 'socks5', event: 'failed', target: { host: name, port: 7 }, code: error.code, reason: error.message },
      ]);
    });

    test('curl prints it, for refused, unknown names and time-outs', async () => {
      world.dialer.names['closed'] = await deadPort();
      world.dialer.failures['slow'] = new KtError('DIAL_TIMEOUT', 'nobody answered');
      const proxy = ['--proxy', `socks5h://127.0.0.1:${world.port}`];
      const [refused, unknown, slow] = await Promise.all(
        ['closed', 'nowhere', 'slow'].map((name) => curl(...proxy, `http://${name}/`)),
      );
      expect(refused).toMatchObject({ code: 97, stderr: expect.stringContaining('(5)') });
      expect(unknown).toMatchObject({ code: 97, stderr: expect.stringContaining('(4)') });
      expect(slow).toMatchObject({ code: 97, stderr: expect.stringContaining('(6)') });
    });

    test('early data of a failed dial is thrown away, the client sees the reply', async () => {
      world.dialer.failures['refused'] = new KtError('DIAL_REFUSED', 'refused');
      const client = new RawClient(world.port).hex(`${GREETING} ${connectTo('refused')}`).send(randomBytes(200_000));
      expect((await client.readAll()).toString('hex')).toBe('050005050001000000000000');
    });
  });

  describe('the `socks` client', () => {
    const options = (host: string, credentials = {}) => ({
      proxy: { host: '127.0.0.1', port: world.port, type: 5 as const, ...credentials },
      command: 'connect' as const,
      destination: { host, port: 7 },
    });

    test('reaches names, IPv4 and IPv6 addresses', async () => {
      const echo = world.dialer.names['echo'] ?? 0;
      Object.assign(world.dialer.names, { '10.96.0.9': echo, '2001:db8::a:b': echo });
      for (const host of ['echo', '10.96.0.9', '2001:db8::a:b']) {
        const { socket } = await SocksClient.createConnection(options(host));
        socket.write('hello');
        const [answer] = (await once(socket, 'data')) as [Buffer];
        expect(answer.toString()).toBe('hello');
        socket.destroy();
      }
      expect(world.dialer.dials.map(({ target }) => target.host)).toEqual(['echo', '10.96.0.9', '2001:db8::a:b']);
    });

    test('with the right password, and not with a wrong one', async () => {
      await start({ auth: { username: 'dev', password: 'gehe:im' } });
      const right = await SocksClient.createConnection(options('echo', { userId: 'dev', password: 'gehe:im' }));
      right.socket.destroy();
      await expect(SocksClient.createConnection(options('echo', { userId: 'dev', password: 'x' }))).rejects.toThrow(
        'Authentication failed',
      );
      await expect(SocksClient.createConnection(options('echo'))).rejects.toThrow();
      expect(world.log.filter(({ event }) => event === 'rejected').map(({ code }) => code)).toEqual([
        'DIAL_DENIED',
        'DIAL_DENIED',
      ]);
      expect(world.dialer.dials).toHaveLength(1);
    });

    test('a refused command', async () => {
      await expect(SocksClient.createConnection({ ...options('echo'), command: 'bind' } as never)).rejects.toThrow();
    });
  });

  test('a second, older client (socksv5), with and without a password', async () => {
    // @ts-expect-error the package has no types
    const { connect, auth } = (await import('@mongodb-js/socksv5')) as {
      connect: (options: object, onConnect: (socket: Socket) => void) => void;
      auth: { None: () => unknown; UserPassword: (username: string, password: string) => unknown };
    };
    const echo = (auths: unknown[]): Promise<string> =>
      new Promise((resolve) => {
        const proxy = { proxyHost: '127.0.0.1', proxyPort: world.port, localDNS: false, auths };
        connect({ host: 'echo', port: 7, ...proxy }, (socket) => {
          socket.once('data', (chunk) => {
            socket.destroy();
            resolve(chunk.toString());
          });
          socket.write('hello');
        });
      });
    expect(await echo([auth.None()])).toBe('hello');
    await start({ auth: { username: 'dev', password: 'geheim' } });
    expect(await echo([auth.UserPassword('dev', 'geheim')])).toBe('hello');
  });

  describe('handshakes that lead nowhere', () => {
    test('nothing, or half a greeting, in time: closed with a reason', async () => {
      await start({ handshakeMs: 20 });
      const clients = ['', '05', '050100', '05010005010003ff'].map((bytes) => new RawClient(world.port).hex(bytes));
      await Promise.all(clients.map(({ closed }) => closed));
      expect(world.log.map(({ reason }) => reason).toSorted(byText)).toEqual([
        "nothing whole within 20 ms (SOCKS handshake, state 'greeting')",
        "nothing whole within 20 ms (SOCKS handshake, state 'greeting')",
        "nothing whole within 20 ms (SOCKS handshake, state 'request')",
        "nothing whole within 20 ms (SOCKS handshake, state 'request')",
      ]);
    });

    test('the limit does not touch what is open', async () => {
      await start({ handshakeMs: 20 });
      const client = new RawClient(world.port).hex(`${GREETING} ${connectTo('echo')}`);
      await client.readHex(12);
      await new RawClient(world.port).closed;
      expect((await client.send('still').read(5)).toString()).toBe('still');
    });

    test('an HTTP request and a ClientHello are named in the log', async () => {
      await new RawClient(world.port).send('GET / HTTP/1.1\r\n\r\n').closed;
      await new RawClient(world.port).hex('1603010200').closed;
      expect(world.log.map(({ reason }) => reason)).toEqual([
        'not a SOCKS client: this looks like an HTTP request (use the HTTP proxy port)',
        'not a SOCKS client: this looks like TLS (the proxy itself speaks no TLS)',
      ]);
    });

    test('a flood of half handshakes, garbage and resets: the next client is served', async () => {
      const flood = Array.from({ length: 500 }, (_, index) => {
        const client = new RawClient(world.port).send(
          index % 2 === 0 ? randomBytes(64) : Buffer.from('050100050100ff', 'hex').subarray(0, index % 7),
        );
        if (index % 5 === 0) client.socket.once('connect', () => client.socket.resetAndDestroy());
        return client;
      });
      const client = new RawClient(world.port).hex(`${GREETING} ${connectTo('echo')}`).send('served');
      expect((await client.read(18)).subarray(12).toString()).toBe('served');
      for (const { socket } of flood) socket.destroy();
      await Promise.all(flood.map(({ closed }) => closed));
    });
  });

  test('32 MiB through curl, byte for byte', async () => {
    const data = randomBytes(32 * 1024 * 1024);
    await world.serve(
      'web',
      httpServer((_, response) => response.end(data)),
    );
    const { stdout } = await curl(
      '--proxy',
      `socks5h://127.0.0.1:${world.port}`,
      'http://web/',
      '-o',
      '/dev/null',
      '-w',
      '%{size_download}',
    );
    expect(stdout).toBe(String(data.length));
  });
});

function hash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function byText(left: string | undefined, right: string | undefined): number {
  return String(left).localeCompare(String(right));
}
