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

describe('refusals', () => {
  const refuse = async (
    user: Parameters<PlaygroundClient['request']>[0],
    method: string,
    path: string,
    body?: unknown,
  ): Promise<string> => {
    const answer = await client.request(user, method, path, body);
    expect(answer.body).toMatchObject({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: answer.code });
    return `${answer.code} ${answer.body.message}`;
  };

  test('of rights name the user, the verb and the place', async () => {
    expect(await refuse('dev', 'GET', '/api/v1/pods')).toBe(
      '403 pods is forbidden: User "dev" cannot list resource "pods" in API group "" at the cluster scope',
    );
    expect(await refuse('dev', 'GET', '/apis/apps/v1/namespaces/shop/daemonsets')).toBe(
      '403 daemonsets.apps is forbidden: User "dev" cannot list resource "daemonsets" in API group "apps" in the namespace "shop"',
    );
    expect(await refuse('reader', 'POST', `${CORE}/pods`, {})).toBe(
      '403 pods is forbidden: User "reader" cannot create resource "pods" in API group "" in the namespace "shop"',
    );
    expect(await refuse('reader', 'GET', `${CORE}/pods/db-0/log`)).toBe(
      '403 pods "db-0" is forbidden: User "reader" cannot get resource "pods/log" in API group "" in the namespace "shop"',
    );
    expect(await refuse('forwarder', 'GET', `${APPS}/deployments`)).toContain(
      '403 deployments.apps is forbidden: User "forwarder" cannot list',
    );
    expect(await refuse('dev', 'DELETE', `${CORE}/pods`)).toContain('cannot deletecollection resource "pods"');
    expect(await refuse('dev', 'GET', '/foo')).toBe('403 forbidden: User "dev" cannot get path "/foo"');
    expect(await refuse('dev', 'GET', `/api/v1/namespaces/default/pods`)).toContain('in the namespace "default"');
  });

  test('of credentials', async () => {
    expect(await refuse('expired', 'GET', `${CORE}/pods`)).toBe('401 Unauthorized');
    expect(await refuse(undefined, 'GET', `${CORE}/pods`)).toContain(
      '403 pods is forbidden: User "system:anonymous" cannot list',
    );
    const wrong = await client.request(undefined, 'GET', `${CORE}/pods`, undefined, { Authorization: 'Bearer nope' });
    expect(wrong.body).toMatchObject({ code: 401, reason: 'Unauthorized' });
    expect((await client.request(undefined, 'GET', '/version')).code).toBe(200);
  });

  test('of what is not there', async () => {
    expect(await refuse('admin', 'GET', `${CORE}/pods/nope`)).toBe('404 pods "nope" not found');
    expect(await refuse('admin', 'GET', `${APPS}/deployments/nope`)).toBe('404 deployments.apps "nope" not found');
    expect(await refuse('admin', 'GET', `${CORE}/things`)).toBe('404 the server could not find the requested resource');
    expect(await refuse('admin', 'POST', '/api/v1/namespaces/nons/configmaps', configMap('a'))).toBe(
      '404 namespaces "nons" not found',
    );
  });

  test('of objects that are not right', async () => {
    expect(await refuse('admin', 'POST', `${CORE}/services`, { metadata: { name: 'Gate_way' }, spec: {} })).toBe(
      `422 Service "Gate_way" is invalid: [metadata.name: Invalid value: "Gate_way": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?'), spec.ports: Required value]`,
    );
    expect(await refuse('admin', 'POST', `${CORE}/pods`, { metadata: { name: 'p1' }, spec: {} })).toBe(
      '422 Pod "p1" is invalid: spec.containers: Required value',
    );
    expect(await refuse('admin', 'POST', `${CORE}/configmaps`, { metadata: {} })).toBe(
      '422 ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    );
    expect(
      await refuse('admin', 'POST', `${CORE}/services`, {
        metadata: { name: 'x' },
        spec: { ports: [{ port: 80 }, { port: 81 }] },
      }),
    ).toBe('422 Service "x" is invalid: [spec.ports[0].name: Required value, spec.ports[1].name: Required value]');
    const selects = { metadata: { name: 'p' }, spec: { selector: { matchLabels: { a: 'c' } }, template: template() } };
    expect(await refuse('admin', 'POST', `${APPS}/deployments`, selects)).toBe(
      '422 Deployment.apps "p" is invalid: spec.template.metadata.labels: Invalid value: {"app":"w"}: `selector` does not match template `labels`',
    );
    expect(await refuse('admin', 'POST', `${CORE}/configmaps`, { metadata: { name: 'a', namespace: 'locked' } })).toBe(
      '400 the namespace of the provided object does not match the namespace sent on the request',
    );
    expect(
      await refuse('admin', 'POST', `${CORE}/configmaps`, {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'a' },
      }),
    ).toBe('400 Secret in version "v1" cannot be handled as a ConfigMap: unknown conversion');
    expect(await refuse('admin', 'POST', `${CORE}/configmaps`, '{bad')).toContain(
      "400 couldn't get version/kind; json parse error",
    );
  });

  test('of a body that is too long', async () => {
    const answer = await client
      .post(`${CORE}/configmaps`, configMap('big', { a: 'x'.repeat(3 * 1024 * 1024) }))
      .catch((error: unknown) => error);
    // The answer, or the connection's end where the client was still writing.
    if (answer instanceof Error) expect(answer.message).toMatch(/EPIPE|ECONNRESET|socket hang up/);
    else expect(answer).toMatchObject({ code: 413 });
  });

  test('of patches', async () => {
    await client.post(`${CORE}/services`, {
      metadata: { name: 'patched' },
      spec: { selector: { a: 'b' }, ports: [{ port: 80 }] },
    });
    const path = `${CORE}/services/patched`;
    const failed = await client.patch(
      path,
      [{ op: 'test', path: '/spec/type', value: 'x' }],
      'application/json-patch+json',
    );
    expect(failed.body).toMatchObject({
      code: 422,
      reason: 'Invalid',
      message: 'the server rejected our request due to an error in our request',
    });
    expect((await client.patch(path, {}, 'application/json')).body).toMatchObject({
      code: 415,
      reason: 'UnsupportedMediaType',
    });
    expect((await client.patch(path, { metadata: { resourceVersion: '1' } })).body).toMatchObject({ code: 409 });
    const moved = await client.patch(path, { spec: { clusterIP: '198.19.1.1' } });
    expect(moved.body.message).toBe(
      'Service "patched" is invalid: spec.clusterIPs[0]: Invalid value: ["198.19.1.1"]: may not change once set',
    );
    // What kt does with a Service: the selector and an annotation in one step, with the version that was read.
    const before = (await client.get(path)).body;
    const swap = [
      { op: 'test', path: '/metadata/resourceVersion', value: before.metadata.resourceVersion },
      { op: 'replace', path: '/spec/selector', value: { c: 'd' } },
      { op: 'add', path: '/metadata/annotations', value: { journal: '{}' } },
    ];
    const swapped = await client.patch(path, swap, 'application/json-patch+json');
    expect(swapped.body).toMatchObject({
      spec: { selector: { c: 'd' } },
      metadata: { annotations: { journal: '{}' } },
    });
    expect((await client.patch(path, swap, 'application/json-patch+json')).code).toBe(422);
  });
});

describe('namespaces with rules', () => {
  test('Pod Security refuses a pod, and warns about a Deployment', async () => {
    const refused = await client.request('dev', 'POST', '/api/v1/namespaces/locked/pods', nodePod('bad', ''));
    expect(refused.body).toMatchObject({ code: 403, reason: 'Forbidden', details: { name: 'bad', kind: 'pods' } });
    expect(refused.body.message).toMatch(
      /^pods "bad" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false \(container "main"/,
    );
    const deployment = { metadata: { name: 'bad' }, spec: { replicas: 1, selector: POD_LABELS, template: template() } };
    const made = await client.request('dev', 'POST', '/apis/apps/v1/namespaces/locked/deployments', deployment);
    expect(made.code).toBe(201);
    expect(made.headers['warning']).toMatch(/^299 - "would violate PodSecurity \\"restricted:latest\\": /);
    const event = await client.until('/api/v1/namespaces/locked/events', (one) => one.reason === 'FailedCreate');
    expect(event.message).toMatch(/^Error creating: pods "bad-[a-z0-9]+-[a-z0-9]+" is forbidden: violates PodSecurity/);
    expect(event.involvedObject.kind).toBe('ReplicaSet');
  });

  test('a quota of pods refuses the one too many', async () => {
    await client.post('/api/v1/namespaces', { metadata: { name: 'small' } });
    await client.post('/api/v1/namespaces/small/resourcequotas', {
      metadata: { name: 'few' },
      spec: { hard: { pods: '1' } },
    });
    const waiting = { containers: [{ name: 'm', image: 'registry.example/none:1' }] };
    expect((await client.post('/api/v1/namespaces/small/pods', nodePod('one', '', waiting))).code).toBe(201);
    const refused = await client.post('/api/v1/namespaces/small/pods', nodePod('two', '', waiting));
    expect(refused.body.message).toBe(
      'pods "two" is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1',
    );
    await client.delete('/api/v1/namespaces/small');
    expect((await client.post('/api/v1/namespaces/small/pods', nodePod('three', '', waiting))).body.message).toBe(
      'namespaces "small" not found',
    );
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
