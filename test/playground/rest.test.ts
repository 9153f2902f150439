// The REST subset over real TLS, as kt and kubectl use it. Expected texts are those of a real API server (Kubernetes 1.34.4).
import { statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Playground, startPlayground } from '../../src/playground/start.ts';
import { type Json, nodePod, PlaygroundClient } from '../support/playground-client.ts';

const CORE = '/api/v1/namespaces/shop';
const APPS = '/apis/apps/v1/namespaces/shop';
const POD_LABELS = { matchLabels: { app: 'w' } };

let playground: Playground;
let client: PlaygroundClient;

beforeAll(async () => {
  playground = await startPlayground({ shop: false });
  client = new PlaygroundClient(playground);
});
afterAll(async () => {
  client.close();
  await playground.close();
});

const configMap = (name: string, data: Record<string, string> = { a: '1' }): Json => ({ metadata: { name }, data });

const template = (image = 'registry.example/none:1'): Json => ({
  metadata: { labels: { app: 'w' } },
  spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'w', image }] },
});

/** One object of each resource, as a client would create it. */
const SAMPLES: readonly [path: string, object: Json][] = [
  [`${CORE}/configmaps`, configMap('sample')],
  [`${CORE}/secrets`, { metadata: { name: 'sample' }, type: 'Opaque', data: { key: 'dmFsdWU=' } }],
  [`${CORE}/services`, { metadata: { name: 'sample' }, spec: { selector: { app: 'x' }, ports: [{ port: 80 }] } }],
  [`${CORE}/endpoints`, { metadata: { name: 'sample-ep' }, subsets: [] }],
  [
    `${CORE}/events`,
    { metadata: { name: 'sample' }, involvedObject: { kind: 'Pod', name: 'x', uid: 'y' }, reason: 'R', message: 'm' },
  ],
  [`${CORE}/serviceaccounts`, { metadata: { name: 'sample' } }],
  [`${CORE}/resourcequotas`, { metadata: { name: 'sample' }, spec: { hard: { pods: '100' } } }],
  [`${CORE}/pods`, nodePod('sample', '', { containers: [{ name: 'm', image: 'registry.example/none:1' }] })],
  [
    `${APPS}/deployments`,
    { metadata: { name: 'sample' }, spec: { replicas: 0, selector: POD_LABELS, template: template() } },
  ],
  [
    `${APPS}/replicasets`,
    { metadata: { name: 'sample' }, spec: { replicas: 0, selector: POD_LABELS, template: template() } },
  ],
  [
    `${APPS}/statefulsets`,
    {
      metadata: { name: 'sample' },
      spec: { replicas: 0, serviceName: 's', selector: POD_LABELS, template: template() },
    },
  ],
  [
    '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices',
    { metadata: { name: 'sample-own' }, addressType: 'IPv4', endpoints: [], ports: [] },
  ],
  [
    '/apis/coordination.k8s.io/v1/namespaces/shop/leases',
    { metadata: { name: 'sample' }, spec: { holderIdentity: 'me' } },
  ],
];

describe('every resource', () => {
  test.each(SAMPLES)('%s: create, get, list, patch, update, conflict, delete', async (path, object) => {
    const name = object.metadata.name as string;
    const created = await client.post(path, object);
    expect(created.code).toBe(201);
    expect(created.body.metadata).toMatchObject({ name, namespace: 'shop' });
    expect(created.body.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(created.body.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(Number(created.body.metadata.resourceVersion)).toBeGreaterThan(0);
    const { kind, apiVersion } = created.body;

    expect((await client.post(path, object)).body).toMatchObject({ code: 409, reason: 'AlreadyExists' });
    const list = (await client.get(path)).body;
    expect(list).toMatchObject({ kind: `${kind}List`, apiVersion });
    const item = list.items.find((one: Json) => one.metadata.name === name);
    expect(item.kind).toBeUndefined();

    const patched = await client.patch(`${path}/${name}`, { metadata: { annotations: { a: 'b' } } });
    expect(patched.code).toBe(200);
    expect(patched.body).toMatchObject({
      kind,
      apiVersion,
      metadata: { annotations: { a: 'b' }, uid: created.body.metadata.uid },
    });
    const stale = await client.request('admin', 'PUT', `${path}/${name}`, created.body);
    expect(stale.code).toBe(409);
    expect(stale.body.message).toMatch(
      /^Operation cannot be fulfilled on .*: the object has been modified; please apply your changes to the latest version and try again$/,
    );
    const current = (await client.get(`${path}/${name}`)).body;
    const put = await client.request('admin', 'PUT', `${path}/${name}`, {
      ...current,
      metadata: { ...current.metadata, labels: { x: 'y' } },
    });
    expect(put.body.metadata.labels).toEqual({ x: 'y' });

    expect((await client.delete(`${path}/${name}?gracePeriodSeconds=0`)).code).toBe(200);
    const gone = await client.get(`${path}/${name}`);
    expect(gone.body).toMatchObject({
      kind: 'Status',
      status: 'Failure',
      reason: 'NotFound',
      code: 404,
      details: { name },
    });
    expect((await client.delete(`${path}/${name}`)).code).toBe(404);
  });
});

describe('details that clients rely on', () => {
  test('a Service gets a ClusterIP and its defaults; a headless one none', async () => {
    const made = await client.post(`${CORE}/services`, {
      metadata: { name: 'plain' },
      spec: { selector: { a: 'b' }, ports: [{ port: 80 }] },
    });
    expect(made.body.spec).toEqual({
      selector: { a: 'b' },
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
      type: 'ClusterIP',
      sessionAffinity: 'None',
      clusterIP: expect.stringMatching(/^198\.19\.(6[4-9]|7\d)\.\d+$/),
      clusterIPs: [made.body.spec.clusterIP],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
    });
    const headless = await client.post(`${CORE}/services`, {
      metadata: { name: 'headless' },
      spec: { clusterIP: 'None', ports: [{ port: 80 }] },
    });
    expect(headless.body.spec.clusterIP).toBe('None');
    const external = await client.post(`${CORE}/services`, {
      metadata: { name: 'external' },
      spec: { type: 'ExternalName', externalName: 'a.example' },
    });
    expect(external.body.spec.clusterIP).toBeUndefined();
  });

  test('generateName, dry run, and a list by labels', async () => {
    const made = await client.post(`${CORE}/configmaps`, { metadata: { generateName: 'gen-', labels: { set: 'g' } } });
    expect(made.body.metadata.name).toMatch(/^gen-[a-z0-9]{5}$/);
    const dry = await client.post(`${CORE}/configmaps?dryRun=All`, configMap('dry'));
    expect(dry.code).toBe(201);
    expect((await client.get(`${CORE}/configmaps/dry`)).code).toBe(404);
    const found = await client.get(`${CORE}/configmaps?labelSelector=set%3Dg`);
    expect(found.body.items.map((one: Json) => one.metadata.name)).toEqual([made.body.metadata.name]);
    expect((await client.delete(`${CORE}/configmaps?labelSelector=set%3Dg`)).body.items).toHaveLength(1);
    expect((await client.get(`${CORE}/configmaps?labelSelector=set%3Dg`)).body.items).toEqual([]);
  });

  test('a delete may name the uid that it means', async () => {
    const made = await client.post(`${CORE}/configmaps`, configMap('precious'));
    const refused = await client.delete(`${CORE}/configmaps/precious`, { preconditions: { uid: 'abc' } });
    expect(refused.code).toBe(409);
    expect(refused.body.message).toContain(
      `the UID in the precondition (abc) does not match the UID in record (${made.body.metadata.uid})`,
    );
    const done = await client.delete(`${CORE}/configmaps/precious`, { preconditions: { uid: made.body.metadata.uid } });
    expect(done.body).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'precious', kind: 'configmaps' },
    });
  });

  test('what is owned goes with its owner, unless it is orphaned', async () => {
    const owner = (await client.post(`${CORE}/configmaps`, configMap('owner'))).body;
    const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid }];
    await client.post(`${CORE}/services`, {
      metadata: { name: 'owned', ownerReferences },
      spec: { ports: [{ port: 1 }] },
    });
    await client.delete(`${CORE}/configmaps/owner`);
    expect((await client.get(`${CORE}/services/owned`)).code).toBe(404);
  });

  test('the status is a subresource of its own', async () => {
    await client.post(`${APPS}/deployments`, {
      metadata: { name: 'quiet' },
      spec: { replicas: 0, selector: POD_LABELS, template: template() },
    });
    await client.until(
      `${APPS}/deployments?fieldSelector=metadata.name=quiet`,
      (one) => one.status.observedGeneration === 1,
    );
    const spec = await client.patch(`${APPS}/deployments/quiet`, {
      status: { replicas: 9 },
      spec: { minReadySeconds: 1 },
    });
    expect(spec.body.status.replicas).toBeUndefined();
    expect(spec.body.metadata.generation).toBe(2);
    const scaled = await client.patch(`${APPS}/deployments/quiet/scale`, { spec: { replicas: 0 } });
    expect(scaled.body).toMatchObject({ kind: 'Scale', spec: { replicas: 0 } });
    const status = await client.patch(`${CORE}/services/plain/status`, {
      status: { loadBalancer: { ingress: [] } },
      spec: { selector: null },
    });
    expect(status.body.status).toEqual({ loadBalancer: { ingress: [] } });
    expect(status.body.spec.selector).toEqual({ a: 'b' });
  });

  test('an update that changes nothing makes no new version', async () => {
    const made = (await client.post(`${CORE}/configmaps`, configMap('same'))).body;
    const again = (await client.patch(`${CORE}/configmaps/same`, { data: { a: '1' } })).body;
    expect(again.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
  });

  test('kubectl gets tables', async () => {
    const accept = { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' };
    const table = (
      await client.request('dev', 'GET', `${CORE}/services?fieldSelector=metadata.name=plain`, undefined, accept)
    ).body;
    expect(table).toMatchObject({ kind: 'Table', apiVersion: 'meta.k8s.io/v1' });
    expect(table.columnDefinitions.map((one: Json) => one.name)).toEqual([
      'Name',
      'Type',
      'Cluster-IP',
      'External-IP',
      'Port(s)',
      'Age',
      'Selector',
    ]);
    expect(table.rows[0].cells.slice(0, 2)).toEqual(['plain', 'ClusterIP']);
  });
});

describe('reviews and discovery', () => {
  const access = async (user: 'dev' | 'reader' | 'forwarder', resourceAttributes: object): Promise<boolean> => {
    const body = {
      kind: 'SelfSubjectAccessReview',
      apiVersion: 'authorization.k8s.io/v1',
      spec: { resourceAttributes },
    };
    const answer = await client.post('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', body, user);
    expect(answer.code).toBe(201);
    return answer.body.status.allowed;
  };

  test.each([
    ['dev', 'create', 'pods', undefined, 'shop', true],
    ['dev', 'create', 'pods', 'portforward', 'locked', true],
    ['dev', 'create', 'pods', undefined, 'default', false],
    ['dev', 'list', 'secrets', undefined, 'shop', false],
    ['reader', 'list', 'pods', undefined, 'shop', true],
    ['reader', 'create', 'pods', undefined, 'shop', false],
    ['reader', 'get', 'pods', 'portforward', 'shop', false],
    ['forwarder', 'get', 'pods', 'portforward', 'shop', true],
    ['forwarder', 'create', 'pods', undefined, 'shop', false],
    ['forwarder', 'watch', 'pods', undefined, 'shop', false],
  ] as const)('%s may %s %s %s in %s: %s', async (user, verb, resource, subresource, namespace, allowed) => {
    expect(await access(user, { verb, resource, subresource, namespace })).toBe(allowed);
  });

  test('the rules of a namespace', async () => {
    const answer = await client.post(
      '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
      { spec: { namespace: 'shop' } },
      'forwarder',
    );
    expect(answer.body.status.resourceRules).toContainEqual({
      apiGroups: [''],
      resources: ['pods', 'services'],
      verbs: ['get', 'list'],
    });
    expect(answer.body.status.incomplete).toBe(false);
    const none = await client.post('/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', { spec: {} }, 'dev');
    expect(none.body).toMatchObject({ code: 400, message: 'no namespace on request' });
  });

  test('who am I', async () => {
    const answer = await client.post('/apis/authentication.k8s.io/v1/selfsubjectreviews', {}, 'dev');
    expect(answer.body.status.userInfo).toEqual({ username: 'dev', groups: ['developers', 'system:authenticated'] });
  });

  test('groups and resources', async () => {
    expect((await client.get('/version', 'dev')).body.gitVersion).toBe('v1.34.4+playground');
    expect((await client.get('/apis', 'dev')).body.groups.map((one: Json) => one.name)).toEqual(
      expect.arrayContaining(['apps', 'discovery.k8s.io', 'coordination.k8s.io', 'authorization.k8s.io']),
    );
    const core = (await client.get('/api/v1', 'dev')).body;
    expect(core.resources.map((one: Json) => one.name)).toEqual(
      expect.arrayContaining(['pods', 'pods/log', 'pods/portforward', 'services', 'secrets']),
    );
    expect((await client.get('/apis/apps/v1', 'dev')).body.resources.map((one: Json) => one.name)).toContain(
      'deployments/scale',
    );
    expect((await client.get('/apis/nope/v1', 'dev')).code).toBe(404);
  });
});

test('the kubeconfig is for its owner alone', () => {
  expect(statSync(playground.kubeconfig).mode & 0o777).toBe(process.platform === 'win32' ? 0o666 : 0o600);
});
