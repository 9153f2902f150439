// The shop as a visitor finds it: gateway → orders → stock → vault, and the database, through port-forwards.
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Playground, startPlayground } from '../../src/playground/start.ts';
import { type Json, PlaygroundClient } from '../support/playground-client.ts';
import { ask, podOf } from '../support/playground-shop.ts';

let playground: Playground;
let client: PlaygroundClient;

beforeAll(async () => {
  playground = await startPlayground();
  client = new PlaygroundClient(playground);
  const ready = (kind: string, name: string, namespace: string): Promise<Json> =>
    client.until(
      `/apis/apps/v1/namespaces/${namespace}/${kind}?fieldSelector=metadata.name=${name}`,
      (one) => one.status.readyReplicas === one.spec.replicas,
    );
  await Promise.all([
    ready('deployments', 'gateway', 'shop'),
    ready('deployments', 'orders', 'shop'),
    ready('deployments', 'stock', 'shop'),
    ready('statefulsets', 'db', 'shop'),
    ready('deployments', 'vault', 'locked'),
  ]);
});
afterAll(async () => {
  client.close();
  await playground.close();
});

test('the four Services answer each other, with the headers that are passed on', async () => {
  const sent = { 'x-trace': 'one', baggage: 'a=b', tracestate: 'c=d', cookie: 'stays' };
  const answer = JSON.parse((await ask(client, await podOf(client, 'gateway'), '/', sent)).text);
  const names: string[] = [];
  for (let one = answer; one !== undefined; one = one.next) names.push(one.name);
  expect(names).toEqual(['gateway', 'orders', 'stock', 'vault']);
  const stock = answer.next.next;
  expect(stock.apples).toBe('42');
  expect(stock.version).toBe('v1');
  expect(stock.next.headers).toMatchObject({
    'x-trace': 'one',
    baggage: 'a=b',
    tracestate: 'c=d',
    host: 'vault.locked',
  });
  expect(stock.next.headers.cookie).toBeUndefined();
  expect(stock.remote).toMatch(/^198\.18\./);
});

test('the two pods of orders take turns', async () => {
  const gateway = await podOf(client, 'gateway');
  const pods = new Set<string>();
  for (let round = 0; round < 4; round += 1) pods.add(JSON.parse((await ask(client, gateway, '/')).text).next.pod);
  const { items } = (await client.get('/api/v1/namespaces/shop/pods?labelSelector=app%3Dorders')).body;
  expect([...pods].toSorted()).toEqual(items.map((one: Json) => one.metadata.name).toSorted());
});

test('/bytes, /status, /healthz', async () => {
  const pod = await podOf(client, 'stock');
  expect((await ask(client, pod, '/bytes/300000')).text).toHaveLength(300_000);
  expect((await ask(client, pod, '/status/418')).status).toBe(418);
  expect((await ask(client, pod, '/healthz')).text).toBe('ok');
});

test('the database: db-0 by its StatefulSet name, lines over TCP', async () => {
  const connection = await client.forward('shop', 'db-0', 5432);
  let text = '';
  connection.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  connection.write('GET apples\nSET greeting hello from here\nGET greeting\nGET none\nNOPE\nKEYS\nQUIT\n');
  await once(connection, 'end');
  expect(text).toBe("42\nOK\nhello from here\n(nil)\nERR unknown command 'NOPE'\napples pears greeting\n");
});

test('a Service whose selector changes leads elsewhere, and back', async () => {
  const slices =
    '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dstock';
  await client.patch('/api/v1/namespaces/shop/services/stock', { spec: { selector: { app: 'orders' } } });
  await client.until(slices, (slice, type) => type !== 'DELETED' && slice.endpoints?.length === 2);
  await client.patch('/api/v1/namespaces/shop/services/stock', { spec: { selector: { app: 'stock' } } });
  await client.until(slices, (slice, type) => type !== 'DELETED' && slice.endpoints?.length === 1);
  const answer = JSON.parse((await ask(client, await podOf(client, 'gateway'), '/')).text);
  expect(answer.next.next.name).toBe('stock');
});

test('a rollout replaces the pods when the new ones are ready', async () => {
  const path = '/apis/apps/v1/namespaces/shop/deployments/orders';
  const before = (await client.get('/api/v1/namespaces/shop/pods?labelSelector=app%3Dorders')).body.items.map(
    (one: Json) => one.metadata.name,
  );
  const patch = {
    spec: { template: { spec: { containers: [{ name: 'orders', env: [{ name: 'VERSION', value: 'v2' }] }] } } },
  };
  await client.patch(path, patch, 'application/strategic-merge-patch+json');
  // Both of them: which one goes last is not said, and one that is going answers nobody.
  await Promise.all(
    before.map((name: string) =>
      client.until(
        '/api/v1/namespaces/shop/pods?labelSelector=app%3Dorders',
        (pod, type) => type === 'DELETED' && pod.metadata.name === name,
      ),
    ),
  );
  const answer = JSON.parse((await ask(client, await podOf(client, 'orders'), '/')).text);
  expect(answer.version).toBe('v2');
  await client.patch(`${path}/scale`, { spec: { replicas: 1 } });
  await client.until(
    '/apis/apps/v1/namespaces/shop/deployments?fieldSelector=metadata.name=orders',
    (one) => one.status.replicas === 1,
  );
});

test('a StatefulSet pod that is deleted comes back with its name', async () => {
  const first = (await client.get('/api/v1/namespaces/shop/pods/db-0')).body.metadata.uid;
  await client.delete('/api/v1/namespaces/shop/pods/db-0');
  const again = await client.until(
    '/api/v1/namespaces/shop/pods?fieldSelector=metadata.name=db-0',
    (pod) => pod.metadata.uid !== first && pod.status.phase === 'Running',
  );
  expect(again.spec).toMatchObject({ hostname: 'db-0', subdomain: 'db' });
});

test('another namespace, and a folder of the caller', async () => {
  const other = await startPlayground({ namespace: 'team-a', shop: false });
  expect(other.namespace).toBe('team-a');
  const its = new PlaygroundClient(other);
  expect((await its.get('/api/v1/namespaces/team-a/pods', 'dev')).code).toBe(200);
  expect((await its.get('/api/v1/namespaces/shop/pods', 'dev')).code).toBe(403);
  its.close();
  await other.close();
  await other.close();
});
