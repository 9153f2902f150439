// A workload's surroundings as a program finds them: files of its own user only, values that lead to them, kept true while it runs and
// gone at the end; clear words for what is missing; nothing made where something is.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseWorkload } from '../../../src/cluster/workload/find.ts';
import { type OpenWorkload, openWorkload, type WorkloadRequest } from '../../../src/modes/workload/open.ts';
import type { SessionEvent } from '../../../src/session/events.ts';
import { failure } from '../../cluster/support/fake-api.ts';
import { configMap, deployment, type ObjectsApi, objectsApi, secret } from '../../cluster/support/objects-api.ts';

const ORDERS = parseWorkload('orders', 'env-from');
const SECRETS = [{ name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } }];
const before = process.env['KT_RUNTIME_DIR'];
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kt-workload-'));
  process.env['KT_RUNTIME_DIR'] = folder;
});
afterEach(() => {
  if (before === undefined) delete process.env['KT_RUNTIME_DIR'];
  else process.env['KT_RUNTIME_DIR'] = before;
  rmSync(folder, { recursive: true, force: true });
});

interface Opened extends OpenWorkload {
  readonly events: SessionEvent[];
  /** Resolves with the next event that fits. */
  next(fits: (event: SessionEvent) => boolean): Promise<SessionEvent>;
}

async function open({ api }: ObjectsApi, request: Partial<WorkloadRequest> = {}, lasting = true): Promise<Opened> {
  const events: SessionEvent[] = [];
  const waiting = new Set<() => void>();
  const emit = (event: SessionEvent): void => {
    events.push(event);
    for (const look of waiting) look();
  };
  const opened = await openWorkload(
    {
      envFrom: ORDERS,
      filesFrom: ORDERS,
      container: undefined,
      include: [],
      exclude: [],
      serviceLinks: true,
      ...request,
    },
    {
      api,
      namespace: 'shop',
      base: { MODE: 'laptop', SAME: 'same' },
      emit,
      signal: new AbortController().signal,
      lasting,
      refreshMs: 10,
    },
  );
  const next = (fits: (event: SessionEvent) => boolean): Promise<SessionEvent> =>
    new Promise((resolve) => {
      const from = events.length;
      const look = (): void => {
        const found = events.slice(from).find(fits);
        if (found) {
          waiting.delete(look);
          resolve(found);
        }
      };
      waiting.add(look);
    });
  return { ...opened, events, next };
}

const MOUNTED = deployment(
  'orders',
  {
    env: [
      { name: 'CONFIG', value: '/etc/app/app.yaml' },
      { name: 'MODE', value: 'cluster' },
      { name: 'SAME', value: 'same' },
      { name: 'PATH', value: '/image/bin' },
      { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } },
    ],
    volumeMounts: [
      { name: 'app', mountPath: '/etc/app' },
      { name: 'app', mountPath: '/opt/one', subPath: 'one' },
      { name: 'cache', mountPath: '/var/cache' },
    ],
  },
  {
    volumes: [
      { name: 'app', configMap: { name: 'app' } },
      { name: 'cache', emptyDir: {} },
    ],
  },
);

describe('with everything there', () => {
  const world = (): Promise<ObjectsApi> =>
    objectsApi([MOUNTED, configMap('app', { 'app.yaml': 'a: 1', one: '1' }), secret('db', { password: 'geheim' })]);

  test('values, files, a way to the API; only for this user; gone at the end', async () => {
    const opened = await open(await world());
    const { variables } = opened;
    const root = variables['KT_FILES'] ?? '';
    expect(variables).toMatchObject({ MODE: 'cluster', PASSWORD: 'geheim', CONFIG: join(root, 'etc/app/app.yaml') });
    expect(variables).not.toHaveProperty('PATH');
    expect(readFileSync(variables['CONFIG'] ?? '', 'utf8')).toBe('a: 1');
    expect(readFileSync(join(root, 'opt/one'), 'utf8')).toBe('1');
    expect(readdirSync(join(root, 'var/cache'))).toEqual([]);
    const account = join(root, 'var/run/secrets/kubernetes.io/serviceaccount');
    expect(readdirSync(account).toSorted()).toEqual(['ca.crt', 'namespace', 'token']);
    expect(readFileSync(variables['KUBENAMESPACE'] ?? '', 'utf8')).toBe('shop');
    const config = JSON.parse(readFileSync(variables['KUBECONFIG'] ?? '', 'utf8')) as { clusters: unknown };
    expect(JSON.stringify(config.clusters)).toContain(`https://127.0.0.1:${variables['KUBERNETES_SERVICE_PORT']}`);
    if (process.platform !== 'win32') {
      expect(statSync(root).mode & 0o777).toBe(0o700);
      expect(statSync(variables['CONFIG'] ?? '').mode & 0o777).toBe(0o600);
    }
    await opened.close();
    expect(existsSync(root)).toBe(false);
  });

  test('the difference is told, with masks', async () => {
    const opened = await open(await world());
    await opened.close();
    const told = opened.events.find((event) => event.type === 'environment');
    expect(told).toMatchObject({ from: 'deploy/orders', container: 'main', kept: ['PATH'], serviceLinks: 0 });
    expect(JSON.stringify(opened.events)).not.toContain('geheim');
    expect(told?.type === 'environment' && told.variables.map((one) => `${one.name} ${one.state}`)).toEqual([
      'CONFIG added',
      'MODE changed',
      'SAME same',
      'PASSWORD added',
    ]);
    expect(told).toMatchObject({
      variables: expect.arrayContaining([{ name: 'PASSWORD', state: 'added', shown: '••••', from: 'Secret db' }]),
    });
  });

  test('a change in the cluster reaches the files; one that is deleted there stays', async () => {
    const api = await world();
    const opened = await open(api);
    const changed = opened.next((event) => event.type === 'debug' && event.message.includes('/etc/app/app.yaml'));
    api.objects.set(...configMap('app', { 'app.yaml': 'a: 2', one: '1', two: '2' }));
    await changed;
    const { CONFIG = '', KT_FILES = '' } = opened.variables;
    expect(readFileSync(CONFIG, 'utf8')).toBe('a: 2');
    expect(readFileSync(join(KT_FILES, 'etc/app/two'), 'utf8')).toBe('2');
    const fewer = opened.next((event) => event.type === 'debug' && event.message.includes('/etc/app/two'));
    api.objects.set(...configMap('app', { 'app.yaml': 'a: 2', one: '1' }));
    await fewer;
    expect(existsSync(join(KT_FILES, 'etc/app/two'))).toBe(false);
    const asked = api.asked.length;
    api.objects.delete(configMap('app', {})[0]);
    while (api.asked.length < asked + 2) await new Promise((resolve) => setImmediate(resolve));
    expect(readFileSync(CONFIG, 'utf8')).toBe('a: 2');
    await opened.close();
  });

  test('what is excluded, the way to the API included', async () => {
    const opened = await open(await world(), { exclude: ['KUBE*', 'MODE'], include: ['PATH'] });
    await opened.close();
    expect(opened.variables).toMatchObject({ PATH: '/image/bin' });
    expect(Object.keys(opened.variables).filter((name) => /^KUBE|MODE/.test(name))).toEqual([]);
  });

  test('variables alone, for kt env: nothing is made, paths stay as they are', async () => {
    const opened = await open(await world(), { filesFrom: undefined }, false);
    expect(opened.variables).toEqual({
      MODE: 'cluster',
      SAME: 'same',
      PASSWORD: 'geheim',
      CONFIG: '/etc/app/app.yaml',
    });
    expect(readdirSync(folder)).toEqual([]);
    await opened.close();
  });

  test('what a killed kt left is removed', async () => {
    const dead = join(folder, `files-${2 ** 22 + 1}-AbCdEf`);
    mkdirSync(dead);
    const opened = await open(await world());
    expect(existsSync(dead)).toBe(false);
    await opened.close();
  });
});

test('a missing ConfigMap and a missing key end it before anything is made', async () => {
  const env = [...SECRETS, { name: 'URL', valueFrom: { configMapKeyRef: { name: 'gone', key: 'url' } } }];
  const world = await objectsApi([deployment('orders', { env }), secret('db', { user: 'x' })]);
  expect(await failure(open(world))).toMatchObject({
    code: 'WORKLOAD_INCOMPLETE',
    message:
      "deploy/orders names what is not there: key 'password' of the Secret 'db' (PASSWORD), the ConfigMap 'gone' (URL)",
    hint: expect.stringContaining('--env-exclude NAME'),
  });
  expect(readdirSync(folder)).toEqual([]);
});

test('no right to Secrets: a warning with the variable, the right and the way out; the program starts', async () => {
  const opened = await open(await objectsApi([deployment('orders', { env: SECRETS })], ['secrets']));
  await opened.close();
  expect(opened.variables).not.toHaveProperty('PASSWORD');
  expect(opened.events[0]).toEqual({
    type: 'warning',
    message:
      "PASSWORD of deploy/orders is not set: key 'password' of the Secret 'db': the user 'tester' may not get secrets in the namespace 'shop'",
    hint: 'ask who runs the cluster for a Role in \'shop\' with: {apiGroups: [""], resources: [secrets], verbs: [get]}; or set it yourself: kt run --env PASSWORD=…',
  });
});
