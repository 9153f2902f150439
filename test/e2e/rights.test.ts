// Must: what a user lacks is said in one sentence with the Role to ask for, before anything is made; what a cluster refuses is said
// in the cluster's own words. Users reader, forwarder, expired; images, quota and Pod Security of the real cluster.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAgent } from '../../src/cluster/agent-lifecycle.ts';
import { agentPod } from '../../src/cluster/agent-pod.ts';
import { loadClusterConfig } from '../../src/cluster/config.ts';
import { ClusterApi } from '../../src/cluster/rest.ts';
import { curl, kubectl, Laptop, type Running } from './support/kt.ts';

const laptop = new Laptop();
afterAll(() => laptop.close());

const connect = (user: 'dev' | 'reader' | 'forwarder' | 'expired', ...args: string[]): Running =>
  laptop.start(['connect', '--output', 'json', '--proxyPort', '0', '--dnsPort', '0', ...args], { user });

describe('rights', () => {
  test('reader: names the missing verbs and the Role, creates nothing', async () => {
    const before = await kubectl(['get', 'pods', '-l', 'kt/role=egress', '-o', 'name']);
    const kt = connect('reader');
    const error = await kt.event('error');
    expect(error.code).toBe('RIGHTS_MISSING');
    expect(error.message).toContain('pods/portforward');
    expect(error.hint).toMatch(/Role|rbac/);
    expect((await kt.exited).code).toBe(4);
    expect(await kubectl(['get', 'pods', '-l', 'kt/role=egress', '-o', 'name'])).toBe(before);
  });

  test('expired: says so', async () => {
    const kt = connect('expired');
    const error = await kt.event('error');
    expect(error.code).toBe('CREDENTIALS_REJECTED');
    expect(error.message).toMatch(/expired/);
    expect((await kt.exited).code).toBe(4);
  });

  test('forwarder: works without an agent and says what is reduced', async () => {
    const kt = await laptop.connect([], { user: 'forwarder' });
    expect(kt.ready).toMatchObject({ mode: 'agentless', agent: null });
    expect(kt.ready.reduced.join(' ')).toMatch(/no UDP/);
    for (const name of ['gateway', 'orders.shop', 'stock:8080', 'db-0.db:8080', 'gateway.shop.svc.cluster.local']) {
      const { stdout, stderr } = await curl(
        '-w',
        '%{http_code}',
        '-o',
        '/dev/null',
        '-x',
        `socks5h://${kt.ready.proxy}`,
        `http://${name}/healthz`,
      );
      expect(`${name} ${stdout}${stderr}`).toBe(`${name} 200`);
    }
    const refused = await curl('-x', `socks5h://${kt.ready.proxy}`, 'http://empty/');
    expect(refused.code).toBe(97);
    const reset = await curl('-x', `http://${kt.ready.proxy}`, 'http://partner/');
    expect(reset.stdout).toMatch(/ExternalName/);
    expect((await kt.stop()).code).toBe(0);
  });
});

describe('what the cluster refuses', () => {
  beforeAll(async () => {
    await kubectl(['delete', 'namespace', 'kt-e2e-full', '--ignore-not-found'], 'admin');
    const quota = JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kt-e2e-full' } },
        {
          apiVersion: 'v1',
          kind: 'ResourceQuota',
          metadata: { name: 'none', namespace: 'kt-e2e-full' },
          spec: { hard: { pods: '0' } },
        },
        {
          apiVersion: 'rbac.authorization.k8s.io/v1',
          kind: 'RoleBinding',
          metadata: { name: 'dev', namespace: 'kt-e2e-full' },
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
          subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'dev' }],
        },
      ],
    });
    await kubectl(['apply', '-f', '-'], 'admin', quota);
  });
  afterAll(async () => {
    await kubectl(['delete', 'namespace', 'kt-e2e-full', '--wait=false'], 'admin');
  });

  test('an image that cannot be pulled: the reason of the kubelet, and no pod stays', async () => {
    const kt = connect('dev', '--image', 'registry.invalid/node:none');
    const error = await kt.event('error');
    expect(error.code).toBe('AGENT_IMAGE');
    expect(error.message).toMatch(/registry\.invalid/);
    expect((await kt.exited).code).toBe(3);
    const step = kt.events.find((event) => event.type === 'step' && event.id === 'agent' && event.state === 'started');
    const pod = step?.type === 'step' ? step.text.replace('agent pod ', '') : '';
    await kubectl(['wait', '--for=delete', `pod/${pod}`, '--timeout=30s']).catch((wait: Error) =>
      expect(wait.message).toMatch(/not found|NotFound/),
    );
    // Within 5 s of the event in which the kubelet said so.
    const events = JSON.parse(
      await kubectl(['get', 'events', '--field-selector', `involvedObject.name=${pod}`, '-o', 'json']),
    ) as { items: { reason: string; lastTimestamp: string; firstTimestamp: string }[] };
    const failed = events.items.find((event) => event.reason === 'Failed');
    expect(Date.parse(error.time) - Date.parse(failed?.firstTimestamp ?? '')).toBeLessThan(5_000 + 1_000);
  });

  test('a quota: the text of the API server', async () => {
    const kt = connect('dev', '--namespace', 'kt-e2e-full');
    const error = await kt.event('error');
    expect(error.code).toBe('AGENT_REFUSED');
    expect(error.message).toMatch(/exceeded quota: none/);
    expect((await kt.exited).code).toBe(3);
  });

  test('Pod Security: the text of the API server', async () => {
    // kt's own agent passes "restricted", so one that does not is made of it.
    const manifest = structuredClone(
      agentPod({
        name: 'kt-agent-e2e-psa',
        session: 'e2e',
        code: '',
        token: 'x',
        version: '0',
        user: 'e2e',
        host: 'e2e',
      }),
    ) as { spec: { securityContext: object } };
    manifest.spec.securityContext = {};
    const api = new ClusterApi(await loadClusterConfig({ kubeconfig: laptop.kubeconfig('dev'), namespace: 'locked' }));
    try {
      await expect(createAgent(api, 'locked', manifest, new AbortController().signal)).rejects.toMatchObject({
        code: 'AGENT_REFUSED',
        message: expect.stringMatching(/violates PodSecurity "restricted:latest".*runAsNonRoot/),
      });
    } finally {
      api.close();
    }
  });
});
