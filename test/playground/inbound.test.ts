// The cluster reaches the laptop, on the playground and by kt as it is installed: exchange, mesh of several developers, preview, recover,
// birdseye, forward. What Kubernetes does is test/e2e's to prove; this one is fast, needs no cluster and runs on every system.
import type { Server } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type Playground, startPlayground } from '../../src/playground/start.ts';
import { attach } from '../../src/session/attach.ts';
import { trafficOf } from '../../src/session/traffic/remote.ts';
import type { TrafficRecord } from '../../src/session/traffic/types.ts';
import { closeApp, localApp } from '../e2e/support/inbound.ts';
import { curl } from '../e2e/support/kt.ts';
import { type Json, PlaygroundClient } from '../support/playground-client.ts';
import { PlaygroundKt } from '../support/playground-kt.ts';
import { ask, chain, podOf } from '../support/playground-shop.ts';

// Each one starts several kt, each a process: seconds on a machine that has other work.
vi.setConfig({ testTimeout: 60_000 });

const ORDERS = '/api/v1/namespaces/shop/services/orders';
const TO_PODS = ['gateway', 'orders', 'stock', 'vault'];
let playground: Playground;
let client: PlaygroundClient;
let kt: PlaygroundKt;
let app: Server & { port: number };
let before: Json;

beforeAll(async () => {
  playground = await startPlayground();
  client = new PlaygroundClient(playground);
  kt = new PlaygroundKt(playground);
  before = await service();
});
afterAll(async () => {
  await kt.close();
  client.close();
  await playground.close();
});
beforeEach(async () => {
  app = await localApp('laptop');
});
afterEach(async () => {
  await kt.stopAll();
  await closeApp(app);
});

/** Everything but what the API server counts. */
async function service(): Promise<Json> {
  const { resourceVersion: _, ...metadata } = (await client.get(ORDERS)).body.metadata;
  return { ...(await client.get(ORDERS)).body, metadata };
}

/** What is left of kt for a Service. */
async function leftovers(): Promise<string[]> {
  const names: string[] = [];
  for (const kind of ['/api/v1/namespaces/shop/services', '/apis/apps/v1/namespaces/shop/deployments']) {
    const { items } = (await client.get(`${kind}?labelSelector=kt%2Fservice`)).body;
    names.push(...items.map((one: Json) => one.metadata.name as string));
  }
  return names;
}

async function expectUntouched(): Promise<void> {
  expect(await service()).toEqual(before);
  expect(await leftovers()).toEqual([]);
  expect(await chain(client)).toEqual(TO_PODS);
}

test('exchange: every request comes to the laptop, birdseye says so, and afterwards all is as it was', async () => {
  const expose = ['orders', '--expose', `${app.port}:80`];
  const plan = await kt.run(['exchange', ...expose, '--plan']);
  expect(plan.stdout).toContain('create service/orders-kt-origin');
  const held = await kt.hold(['exchange', ...expose]);
  expect(await chain(client)).toEqual(['gateway', 'laptop']);
  const seen = await kt.run(['birdseye']);
  expect(seen.stdout).toMatch(/orders .*exchanged by dev@/);
  expect((await held.stop()).code).toBe(0);
  await expectUntouched();
});

test('mesh: two developers with two marks; the same mark is refused; one leaves, the last one restores', async () => {
  const other = await localApp('other');
  const mesh = ['mesh', 'orders', '--expose'];
  const ana = await kt.hold([...mesh, `${app.port}:80`, '--versionMark', 'x-lane:ana'], 'ana');
  const leo = await kt.hold([...mesh, `${other.port}:80`, '--versionMark', 'x-lane:leo'], 'leo');
  expect(await chain(client, { 'x-lane': 'ana' })).toEqual(['gateway', 'laptop']);
  expect(await chain(client, { baggage: 'a=b,x-lane=leo' })).toEqual(['gateway', 'other']);
  expect(await chain(client, { tracestate: 'x-lane=ana' })).toEqual(['gateway', 'laptop']);
  expect(await chain(client)).toEqual(TO_PODS);
  const refused = await kt.run([...mesh, `${app.port}:80`, '--versionMark', 'x-lane:leo']);
  expect(refused.code).toBe(3);
  expect(refused.stderr).toMatch(/leo on .* holds requests with x-lane: leo/);
  const seen = await kt.run(['birdseye']);
  expect(seen.stdout).toMatch(/meshed by ana@.*x-lane: ana.*leo@.*x-lane: leo/);
  await ana.stop();
  expect(await chain(client, { 'x-lane': 'ana' })).toEqual(TO_PODS);
  expect(await chain(client, { 'x-lane': 'leo' })).toEqual(['gateway', 'other']);
  await leo.stop();
  await closeApp(other);
  await expectUntouched();
});

test('a view of the session sees each request, its detail, and can send it again', async () => {
  const held = await kt.hold(['exchange', 'orders', '--expose', `${app.port}:80`]);
  const view = await attach(kt.sockets()[0] ?? '');
  const traffic = trafficOf(view);
  const done = new Promise<TrafficRecord>((resolve) => {
    traffic.subscribe(({ records }) => {
      const found = records.find(({ state }) => state === 'done');
      if (found) resolve(found);
    });
  });
  await chain(client, { 'x-lane': 'a', 'x-api-key': 'hidden' });
  const record = await done;
  expect(record).toMatchObject({
    direction: 'in',
    service: 'orders',
    method: 'GET',
    path: '/',
    status: 200,
    local: app.port,
  });
  const detail = await traffic.detail(record.id);
  expect(detail?.request?.headers).toContainEqual(['x-lane', 'a']);
  expect(JSON.stringify(detail)).not.toContain('hidden');
  const { before, after } = await traffic.replay(record.id);
  expect([before.status, after.status]).toEqual([200, 200]);
  expect(after.response.body.text).toContain('"name":"laptop"');
  await traffic.clear();
  expect(await traffic.detail(record.id)).toBeUndefined();
  view.close();
  await held.stop();
  await expectUntouched();
});

test('the local app is gone: the original pods answer; a redeploy writes the Service: taken again', async () => {
  const held = await kt.hold(['exchange', 'orders', '--expose', `${app.port}:80`]);
  await closeApp(app);
  expect(await chain(client)).toEqual(TO_PODS);
  app = await localApp('laptop', app.port);
  await expect.poll(() => chain(client), { timeout: 10_000 }).toEqual(['gateway', 'laptop']);
  await client.patch(ORDERS, { spec: { selector: { app: 'orders', 'kt/role': null, 'kt/service': null } } });
  await held.event('warning', ({ message }) => message.includes('taken again'));
  await expect.poll(() => chain(client), { timeout: 10_000 }).toEqual(['gateway', 'laptop']);
  await held.stop();
  await expectUntouched();
});

test('the agent pod is deleted: the laptop is back by itself', async () => {
  const held = await kt.hold(['exchange', 'orders', '--expose', `${app.port}:80`]);
  const agents = '/api/v1/namespaces/shop/pods?labelSelector=kt%2Fservice%3Dorders';
  const name = (await client.get(agents)).body.items[0].metadata.name as string;
  const from = held.events.length;
  await client.delete(`/api/v1/namespaces/shop/pods/${name}`);
  await held.event('inbound', ({ state }) => state === 'up', from);
  await expect.poll(() => chain(client), { timeout: 10_000 }).toEqual(['gateway', 'laptop']);
  await held.stop();
  await expectUntouched();
});

test('kill -9: the Service goes back to its pods by itself, and recover finds nothing left to do', async () => {
  const held = await kt.hold(['exchange', 'orders', '--expose', `${app.port}:80`]);
  await held.stop('SIGKILL');
  expect(await chain(client)).toEqual(TO_PODS);
  await expect.poll(leftovers, { timeout: 15_000, interval: 200 }).toEqual([]);
  const recovered = await kt.run(['recover', 'orders']);
  expect(recovered.code, recovered.stderr).toBe(0);
  await expectUntouched();
});

test('preview: a new Service that is the laptop', async () => {
  const held = await kt.hold(['preview', 'mine', '--expose', `${app.port}:80`]);
  const gateway = await podOf(client, 'gateway');
  const script = await kt.run([
    'run',
    '--',
    process.execPath,
    '-e',
    "fetch('http://mine/').then(r=>r.text()).then(console.log)",
  ]);
  expect(JSON.parse(script.stdout)).toMatchObject({ name: 'laptop' });
  expect((await ask(client, gateway, '/healthz')).text).toBe('ok');
  await held.stop();
  expect((await client.get('/api/v1/namespaces/shop/services/mine')).code).toBe(404);
  await expectUntouched();
});

test('forward, and what a reader may not', async () => {
  const forward = kt.start(['forward', 'orders', '0:80', '--output', 'json']);
  const { local } = await forward.event('forwarding');
  expect(JSON.parse((await curl(`http://${local}/`)).stdout)).toMatchObject({ name: 'orders' });
  await forward.stop();
  const refused = await kt.run(['exchange', 'orders', '--expose', `${app.port}:80`], 'reader');
  expect(refused.code).toBe(4);
  expect(refused.stderr).toContain('you may not create, patch, delete services');
  expect(kt.sockets()).toEqual([]);
  await expectUntouched();
});
