// Must (P1, P2): kt preview on the real cluster, as dev: a new Service that is the laptop, for pods and for other developers; refused at once while
// the laptop is away; nothing is left after its end, however it ends.

import { createSocket } from 'node:dgram';
import type { Server } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { closeApp, leftovers, localApp, runInPod, snapshot, untilAnswer } from './support/inbound.ts';
import { curl, kubectl, Laptop, type Running } from './support/kt.ts';

const NAME = 'kt-t-preview';
const laptop = new Laptop();
let app: Server & { port: number };

beforeAll(async () => {
  app = await localApp('laptop');
  await kubectl(['delete', 'service', NAME, '--ignore-not-found']);
});
afterAll(async () => {
  await laptop.close();
  await closeApp(app);
});
// Ended first, whatever became of the test: what one left would fail all that follow. None of them is still there after a test that passed.
afterEach(async () => {
  await laptop.stopAll();
  await expectGone();
});

async function preview(...args: string[]): Promise<Running> {
  const running = laptop.start(['preview', NAME, '--output', 'json', ...args]);
  await running.event('holding');
  return running;
}

const exists = (namespace = 'shop'): Promise<string> =>
  kubectl(['-n', namespace, 'get', 'service', NAME, '--ignore-not-found', '-o', 'name']);

async function expectGone(namespace = 'shop'): Promise<void> {
  expect(await exists(namespace)).toBe('');
  expect(await leftovers(NAME, namespace)).toBe('');
}

describe('preview', { timeout: 120_000 }, () => {
  test("P1, F1: a new Service, reachable from pods and by another developer's connect and forward; removed on exit", async () => {
    const kt = await preview('--expose', `${app.port}:80`);
    await untilAnswer(`http://${NAME}/path?q=1`, {
      name: 'laptop',
      url: '/path?q=1',
      headers: { host: NAME },
    });
    const other = new Laptop();
    try {
      const connected = await other.connect();
      const proxy = `socks5h://${connected.ready.proxy}`;
      for (const host of [NAME, `${NAME}.shop.svc.cluster.local`])
        expect(JSON.parse((await curl('-x', proxy, `http://${host}/`)).stdout)).toMatchObject({ name: 'laptop' });
      await connected.stop();
      // F1: or by a local port of her own.
      const forward = other.start(['forward', `${NAME}:0:80`, '--output', 'json']);
      const { local } = await forward.event('forwarding');
      expect(JSON.parse((await curl(`http://${local}/`)).stdout)).toMatchObject({ name: 'laptop' });
      await forward.stop();
    } finally {
      await other.close();
    }
    expect((await kt.stop('SIGINT')).code).toBe(0);
    await expectGone();
  });

  test('P2: several ports, local and remote different, UDP, and --external makes a LoadBalancer', async () => {
    const second = await localApp('second');
    const udp = createSocket('udp4').on('message', (text, { port, address }) =>
      udp.send(`got ${text.toString()}`, port, address),
    );
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
    const udpPort = udp.address().port;
    try {
      const kt = await preview(
        '--external',
        '--expose',
        `${app.port}:80,${second.port}:8081`,
        '--expose',
        `${udpPort}:53/udp`,
      );
      const spec = JSON.parse(await kubectl(['get', 'service', NAME, '-o', 'jsonpath={.spec}'])) as object;
      expect(spec).toMatchObject({
        type: 'LoadBalancer',
        ports: [
          { name: 'kt-80', port: 80, protocol: 'TCP' },
          { name: 'kt-8081', port: 8081, protocol: 'TCP' },
          { name: 'kt-53-udp', port: 53, protocol: 'UDP' },
        ],
      });
      await untilAnswer(`http://${NAME}/`, { name: 'laptop' });
      await untilAnswer(`http://${NAME}:8081/`, { name: 'second' });
      const asked = await runInPod(
        `const s=require('dgram').createSocket('udp4');s.on('message',t=>{console.log(String(t));s.close()});s.send('hello',53,'${NAME}')`,
      );
      expect(asked.stdout).toBe('got hello\n');
      await kt.stop();
    } finally {
      await closeApp(second);
      udp.close();
    }
  });

  test('P1: while nothing answers on the laptop callers are refused at once, with the reason', async () => {
    const away = await localApp('away');
    const kt = await preview('--expose', `${away.port}:80`);
    await untilAnswer(`http://${NAME}/`, { name: 'away' });
    await closeApp(away);
    const refused = await runInPod(
      `fetch('http://${NAME}/',{signal:AbortSignal.timeout(5000)}).then(async r=>console.log(r.status,await r.text())).catch(e=>console.log(e.name))`,
    );
    expect(refused.stdout).toMatch(/^503 .*kt-t-preview is a preview on a laptop, which does not answer now/);
    const raw = await runInPod(
      `const s=require('net').connect(80,'${NAME}');s.setTimeout(5000,()=>{console.log('hangs');process.exit()});s.on('error',()=>undefined);s.on('close',()=>{console.log('closed');process.exit()});s.write('\\x01\\x02')`,
    );
    expect(raw.stdout).toBe('closed\n');
    await kt.stop();
  });

  test('P1: an existing name is refused and stays untouched; a preview is named with who has it', async () => {
    const before = await snapshot('orders');
    const refused = laptop.start(['preview', 'orders', '--expose', `${app.port}:80`]);
    expect((await refused.exited).code).toBe(3);
    expect(refused.stderr).toContain("there is a Service 'orders' in the namespace 'shop' already");
    expect(refused.stderr).toContain('SERVICE_REFUSED');
    expect(await snapshot('orders')).toEqual(before);
    const kt = await preview('--expose', `${app.port}:80`);
    for (const command of ['preview', 'exchange']) {
      const held = laptop.start([command, NAME, '--expose', `${app.port}:80`]);
      expect((await held.exited).code, held.stderr).toBe(3);
      expect(held.stderr).toMatch(/uid-12345 on .*SERVICE_HELD/s);
    }
    await untilAnswer(`http://${NAME}/`, { name: 'laptop' });
    await kt.stop();
  });

  test('P1: after kill -9 it is removed without anybody', async () => {
    const kt = await preview('--expose', `${app.port}:80`);
    await kt.stop('SIGKILL');
    await expect.poll(() => exists(), { timeout: 60_000, interval: 1_000 }).toBe('');
    await expect.poll(() => leftovers(NAME), { timeout: 60_000, interval: 1_000 }).toBe('');
  });

  test('P1: in a namespace with Pod Security restricted', async () => {
    const kt = await preview('--expose', `${app.port}:80`, '--namespace', 'locked');
    await untilAnswer(`http://${NAME}.locked/`, { name: 'laptop' });
    await kt.stop();
    await expectGone('locked');
  });

  test('kt run --preview: the program is a Service while it runs', async () => {
    const free = await localApp('free');
    const { port } = free;
    await closeApp(free);
    const script = `require('http').createServer((_, r) => r.end('{"name":"program"}')).listen(${port}, '127.0.0.1')`;
    const kt = laptop.start(['run', '--preview', `${NAME}:${port}:80`, '--', laptop.node, '-e', script]);
    await untilAnswer(`http://${NAME}/`, { name: 'program' });
    expect((await kt.stop('SIGTERM')).code, kt.stderr).toBe(143);
  });
});

test.each([
  ['no ports', [NAME], 'which ports has kt-t-preview?'],
  ['a port by name', [NAME, '--expose', '8080:http'], "a preview's ports are numbers"],
  ['a name that can be no Service', ['Orders_1', '--expose', '8080'], "'Orders_1' can't be the name of a Service"],
  ['a port twice', [NAME, '--expose', '8080:80,9000:80'], 'names a port of kt-t-preview twice'],
  ['E4: nothing listens', [NAME, '--expose', '9:80'], 'nothing listens on the local port 9'],
])('refused before anything is made: %s', async (_, args, message) => {
  const kt = laptop.start(['preview', ...args]);
  expect((await kt.exited).code).not.toBe(0);
  expect(kt.stderr).toContain(message);
});

test.each([
  ['reader', 'you may not create, delete services, create, delete deployments and get pods/portforward'],
  ['forwarder', 'watch pods'],
] as const)('preview as %s: the missing verbs are named before any change', async (user, message) => {
  const kt = laptop.start(['preview', NAME, '--expose', `${app.port}:80`], { user });
  expect((await kt.exited).code).toBe(4);
  expect(kt.stderr).toContain(message);
});
