// Must: Spring Cloud's Eureka client under kt. It reaches the registry by its cluster name and calls the instance that it finds there by the pod's
// address; with `--advertise` it registers the preview Service's address, not the laptop's. With a pretend Eureka that keeps what it is told; the
// preview itself is preview.test.ts. Needs a JDK 17 and Maven, no cluster.
import { spawn } from 'node:child_process';
import { cpSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { registryVariables } from '../../src/modes/advertise.ts';
import { POD, shimWorld } from '../support/shim-world.ts';
import { execute } from './support/kt.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kt-eureka-'));
  cpSync('test/fixtures/eureka-shop', folder, { recursive: true, filter: (path) => !path.endsWith('/target') });
  const built = await execute('mvn', ['-q', '-B', '-f', folder, '-DskipTests', 'package'], { timeoutMs: 240_000 });
  expect(built, built.stdout).toMatchObject({ code: 0 });
}, 260_000);
afterAll(() => rm(folder, { recursive: true }));

interface Instance {
  readonly hostName: string;
  readonly port: { readonly $: number };
  readonly instanceId: string;
}

/** One instance of `orders`, at a pod's address. */
const ORDERS = {
  name: 'ORDERS',
  instance: [
    {
      instanceId: 'orders-0',
      app: 'ORDERS',
      vipAddress: 'orders',
      hostName: POD,
      ipAddr: POD,
      status: 'UP',
      port: { $: 8080, '@enabled': 'true' },
      securePort: { $: 443, '@enabled': 'false' },
      dataCenterInfo: { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' },
    },
  ],
};

interface Registry {
  readonly port: number;
  /** The first registration. */
  readonly came: Promise<Instance>;
}

async function eureka(): Promise<Registry> {
  let tell: (instance: Instance) => void = () => undefined;
  const came = new Promise<Instance>((resolve) => {
    tell = resolve;
  });
  const applications = { versions__delta: '1', apps__hashcode: 'UP_1_', application: [ORDERS] };
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => (body += String(piece)));
    request.on('end', () => {
      if (request.method === 'POST') tell((JSON.parse(body) as { instance: Instance }).instance);
      response.setHeader('content-type', 'application/json');
      response.statusCode = request.method === 'POST' ? 204 : 200;
      response.end(JSON.stringify({ applications }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, came };
}

/** The application, with what it says; ended with the test. */
function start(zone: string, env: NodeJS.ProcessEnv, args: readonly string[] = []): () => string {
  const more = { SERVER_PORT: '0', EUREKA_CLIENT_INITIALINSTANCEINFOREPLICATIONINTERVALSECONDS: '0' };
  // A key of a map, which keeps its capital: no variable can say it.
  const options = [`-Deureka.client.service-url.defaultZone=${zone}`, '-jar', join(folder, 'target/eureka-shop-1.jar')];
  const app = spawn('java', [...options, ...args], { env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'ignore'] });
  let said = '';
  app.stdout.on('data', (piece: Buffer) => (said += String(piece)));
  onTestFinished(() => void app.kill('SIGKILL'));
  return () => said;
}

async function registered(variables: Record<string, string>): Promise<Instance> {
  const { port, came } = await eureka();
  start(`http://127.0.0.1:${port}/eureka/`, { PATH: process.env['PATH'], HOME: folder, ...variables });
  return came;
}

test('the registry is told the preview Service', { timeout: 120_000 }, async () => {
  const instance = await registered(registryVariables('orders-anna', 'shop', 80));
  expect(instance).toMatchObject({
    hostName: 'orders-anna.shop.svc',
    port: { $: 80 },
    instanceId: 'orders-anna.shop.svc:80',
  });
});

test('without it the laptop’s own address goes there', { timeout: 120_000 }, async () => {
  expect((await registered({})).hostName).not.toContain('orders-anna');
});

test('the registry is reached by its name, and the instance that it names by the pod’s address', async () => {
  const { port, came } = await eureka();
  const address = '198.19.20.11';
  const world = await shimWorld({ names: { eureka: [address] }, ports: { [`${address}:8761`]: port } });
  onTestFinished(() => world.stop());
  const said = start('http://eureka:8761/eureka/', world.environment(), ['--ask=orders']);
  await came;
  await expect.poll(said, { timeout: 60_000 }).toMatch(/^(answer|failed) /m);
  expect(said()).toContain(`found http://${POD}:8080\n`);
  expect(said()).toContain(`answer {"service":"orders","path":"/","host":"${POD}:8080"}`);
  const without = start('http://eureka:8761/eureka/', world.bare(), ['--ask=orders']);
  await expect.poll(without, { timeout: 60_000 }).toMatch(/^failed /m);
});
