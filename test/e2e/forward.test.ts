// Must (F1): kt forward on the real cluster, as dev and without rights on the laptop: kt-connect's rules for ports, every kind of target,
// raw TCP and UDP, addresses of its own, nothing made when a port is taken, and the same local port after a lost line and a lost agent.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { StampedEvent } from '../../src/session/events.ts';
import { curl, kubectl, Laptop, type Running, UID, type User } from './support/kt.ts';
import { Wan } from './support/wan.ts';

const laptop = new Laptop();
let running: Running | undefined;

/** Starts kt forward, waits for `count` ports and gives `remote/protocol` → local address. */
async function forward(count: number, words: readonly string[], user: User = 'dev'): Promise<Record<string, string>> {
  running = laptop.start(['forward', ...words, '--output', 'json'], { user });
  return locals(running, count);
}

async function locals(kt: Running, count: number): Promise<Record<string, string>> {
  const told = (): StampedEvent[] => kt.events.filter(({ type }) => type === 'forwarding');
  await kt.event('forwarding', (event) => told().indexOf(event) === count - 1);
  return Object.fromEntries(
    kt.events.flatMap((event) =>
      event.type === 'forwarding' ? [[`${event.remote}/${event.protocol}`, event.local]] : [],
    ),
  );
}

async function refused(words: readonly string[], user: User = 'dev'): Promise<{ code: number | null; text: string }> {
  const kt = laptop.start(['forward', ...words, '--output', 'json'], { user });
  const { code } = await kt.exited;
  expect(kt.events.filter(({ type }) => type === 'agent')).toEqual([]);
  const error = kt.events.find((event) => event.type === 'error');
  return { code, text: error?.type === 'error' ? `${error.code} ${error.message}` : kt.stderr };
}

const http = async (local: string | undefined, path = '/healthz'): Promise<string> =>
  (await curl('-o', '/dev/null', '-w', '%{http_code}', `http://${local}${path}`)).stdout;

async function tcp(local: string | undefined): Promise<Socket> {
  const [host = '', port = ''] = (local ?? '').split(':');
  const socket = connect({ host, port: Number(port), allowHalfOpen: true });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

afterEach(async () => {
  await running?.stop();
  running = undefined;
});
afterAll(() => laptop.close());

describe('F1: rules for ports', { timeout: 120_000 }, () => {
  test('omitted, one number, both, a name, the target port, any free one', async () => {
    const at = await forward(5, [
      // An address where nothing else listens: ports of this machine are shared with other tests.
      ...['--address', '127.77.1.9'],
      ...['stock', 'orders', '18081', 'gateway', '18082:http', 'h2:0:80', 'db', '18083:8080'],
    ]);
    expect(at).toEqual({
      'stock:8080/TCP': '127.77.1.9:8080',
      // Neither the Service's port nor the target's: the local one.
      'orders:80/TCP': '127.77.1.9:18081',
      'gateway:80/TCP': '127.77.1.9:18082',
      'h2:80/TCP': expect.stringMatching(/^127\.77\.1\.9:\d+$/) as string,
      'db:8080/TCP': '127.77.1.9:18083',
    });
    for (const remote of ['stock:8080', 'orders:80', 'gateway:80', 'db:8080'])
      expect(`${remote} ${await http(at[`${remote}/TCP`])}`).toBe(`${remote} 200`);
  });

  test('a Service with several ports: the port has to be named, and the error lists them', async () => {
    const { code, text } = await refused(['echo']);
    expect(code).toBe(2);
    expect(text).toMatch(
      /^USAGE name the port of echo: it has .*7000 \(echo\).*7004 \(banner\).*7000 \(echo-udp\) UDP/,
    );
    expect(await refused(['orders', '18084:9999'])).toEqual({
      code: 2,
      text: 'USAGE orders has no port 18084:9999: it has 80 (http) → 8080',
    });
    expect((await refused(['nothere'])).text).toBe(
      "SERVICE_NOT_FOUND there is no service 'nothere' in the namespace 'shop'",
    );
  });

  test('a port that is taken: LISTEN_FAILED, exit code 5, and nothing was made in the cluster', async () => {
    const busy = createServer().listen(0, '127.0.0.1');
    await once(busy, 'listening');
    const address = busy.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const { code, text } = await refused(['orders', `${port}:80`]);
    expect(code).toBe(5);
    expect(text).toContain(`LISTEN_FAILED can not listen on 127.0.0.1:${port}: the port is in use`);
    busy.close();
  });
});

describe('targets', { timeout: 120_000 }, () => {
  test('Services of other namespaces, ExternalName, ClusterIP, pod IP, a StatefulSet pod, a name that only the cluster knows', async () => {
    const [clusterIp, podIp] = await Promise.all([
      kubectl(['get', 'service', 'orders', '-o', 'jsonpath={.spec.clusterIP}']),
      kubectl(['get', 'pods', '-l', 'app=stock', '-o', 'jsonpath={.items[0].status.podIP}']),
    ]);
    const at = await forward(6, [
      'vault.locked',
      ':80',
      'partner',
      ':80',
      `${clusterIp}:0:80`,
      `${podIp}:0:8080`,
      'db-0.db:0:8080',
      'orders.shop.svc.cluster.local:0:80',
    ]);
    for (const [remote, local] of Object.entries(at)) {
      // A StatefulSet's pod and an address answer whatever the Host is.
      expect(`${remote} ${await http(local)}`).toBe(`${remote} 200`);
    }
  });

  test('raw TCP: the server speaks first, half-close, reset; UDP', async () => {
    const at = await forward(5, ['echo', ':7004', ':7002', ':7001', ':7000', ':7000/udp']);
    const banner = await tcp(at['echo:7004/TCP']);
    const [greeting] = (await once(banner, 'data')) as [Buffer];
    expect(greeting.length).toBeGreaterThan(0);
    banner.destroy();

    const counting = await tcp(at['echo:7002/TCP']);
    counting.end('x'.repeat(100_000));
    expect(await readAll(counting)).toContain('100000');

    const abrupt = await tcp(at['echo:7001/TCP']);
    const reset = once(abrupt, 'error') as Promise<[NodeJS.ErrnoException]>;
    abrupt.write('x');
    expect((await reset)[0].code).toBe('ECONNRESET');

    const [host = '', port = ''] = (at['echo:7000/UDP'] ?? '').split(':');
    const udp = createSocket('udp4');
    const answer = once(udp, 'message') as Promise<[Buffer]>;
    const again = setInterval(() => udp.send('ping', Number(port), host), 1_000);
    udp.send('ping', Number(port), host);
    expect((await answer)[0].toString()).toBe('ping');
    clearInterval(again);
    udp.close();
  });

  test('--own-ip: two Services on the same port, each at an address that is always its own; port 80 becomes 8080', async () => {
    const at = await forward(3, ['--own-ip', 'orders', 'gateway', 'cache']);
    const [orders = '', gateway = ''] = [at['orders:80/TCP'], at['gateway:80/TCP']];
    expect(orders).toMatch(/^127\.\d+\.\d+\.\d+:8080$/);
    expect(gateway).toMatch(/^127\.\d+\.\d+\.\d+:8080$/);
    expect(orders).not.toBe(gateway);
    const answers = await Promise.all([orders, gateway].map((local) => curl(`http://${local}/`)));
    expect(answers.map(({ stdout }) => (JSON.parse(stdout) as { service: string }).service)).toEqual([
      'orders',
      'gateway',
    ]);
    const redis = await tcp(at['cache:6379/TCP']);
    redis.write('PING\r\n');
    expect(String(((await once(redis, 'data')) as [Buffer])[0])).toBe('+PONG\r\n');
    redis.destroy();
    await running?.stop();
    const again = await forward(1, ['--own-ip', 'orders']);
    expect(again['orders:80/TCP']).toBe(orders);
  });

  test('a user who may not create pods: TCP without an agent, UDP refused before anything is opened', async () => {
    const at = await forward(1, ['orders', ':80'], 'forwarder');
    expect(await http(at['orders:80/TCP'])).toBe('200');
    expect(await refused(['echo', ':7000/udp'], 'forwarder')).toEqual({
      code: 1,
      text: 'UNSUPPORTED UDP needs an agent',
    });
  });
});

describe('its session', { timeout: 180_000 }, () => {
  test('status shows the ports, run and env do not join it, stop ends it, and its agent is gone', async () => {
    const at = await forward(1, ['orders', ':80']);
    const created = await running?.event('agent', ({ state }) => state === 'created');
    const kt = async (...args: string[]): Promise<string> => {
      const one = laptop.start(args);
      await one.exited;
      return one.stdout + one.stderr;
    };
    expect(await kt('status')).toContain(`${at['orders:80/TCP']} → orders:80`);
    expect(await kt('env')).toContain('SESSION_NONE');
    expect(await kt('stop')).toContain('stopped shop');
    expect(await running?.exited).toEqual({ code: 0, signal: null });
    expect(await kubectl(['get', 'pods', '-o', 'name'])).not.toContain(created?.pod);
  });

  test('F1: a cut line and a deleted agent: the same port answers again, and what is dialled meanwhile waits', async () => {
    const wan = await Wan.start();
    const config = wan.kubeconfig(laptop.kubeconfig('dev'), join(laptop.home, 'wan.yaml'), UID);
    const kt = laptop.start(['forward', 'orders', ':80', '--kubeconfig', config, '--output', 'json']);
    running = kt;
    const local = (await locals(kt, 1))['orders:80/TCP'];
    expect(await http(local)).toBe('200');
    const up = (): number => kt.events.filter((event) => event.type === 'link' && event.state === 'up').length;
    const before = up();
    await wan.fault('cut');
    await kt.event('link', ({ state }) => state === 'down');
    const waiting = http(local);
    await wan.fault('heal');
    expect(await waiting).toBe('200');
    expect(up()).toBeGreaterThan(before);
    const agent = await kt.event('agent', ({ state }) => state === 'created');
    await kubectl(['delete', 'pod', agent.pod, '--now', '--wait=false']);
    await kt.event('agent', ({ state, pod }) => state === 'created' && pod !== agent.pod);
    expect(await http(local)).toBe('200');
    await kt.stop();
    await wan.close();
  });
});
