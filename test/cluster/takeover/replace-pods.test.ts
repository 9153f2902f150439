// Pods replaced one at a time, on the playground, whose ReplicaSets let go of pods and take them up as the real ones do. What callers notice of
// it is test/e2e/drain.test.ts.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadClusterConfig } from '../../../src/cluster/config.ts';
import { ClusterApi } from '../../../src/cluster/rest.ts';
import { isReady, list, type PodObject } from '../../../src/cluster/takeover/objects.ts';
import { checkReplaceable, replacePods, returnPods } from '../../../src/cluster/takeover/replace-pods.ts';
import { type Playground, startPlayground } from '../../../src/playground/start.ts';
import { PlaygroundClient } from '../../support/playground-client.ts';
import { failure } from '../support/fake-api.ts';

const SHOP = 'shop';
const SELECTOR = { app: 'orders' };
const DEPLOYMENT = '/apis/apps/v1/namespaces/shop/deployments/orders';
const PODS = '/api/v1/namespaces/shop/pods';
const MERGE = { 'content-type': 'application/merge-patch+json' };

let playground: Playground;
let client: PlaygroundClient;
let api: ClusterApi;

beforeAll(async () => {
  playground = await startPlayground();
  client = new PlaygroundClient(playground);
  api = new ClusterApi(await loadClusterConfig({ kubeconfig: playground.kubeconfig, context: 'dev', namespace: SHOP }));
});
afterAll(async () => {
  api.close();
  client.close();
  await playground.close();
});
beforeEach(async () => {
  await client.request('admin', 'PATCH', DEPLOYMENT, { spec: { replicas: 2 } }, MERGE);
  await expect.poll(async () => (await ready()).length, { timeout: 15_000 }).toBe(2);
});

const pods = (): Promise<PodObject[]> => list<PodObject>(api, PODS, 'app=orders');
const ready = async (): Promise<PodObject[]> => (await pods()).filter(isReady);
const names = async (): Promise<string[]> => (await pods()).map(({ metadata }) => metadata.name).toSorted();
const options = (more: object) => ({
  service: 'orders',
  selector: SELECTOR,
  pods: [] as string[],
  limitMs: 15_000,
  signal: new AbortController().signal,
  onPod: () => undefined,
  ...more,
});

describe('replacing', { timeout: 60_000 }, () => {
  test('each has a successor before it goes; the Deployment is not changed; a pod that is gone is no matter', async () => {
    const before = await names();
    const { generation } = (await client.get(DEPLOYMENT)).body.metadata;
    const seen: number[] = [];
    const watching = setInterval(() => void ready().then((all) => seen.push(all.length)), 20);
    const order: string[] = [];
    await replacePods(api, SHOP, options({ pods: ['no-such', ...before], onPod: (pod: string) => order.push(pod) }));
    clearInterval(watching);
    expect(order).toEqual(before);
    const after = await names();
    expect(after).toHaveLength(2);
    expect(after.filter((name) => before.includes(name))).toEqual([]);
    expect(Math.min(...seen)).toBe(2);
    expect((await client.get(DEPLOYMENT)).body.metadata.generation).toBe(generation);
  });

  test('broken off before there is a successor: the pod is its ReplicaSet’s again, with every label that it had', async () => {
    const [first] = await ready();
    const end = new AbortController();
    const labels = first?.metadata.labels;
    const onPod = (): void => void setTimeout(() => end.abort(), 1);
    const replacing = replacePods(api, SHOP, options({ pods: [first?.metadata.name], signal: end.signal, onPod }));
    expect(await failure(replacing)).toBeDefined();
    await returnPods(api, SHOP, 'orders');
    const path = `${PODS}/${first?.metadata.name}`;
    await expect.poll(async () => (await client.get(path)).body.metadata.ownerReferences?.length).toBe(1);
    const { metadata } = (await client.get(path)).body;
    expect(metadata.labels).toEqual(labels);
    expect(metadata.annotations?.['kt/journal']).toBe(undefined);
    await expect.poll(async () => (await ready()).length, { timeout: 15_000 }).toBe(2);
  });

  test('no successor gets ready: said, and the pod goes on', async () => {
    const [first] = await ready();
    const name = first?.metadata.name ?? '';
    const error = await failure(replacePods(api, SHOP, options({ pods: [name], limitMs: 0 })));
    expect(error).toMatchObject({ code: 'SERVICE_REFUSED' });
    expect(error.message).toContain(`no successor of ${name} was ready within 0 s`);
    await expect.poll(names).toContain(name);
    await expect.poll(async () => (await ready()).length, { timeout: 15_000 }).toBe(2);
  });
});

describe('what can’t be replaced', () => {
  test('is said before anything is changed', async () => {
    const refused = async (service: string, selector: Record<string, string>): Promise<string> =>
      (await failure(checkReplaceable(api, SHOP, service, selector))).message;
    expect(await refused('db', { app: 'db' })).toContain('db-0 is of the StatefulSet db');
    await checkReplaceable(api, SHOP, 'orders', SELECTOR);
    const [pod] = await ready();
    const hash = pod?.metadata.labels?.['pod-template-hash'] ?? '';
    expect(await refused('orders', { ...SELECTOR, 'pod-template-hash': hash })).toContain('nothing takes');
    await client.request('admin', 'PATCH', DEPLOYMENT, { spec: { strategy: { type: 'Recreate' } } }, MERGE);
    expect(await refused('orders', SELECTOR)).toContain('has the strategy Recreate');
    await client.request('admin', 'PATCH', DEPLOYMENT, { spec: { strategy: null } }, MERGE);
  });
});
