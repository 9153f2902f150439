// What the API server refuses, and how it says so: rights, credentials, objects that are not right, Pod Security, quota. Expected texts are
// those of a real API server (Kubernetes 1.34.4).
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
