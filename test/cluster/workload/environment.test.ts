// The variables of a container: order, prefixes, references, and what is missing, optional or may not be read.
import { expect, test } from 'vitest';
import { type ContainerEnvironment, containerEnvironment } from '../../../src/cluster/workload/environment.ts';
import { findWorkload, parseWorkload } from '../../../src/cluster/workload/find.ts';
import { ConfigSources } from '../../../src/cluster/workload/sources.ts';
import { failure } from '../support/fake-api.ts';
import { configMap, deployment, objectsApi, secret } from '../support/objects-api.ts';

const pod = { namespace: 'shop', name: 'orders-kt-anna', uid: 'u-1' };
const ORDERS = parseWorkload('orders', 'env-from');

async function environmentOf(
  container: object,
  options: {
    objects?: [string, object][];
    forbidden?: string[];
    links?: [string, string][];
    wanted?: (name: string) => boolean;
    laptop?: NodeJS.ProcessEnv;
  } = {},
): Promise<ContainerEnvironment & { values: Record<string, string>; asked: string[] }> {
  const world = await objectsApi([deployment('orders', container), ...(options.objects ?? [])], options.forbidden);
  const environment = await containerEnvironment({
    workload: await findWorkload(world.api, 'shop', ORDERS),
    sources: new ConfigSources(world.api, 'shop'),
    pod,
    links: new Map(options.links),
    wanted: options.wanted ?? (() => true),
    laptop: options.laptop ?? {},
  });
  const values = Object.fromEntries(environment.variables.map(({ name, value }) => [name, value]));
  return { ...environment, values, asked: world.asked };
}

test('service links, then envFrom in its order, then env; each may say what came before', async () => {
  const { values, variables } = await environmentOf(
    {
      envFrom: [
        { configMapRef: { name: 'first' } },
        { configMapRef: { name: 'second' }, prefix: 'S_' },
        { secretRef: { name: 'keys' } },
      ],
      env: [
        { name: 'A', value: 'own' },
        { name: 'URL', value: 'http://$(DB_SERVICE_HOST)/$(A)/$(S_B)/$(LATER)/$$(A)' },
        { name: 'LATER', value: 'x' },
        { name: 'FULL', value: '$(KEY)!' },
        { name: 'EMPTY' },
      ],
    },
    {
      objects: [
        configMap('first', { A: 'first', B: 'first', C: 'first' }),
        configMap('second', { B: 'second', C: 'second' }),
        secret('keys', { KEY: 's3cret', C: 'from the Secret' }),
      ],
      links: [
        ['DB_SERVICE_HOST', '10.0.0.1'],
        ['A', 'link'],
      ],
    },
  );
  expect(values).toEqual({
    DB_SERVICE_HOST: '10.0.0.1',
    A: 'own',
    B: 'first',
    C: 'from the Secret',
    S_B: 'second',
    S_C: 'second',
    KEY: 's3cret',
    URL: 'http://10.0.0.1/own/second/$(LATER)/$(A)',
    LATER: 'x',
    FULL: 's3cret!',
    EMPTY: '',
  });
  // What a secret is part of is one too.
  expect(variables.filter(({ secret: is }) => is).map(({ name }) => name)).toEqual(['C', 'KEY', 'FULL']);
});

test('single keys, the downward API and limits', async () => {
  const { values } = await environmentOf(
    {
      resources: { limits: { memory: '256Mi' } },
      env: [
        { name: 'URL', valueFrom: { configMapKeyRef: { name: 'db', key: 'url' } } },
        { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } },
        { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
      ],
    },
    { objects: [configMap('db', { url: '$(POD) stays' }), secret('db', { password: 'p' })] },
  );
  expect(values).toEqual({
    URL: '$(POD) stays',
    PASSWORD: 'p',
    POD: 'orders-kt-anna',
    APP: 'orders',
    MEMORY: '256',
  });
});

test('what is missing is listed; what is optional, or not wanted, is not missed', async () => {
  const environment = await environmentOf(
    {
      envFrom: [
        { configMapRef: { name: 'gone' } },
        { configMapRef: { name: 'maybe', optional: true } },
        { secretRef: { name: 'gone-too' } },
      ],
      env: [
        { name: 'URL', valueFrom: { configMapKeyRef: { name: 'db', key: 'nope' } } },
        { name: 'USER', valueFrom: { secretKeyRef: { name: 'lost', key: 'user' } } },
        { name: 'MAYBE', valueFrom: { configMapKeyRef: { name: 'db', key: 'nope', optional: true } } },
        { name: 'EXCLUDED', valueFrom: { configMapKeyRef: { name: 'never-asked', key: 'x' } } },
      ],
    },
    { objects: [configMap('db', { url: 'x' })], wanted: (name) => name !== 'EXCLUDED' },
  );
  expect(environment.missing).toEqual([
    "the ConfigMap 'gone' (envFrom)",
    "the Secret 'gone-too' (envFrom)",
    "key 'nope' of the ConfigMap 'db' (URL)",
    "the Secret 'lost' (USER)",
  ]);
  expect(environment.refused).toEqual(['EXCLUDED']);
  expect(environment.asked.join()).not.toContain('never-asked');
});

test('no right to Secrets: the variables are named with the right; the rest is there', async () => {
  const environment = await environmentOf(
    {
      envFrom: [{ secretRef: { name: 'all' }, prefix: 'X_' }],
      env: [
        { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } },
        { name: 'URL', value: 'postgres://u:$(PASSWORD)@db' },
        { name: 'PLAIN', value: '1' },
      ],
    },
    { forbidden: ['secrets'] },
  );
  expect(environment.values).toEqual({ PLAIN: '1' });
  expect(environment.unknown.map(({ name, reason }) => `${name}: ${reason}`)).toEqual([
    "X_*: all keys of the Secret 'all'",
    "PASSWORD: key 'password' of the Secret 'db'",
    'URL: it is made of PASSWORD',
  ]);
  expect(environment.unknown[0]?.error).toMatchObject({
    code: 'RIGHTS_MISSING',
    hint: expect.stringContaining('resources: [secrets], verbs: [get]'),
  });
});

test("a variable that may not be read is the laptop's own where the user has set it", async () => {
  const { values, variables } = await environmentOf(
    {
      env: [
        { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } },
        { name: 'URL', value: 'postgres://u:$(PASSWORD)@db/$(HOME)' },
      ],
    },
    { forbidden: ['secrets'], laptop: { PASSWORD: 'mine', HOME: '/home/anna' } },
  );
  expect(values).toEqual({ URL: 'postgres://u:mine@db/$(HOME)' });
  expect(variables[0]?.secret).toBe(true);
});

test('each object is asked for once, and not at all where nothing of it is wanted', async () => {
  const key = (name: string): object => ({ name, valueFrom: { configMapKeyRef: { name: 'one', key: name } } });
  const { asked } = await environmentOf(
    { envFrom: [{ configMapRef: { name: 'one' } }], env: [key('A'), key('B')] },
    { objects: [configMap('one', { A: '1', B: '2' })] },
  );
  expect(asked.filter((path) => path.includes('configmaps'))).toHaveLength(1);
});

test('a workload, or a container of it, that is not there', async () => {
  const { api } = await objectsApi([deployment('orders', {})]);
  expect(await failure(findWorkload(api, 'shop', parseWorkload('sts/orders', 'env-from')))).toMatchObject({
    code: 'WORKLOAD_NOT_FOUND',
    message: "there is no sts/orders in the namespace 'shop'",
  });
  expect(await failure(findWorkload(api, 'shop', ORDERS, 'sidecar'))).toMatchObject({
    code: 'WORKLOAD_NOT_FOUND',
    message: "deploy/orders has no container 'sidecar'",
    hint: 'it has: main',
  });
});
