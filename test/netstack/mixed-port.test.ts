import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KtError } from '../../src/errors.ts';
import { listenMixedPort } from '../../src/netstack/mixed-port.ts';
import { curl, echoServer, httpServer, RawClient } from '../support/peers.ts';
import { ProxyWorld } from '../support/proxy-world.ts';

describe('mixed port', () => {
  let world: ProxyWorld;

  beforeEach(async () => {
    world = new ProxyWorld();
    const web = httpServer((request, response) => {
      response.end(`${request.method} ${request.url} at ${request.headers.host}\n`);
    });
    await world.serve('gateway', web);
    world.dialer.names['gateway.shop.svc'] = world.dialer.names['gateway'] ?? 0;
    await world.serve('echo', echoServer());
    await world.start();
  });

  afterEach(() => world.stop());

  test('curl gets an answer by socks5h, socks4a, HTTP proxy and CONNECT on the same port', async () => {
    const at = `127.0.0.1:${world.port}`;
    const answers = await Promise.all([
      curl('--proxy', `socks5h://${at}`, 'http://gateway/a'),
      curl('--proxy', `socks4a://${at}`, 'http://gateway/b'),
      curl('--proxy', `http://${at}`, 'http://gateway.shop.svc/c'),
      curl('--proxy', `http://${at}`, '--proxytunnel', 'http://gateway:8080/d'),
    ]);
    expect(answers.map(({ stdout, stderr }) => stdout + stderr)).toEqual([
      'GET /a at gateway\n',
      'GET /b at gateway\n',
      'GET /c at gateway.shop.svc\n',
      'GET /d at gateway:8080\n',
    ]);
    expect(new Set(world.dialer.dials.map(({ target }) => target.port))).toEqual(new Set([80, 8080]));
  });

  test('the first byte may come alone', async () => {
    const socks = new RawClient(world.port).hex('05');
    const http = new RawClient(world.port).send('G');
    await Promise.all([once(socks), once(http)]);
    socks.hex('01 00');
    expect(await socks.readHex(2)).toBe('0500');
    http.send('ET http://gateway/ HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n');
    expect((await http.readAll()).toString()).toContain('GET / at gateway');
  });

  test('no byte in time: closed with a reason', async () => {
    await world.start({ firstByteMs: 20 });
    const silent = new RawClient(world.port);
    await silent.closed;
    expect(world.log).toEqual([{ door: 'listener', event: 'rejected', reason: 'no byte within 20 ms' }]);
  });

  test('a client that only looks whether the port is open is let go at once', async () => {
    const visitor = new RawClient(world.port).end();
    await visitor.closed;
    expect(world.listener.connections).toBe(0);
  });

  test('connections over the limit are closed with a reason, the others go on', async () => {
    await world.start({ connectionsMax: 2 });
    const kept = [new RawClient(world.port).hex('05'), new RawClient(world.port).hex('05')];
    await Promise.all(kept.map(once));
    await new RawClient(world.port).hex('050100').closed;
    expect(world.log.map(({ reason }) => reason)).toEqual(['more than 2 connections at a time']);
    expect(await kept[0]?.hex('0100').readHex(2)).toBe('0500');
    for (const { socket } of kept) socket.destroy();
  });

  test('property: random bytes at random cuts end nothing but their own connection', async () => {
    const starts = [
      '',
      '05',
      '0501000501',
      '050100050100',
      '0401',
      Buffer.from('GET http://gateway/').toString('hex'),
      '160301',
    ];
    const heads = [
      '',
      'GET http://gateway/ HTTP/1.1\r\n',
      'CONNECT echo:7 HTTP/1.1\r\n\r\n',
      'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n',
    ];
    const first = fc.oneof(
      fc.constantFrom(...starts.map((text) => Buffer.from(text, 'hex'))),
      fc.constantFrom(...heads.map((text) => Buffer.from(text))),
    );
    const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 400 }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(first, pieces, fc.boolean(), async (head, rest, resets) => {
        const client = new RawClient(world.port);
        for (const piece of [head, ...rest]) {
          client.send(piece);
          await once(client);
        }
        if (resets) client.socket.resetAndDestroy();
        else client.end();
        await client.closed;
      }),
      { numRuns: 150 },
    );
    const { stdout } = await curl('--proxy', `http://127.0.0.1:${world.port}`, 'http://gateway/after');
    expect(stdout).toBe('GET /after at gateway\n');
  });

  test('close() ends listeners, handshakes, tunnels and HTTP connections at once', async () => {
    const tunnel = new RawClient(world.port).send('CONNECT echo:7 HTTP/1.1\r\nHost: echo:7\r\n\r\n');
    await tunnel.readTo('\r\n\r\n');
    tunnel.send('ping');
    expect((await tunnel.read(4)).toString()).toBe('ping');
    const idle = new RawClient(world.port).send('GET http://gateway/ HTTP/1.1\r\nHost: x\r\n\r\n');
    await idle.readTo('gateway\n');
    const half = new RawClient(world.port).hex('0501');
    await once(half);
    await world.listener.close();
    await Promise.all([tunnel.closed, idle.closed, half.closed]);
    expect(world.listener.connections).toBe(0);
  });

  test('a port in use is LISTEN_FAILED and names the flag', async () => {
    const second = listenMixedPort({ host: '127.0.0.1', port: world.port, dialer: world.dialer });
    const error: unknown = await second.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(KtError);
    expect((error as KtError).code).toBe('LISTEN_FAILED');
    expect((error as KtError).message).toContain(`127.0.0.1:${world.port}`);
    expect((error as KtError).hint).toContain('--proxyPort');
  });
});

/** The client's bytes so far have left. */
function once(client: RawClient): Promise<void> {
  return new Promise((resolve) => client.socket.write('', () => resolve()));
}
