// Must (R1, R2): what kt-connect leaves when it dies is repaired: its exchange and mesh (kt-selector), mode scale (kt-config), manual mesh, previews,
// locks, pods and ConfigMaps without a heartbeat. What has a heartbeat is somebody's, and stays.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { removeShop, snapshot, TestShop } from './support/inbound.ts';
import { kubectl, Laptop } from './support/kt.ts';

const NAME = 'kt-t-old';
const LABEL = 'kt-t-old=yes';
const laptop = new Laptop();
let shop: TestShop;

const remove = (): Promise<string> =>
  kubectl(['delete', 'service,pod,configmap', '-l', LABEL, '--ignore-not-found', '--now']);

beforeAll(async () => {
  await remove();
  shop = await TestShop.deploy(NAME);
}, 120_000);
afterAll(async () => {
  await laptop.close();
  await remove();
  await removeShop(NAME);
});
afterEach(async () => {
  expect(await kubectl(['get', 'service,pod,configmap', '-l', LABEL, '-o', 'name'])).toBe('');
  await shop.expectUntouched();
});

const MINUTE = 60;
const heartbeat = (minutesAgo: number): Record<string, string> => ({
  'kt-last-heart-beat': String(Math.round(Date.now() / 1000) - minutesAgo * MINUTE),
});
const OLD = 20;

const meta = (name: string, minutesAgo: number, labels: object = {}, annotations: object = {}): object => ({
  name,
  labels: { 'control-by': 'kt', 'kt-t-old': 'yes', ...labels },
  annotations: { 'kt-user': 'cleo', ...heartbeat(minutesAgo), ...annotations },
});
/** A shadow pod with its ConfigMap, as kt-connect labels them. */
const shadow = (
  name: string,
  role: string,
  minutesAgo: number,
  labels: object = {},
  annotations: object = {},
): object[] => [
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: meta(name, minutesAgo, { 'kt-role': role, ...labels }, annotations),
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'standalone', image: 'busybox:stable', command: ['sleep', '600'] }],
    },
  },
  { apiVersion: 'v1', kind: 'ConfigMap', metadata: meta(name, minutesAgo), data: { privateKey: 'x' } },
];
const service = (name: string, minutesAgo: number, selector: object): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: meta(name, minutesAgo),
  spec: { selector, ports: [{ name: 'kt-80', port: 80 }] },
});

const create = (...items: object[]): Promise<string> =>
  kubectl(['create', '-f', '-'], 'dev', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
const take = async (selector: Record<string, string>, annotations: object): Promise<string> => {
  const original = { app: NAME, tier: 'test' };
  const cleared = Object.fromEntries(Object.keys(original).map((key) => [key, null]));
  const patch = {
    metadata: { annotations: { 'kt-selector': JSON.stringify(original), ...annotations } },
    spec: { selector: { ...cleared, ...selector } },
  };
  return kubectl(['patch', 'service', NAME, '--type=merge', '-p', JSON.stringify(patch)]);
};

/** As dev, who may not use the subresource `scale`. */
const scaleTo = (replicas: number): Promise<string> =>
  kubectl(['patch', 'deployment', NAME, '-p', JSON.stringify({ spec: { replicas } })]);

async function run(...args: string[]): Promise<string> {
  const kt = laptop.start(args);
  const { code } = await kt.exited;
  expect(code, kt.stderr).toBe(0);
  return kt.stdout;
}
const recover = (...args: string[]): Promise<string> => run('recover', NAME, ...args);

describe("kt-connect's leftovers", { timeout: 60_000 }, () => {
  test('R1: an exchange: left alone while its heartbeat is young, then selector, annotations, pod and ConfigMap are as before', async () => {
    const labels = { 'kt-target': 'abc' };
    await create(...shadow(`${NAME}-kt-exchange-abcde`, 'shadow-exchange', 1, labels));
    await take({ 'kt-role': 'shadow-exchange', ...labels }, { 'kt-lock': String(Math.round(Date.now() / 1000) - 600) });
    const held = await snapshot(NAME);
    expect(await recover()).toBe(
      `${NAME} is held by cleo (kt-connect): left as it is (--force gives it back all the same)\n`,
    );
    expect(await snapshot(NAME)).toEqual(held);
    await kubectl([
      'annotate',
      'pod',
      `${NAME}-kt-exchange-abcde`,
      '--overwrite',
      `kt-last-heart-beat=${Math.round(Date.now() / 1000) - OLD * MINUTE}`,
    ]);
    expect(await recover()).toBe(`${NAME} is given back to its original pods (kt-connect had it)\n`);
  });

  test('R1: an exchange whose pod somebody cleaned away already', async () => {
    await take({ 'kt-role': 'shadow-exchange', 'kt-target': 'gone' }, {});
    expect(await run('recover')).toContain(`${NAME} is given back to its original pods (kt-connect had it)`);
  });

  test('R1: a mesh: router, stuntman, and each version with its Service', async () => {
    const router = { 'kt-target': 'router1' };
    await create(
      ...shadow(`${NAME}-kt-router`, 'router', OLD, router),
      ...shadow(`${NAME}-kt-mesh-v1`, 'shadow-mesh', OLD, { 'kt-target': 'mesh1' }),
      service(`${NAME}-kt-stuntman`, OLD, { app: NAME }),
      service(`${NAME}-kt-mesh-v1`, OLD, { 'kt-target': 'mesh1' }),
    );
    await take({ 'kt-role': 'router', ...router }, {});
    expect(await recover()).toBe(`${NAME} is given back to its original pods (kt-connect had it)\n`);
  });

  test('R1: mode scale: its Deployment is back at the old number', async () => {
    await scaleTo(0);
    await create(
      ...shadow(
        `${NAME}-kt-exchange-fghij`,
        'shadow-exchange',
        OLD,
        { app: NAME, tier: 'test' },
        {
          'kt-config': `app=${NAME},replicas=2`,
        },
      ),
    );
    expect(await recover()).toContain(`kt-connect had it: deployment/${NAME} back to 2`);
    expect(await kubectl(['get', 'deployment', NAME, '-o', 'jsonpath={.spec.replicas}'])).toBe('2');
  });

  test('R1: a manual mesh, and an old lock', async () => {
    await create(...shadow(`${NAME}-kt-mesh-v2`, 'shadow-mesh', OLD, { app: NAME, tier: 'test', version: 'v2' }));
    expect(await recover()).toBe(`${NAME}: kt-connect's endpoint is removed\n`);
    const locked = (seconds: number): Promise<string> =>
      kubectl(['annotate', 'service', NAME, '--overwrite', `kt-lock=${Math.round(Date.now() / 1000) - seconds}`]);
    await locked(10);
    expect(await recover()).toContain('is held by somebody, who is changing it (kt-connect)');
    await locked(600);
    expect(await recover()).toBe(`${NAME}: kt-connect's lock is removed\n`);
  });

  test('R1, R2: clean finds what has no heartbeat, lists it with --dryRun, leaves what has one, and repairs the Service', async () => {
    await create(
      ...shadow('kt-t-old-connect', 'shadow-connect', OLD),
      ...shadow('kt-t-old-alive', 'shadow-connect', 1),
      ...shadow('kt-t-old-preview-kt-abcde', 'shadow-preview', OLD, { 'kt-target': 'preview1' }),
      service('kt-t-old-preview', OLD, { 'kt-target': 'preview1' }),
    );
    await take({ 'kt-role': 'shadow-exchange', 'kt-target': 'gone' }, {});
    const before = await kubectl(['get', 'service,pod,configmap', '-l', LABEL, '-o', 'name']);
    const listed = await run('clean', '--dryRun');
    for (const line of [
      'would clean: pod/kt-t-old-connect of kt-connect has no heartbeat any more',
      'would clean: configmap/kt-t-old-connect of kt-connect has no heartbeat any more',
      "would clean: kt-t-old-preview: kt-connect's preview is removed",
      `would clean: ${NAME} is given back to its original pods (kt-connect had it)`,
    ])
      expect(listed).toContain(line);
    expect(listed).not.toContain('kt-t-old-alive');
    expect(await kubectl(['get', 'service,pod,configmap', '-l', LABEL, '-o', 'name'])).toBe(before);
    expect(await run('clean', '--thresholdInMinus', '60')).not.toContain('pod/kt-t-old-connect');
    expect(await run('clean')).toContain('cleaned: pod/kt-t-old-connect of kt-connect has no heartbeat any more');
    expect(await kubectl(['get', 'service,pod,configmap', '-l', LABEL, '-o', 'name'])).toBe(
      'pod/kt-t-old-alive\nconfigmap/kt-t-old-alive\n',
    );
    await remove();
  });

  test('R2: --localOnly never asks the cluster: it works without a kubeconfig', async () => {
    const kt = laptop.start(['clean', '--localOnly'], { env: { KUBECONFIG: '/nowhere' } });
    expect((await kt.exited).code, kt.stderr).toBe(0);
    expect(kt.stdout).toBe('nothing of kt is left on this laptop\n');
    const other = laptop.start(['clean'], { env: { KUBECONFIG: '/nowhere' } });
    expect((await other.exited).code).toBe(3);
  });
});
