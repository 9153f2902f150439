// Must: from the laptop every kind of destination answers, through SOCKS5 and through the HTTP proxy, as `dev` and without any right
// on the machine. Peers: curl, ws, node:http2, node:net. Agent in `shop` (baseline) and in `locked` (Pod Security restricted).
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { SocksClient } from 'socks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { curl, kubectl, Laptop, type Ready, type Running } from './support/kt.ts';

const laptop = new Laptop();
let kt: Running & { ready: Ready };
let proxy = '';

async function clusterIp(service: string): Promise<string> {
  return (await kubectl(['get', 'service', service, '-o', 'jsonpath={.spec.clusterIP}'])).trim();
}

async function podIp(selector: string): Promise<string> {
  return (await kubectl(['get', 'pods', '-l', selector, '-o', 'jsonpath={.items[0].status.podIP}'])).trim();
}

/** A TCP connection through the SOCKS5 proxy, made by a foreign client. */
async function socks(host: string, port: number): Promise<Socket> {
  const [address = '', proxyPort = ''] = proxy.split(':');
  const { socket } = await SocksClient.createConnection({
    proxy: { host: address, port: Number(proxyPort), type: 5 },
    command: 'connect',
    destination: { host, port },
  });
  return socket;
}

async function read(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

beforeAll(async () => {
  kt = await laptop.connect();
  proxy = kt.ready.proxy;
});
afterAll(async () => {
  await kt?.stop();
  await laptop.close();
});

describe('every name and address answers', () => {
  test('ready tells what a script needs', () => {
    expect(kt.ready).toMatchObject({ namespace: 'shop', mode: 'agent', reduced: [] });
    expect(kt.ready.agent).toMatch(/^kt-agent-/);
    expect(kt.ready.dns).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  const names = [
    'gateway',
    'gateway.shop',
    'gateway.shop.svc',
    'gateway.shop.svc.cluster.local',
    'db-0.db:8080',
    'orders',
    'stock:8080',
    'vault.locked',
    'partner',
  ];
  for (const name of names) {
    test(`http://${name} by SOCKS5`, async () => {
      const { stdout, stderr } = await curl(
        '-w',
        '%{http_code}',
        '-o',
        '/dev/null',
        '-x',
        `socks5h://${proxy}`,
        `http://${name}/`,
      );
      expect(`${stdout}${stderr}`).toBe('200');
    });
    test(`http://${name} by the HTTP proxy, plain and by CONNECT`, async () => {
      const plain = await curl('-w', '%{http_code}', '-o', '/dev/null', '-x', `http://${proxy}`, `http://${name}/`);
      expect(`${plain.stdout}${plain.stderr}`).toBe('200');
      const tunnel = await curl(
        '-w',
        '%{http_code}',
        '-o',
        '/dev/null',
        '--proxytunnel',
        '-x',
        `http://${proxy}`,
        `http://${name}/`,
      );
      expect(`${tunnel.stdout}${tunnel.stderr}`).toBe('200');
    });
  }

  test('ClusterIP and pod IP', async () => {
    for (const address of [
      `${await clusterIp('gateway')}:80`,
      `${await clusterIp('orders')}:80`,
      `${await podIp('app=stock')}:8080`,
    ]) {
      for (const scheme of ['socks5', 'socks5h', 'http']) {
        const { stdout, stderr } = await curl(
          '-w',
          '%{http_code}',
          '-o',
          '/dev/null',
          '-x',
          `${scheme}://${proxy}`,
          `http://${address}/healthz`,
        );
        expect(`${address} ${stdout}${stderr}`).toBe(`${address} 200`);
      }
    }
  });

  test('a Service that is created after connect answers', async () => {
    await kubectl(['create', 'service', 'clusterip', 'kt-e2e-late', '--tcp=80:8080']);
    try {
      await kubectl(['patch', 'service', 'kt-e2e-late', '-p', '{"spec":{"selector":{"app":"stock"}}}']);
      const { stdout } = await curl(
        '--retry',
        '20',
        '--retry-all-errors',
        '--retry-delay',
        '1',
        '-x',
        `socks5h://${proxy}`,
        'http://kt-e2e-late/healthz',
        '-w',
        '%{http_code}',
        '-o',
        '/dev/null',
      );
      expect(stdout).toBe('200');
    } finally {
      await kubectl(['delete', 'service', 'kt-e2e-late']);
    }
  });
});

describe('every kind of traffic passes', () => {
  test('256 MiB arrive whole', async () => {
    const { stdout } = await curl(
      '--max-time',
      '60',
      '-x',
      `socks5h://${proxy}`,
      '-o',
      '/dev/null',
      '-w',
      '%{size_download}',
      'http://files/256MiB',
    );
    expect(stdout).toBe(String(256 * 1024 * 1024));
  });

  test('a websocket by SOCKS5 and by the HTTP proxy (Upgrade and CONNECT)', async () => {
    const socket = await socks('stream', 80);
    const client = new WebSocket('ws://stream/ws', { createConnection: () => socket });
    client.on('open', () => client.send('hello'));
    const [data] = (await once(client, 'message')) as [Buffer];
    expect(data.toString()).toContain('hello');
    client.terminate();
    const upgraded = await curl(
      '-i',
      '-N',
      '--max-time',
      '3',
      '-x',
      `http://${proxy}`,
      '-H',
      'Connection: Upgrade',
      '-H',
      'Upgrade: websocket',
      '-H',
      'Sec-WebSocket-Version: 13',
      '-H',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
      'http://stream/ws',
    );
    expect(upgraded.stdout).toMatch(/^HTTP\/1\.1 101/);
  });

  test('server-sent events come as they are sent, chunked answers whole', async () => {
    const events = await curl('-N', '--max-time', '4', '-x', `http://${proxy}`, 'http://stream/events');
    expect(events.stdout.match(/^data:/gm)?.length ?? 0).toBeGreaterThan(1);
    const chunks = await curl('-x', `http://${proxy}`, 'http://stream/chunks/5');
    const direct = await curl('-x', `socks5h://${proxy}`, 'http://stream/chunks/5');
    expect(chunks.stdout.length).toBeGreaterThan(0);
    expect(chunks.stdout).toBe(direct.stdout);
  });

  test('HTTP/2 without TLS, with trailers', async () => {
    // By hand: the `socks` client drops what comes in one piece with the reply, and an HTTP/2 server speaks first.
    const [proxyHost = '', proxyPort = ''] = proxy.split(':');
    const socket = connectTcp(Number(proxyPort), proxyHost);
    const take = async (bytes: number): Promise<void> => {
      while (socket.read(bytes) === null) await once(socket, 'readable');
    };
    socket.write(Buffer.from('050100', 'hex'));
    await take(2);
    socket.write(Buffer.from('050100030268320050', 'hex'));
    await take(10);
    const session = connectHttp2('http://h2', { createConnection: () => socket });
    const stream = session.request({ ':method': 'POST', ':path': '/echo' });
    const trailers = once(stream, 'trailers');
    stream.end('over h2c');
    stream.setEncoding('utf8');
    let body = '';
    stream.on('data', (text: string) => {
      body += text;
    });
    const [headers] = (await trailers) as [Record<string, string>];
    expect(headers['grpc-status']).toBe('0');
    await once(stream, 'close');
    expect(body).toContain('over h2c');
    session.close();
  });

  test('raw TCP: echo, banner first, half-close, reset', async () => {
    const echo = await socks('echo', 7000);
    echo.write('one\n');
    expect(((await once(echo, 'data')) as [Buffer])[0].toString()).toBe('one\n');
    echo.end('two\n');
    expect(await read(echo)).toBe('two\n');
    const count = await socks('echo', 7002);
    count.end('12345');
    expect(await read(count)).toContain('5');
    const banner = await socks('echo', 7004);
    expect(((await once(banner, 'data')) as [Buffer])[0].length).toBeGreaterThan(0);
    banner.destroy();
    const reset = await socks('echo', 7001);
    reset.write('x');
    const [error] = (await once(reset, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
  });

  test('refused, unknown and outside are told apart', async () => {
    const refused = await curl('-x', `socks5h://${proxy}`, 'http://empty/');
    expect([refused.code, refused.stderr]).toEqual([97, expect.stringMatching(/\(5\)|refused/i)]);
    const unknown = await curl('-x', `socks5h://${proxy}`, 'http://no-such-service.shop.svc.cluster.local/');
    expect([unknown.code, unknown.stderr]).toEqual([97, expect.stringMatching(/\(4\)|unreachable/i)]);
    const viaHttp = await curl('-i', '-x', `http://${proxy}`, 'http://empty/');
    expect(viaHttp.stdout).toMatch(/^HTTP\/1\.1 502[^]*X-Kt-Error: DIAL_REFUSED/i);
  });
});

describe('an agent under Pod Security "restricted"', () => {
  test('the same names answer from namespace locked', async () => {
    const locked = await laptop.connect(['--namespace', 'locked']);
    try {
      for (const name of [
        'vault',
        'vault.locked',
        'gateway.shop',
        'gateway.shop.svc.cluster.local',
        'db-0.db.shop:8080',
      ]) {
        const { stdout, stderr } = await curl(
          '-w',
          '%{http_code}',
          '-o',
          '/dev/null',
          '-x',
          `socks5h://${locked.ready.proxy}`,
          `http://${name}/`,
        );
        expect(`${name} ${stdout}${stderr}`).toBe(`${name} 200`);
      }
    } finally {
      await locked.stop();
    }
  });
});
