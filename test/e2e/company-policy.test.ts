// Must (G2): a namespace whose policy asks for a label on every pod and Deployment, and whose quota has room for small agents only: refused in
// the cluster's words without kt's flags, and with them both agents run. The policy is a ValidatingAdmissionPolicy, as Kyverno's or Gatekeeper's.
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { closeApp, localApp, untilAnswer } from './support/inbound.ts';
import { kubectl, Laptop } from './support/kt.ts';

const NAME = 'kt-e2e-policy';
const laptop = new Laptop();
afterEach(() => laptop.stopAll());

const FLAGS = ['--withLabel', 'team=shop', '--withAnnotation', 'owner=anna', '--podQuota', '0.2c,128m'];
const PLACE = ['--serviceAccount', 'agents', '--nodeSelector', 'kubernetes.io/os=linux', '--namespace', NAME];

beforeAll(async () => {
  await remove();
  const rbac = 'rbac.authorization.k8s.io';
  const resourceRules = [
    { apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] },
    { apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments'], operations: ['CREATE'] },
  ];
  const items = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAME } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'agents', namespace: NAME } },
    {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'small', namespace: NAME },
      spec: { hard: { 'limits.memory': '256Mi', 'requests.memory': '256Mi' } },
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata: { name: 'dev', namespace: NAME },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'admin' },
      subjects: [{ apiGroup: rbac, kind: 'User', name: 'dev' }],
    },
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: NAME },
      spec: {
        matchConstraints: { resourceRules },
        validations: [
          {
            expression: "has(object.metadata.labels) && 'team' in object.metadata.labels",
            message: 'everything here needs a label team',
          },
        ],
      },
    },
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: NAME },
      spec: {
        policyName: NAME,
        validationActions: ['Deny'],
        matchResources: { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': NAME } } },
      },
    },
  ];
  await kubectl(['create', '-f', '-'], 'admin', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  // The API server learns of a policy a moment later.
  const trial = ['-n', NAME, 'run', 'trial', '--image', 'none', '--dry-run=server'];
  const refusal = (): Promise<string> => kubectl(trial).catch((error: Error) => error.message);
  await vi.waitFor(async () => expect(await refusal()).toContain('needs a label team'), {
    timeout: 60_000,
    interval: 500,
  });
}, 120_000);
afterAll(async () => {
  await laptop.close();
  await remove();
}, 120_000);

async function remove(): Promise<void> {
  const policy = ['validatingadmissionpolicybinding', 'validatingadmissionpolicy'];
  for (const kind of policy) await kubectl(['delete', kind, NAME, '--ignore-not-found'], 'admin');
  await kubectl(['delete', 'namespace', NAME, '--ignore-not-found'], 'admin');
}

interface Pod {
  readonly metadata: { readonly labels: object; readonly annotations: object };
  readonly spec: { readonly containers: readonly { readonly resources: object }[] };
}

describe('a policy of the company', { timeout: 120_000 }, () => {
  test('without the flags: the policy in its own words, and nothing is left', async () => {
    const kt = laptop.start(['connect', '--output', 'json', '--proxyPort', '0', '--dnsPort', '0', '--namespace', NAME]);
    const error = await kt.event('error');
    expect(error.code).toBe('AGENT_REFUSED');
    expect(error.message).toContain('everything here needs a label team');
    await kt.exited;
    expect(await kubectl(['-n', NAME, 'get', 'pods', '-o', 'name'])).toBe('');
  });

  test.each([
    ['the policy', [], 'everything here needs a label team', '--withLabel'],
    ['the quota', ['--withLabel', 'team=shop', '--podQuota', '1c,512m'], 'exceeded quota: small', '--podQuota'],
  ])(
    'preview without the flags: %s in its own words, with the flag that helps, and nothing is left',
    async (_, args, words, flag) => {
      const started = [
        'preview',
        'shown',
        '--expose',
        '80',
        '--skipPortChecking',
        '--output',
        'json',
        '--namespace',
        NAME,
      ];
      const kt = laptop.start([...started, ...args]);
      expect(await kt.event('error')).toMatchObject({
        code: 'AGENT_REFUSED',
        message: expect.stringContaining(words) as string,
        hint: expect.stringContaining(flag) as string,
      });
      await kt.exited;
      expect(await kubectl(['-n', NAME, 'get', 'services,deployments,pods', '-o', 'name'])).toBe('');
    },
  );

  test('with them the agents of connect and preview run, as small as asked for', async () => {
    const app = await localApp('laptop');
    try {
      await laptop.connect([...FLAGS, ...PLACE]);
      const preview = laptop.start([
        'preview',
        'shown',
        '--expose',
        `${app.port}:80`,
        '--output',
        'json',
        ...FLAGS,
        ...PLACE,
      ]);
      await preview.event('holding');
      await untilAnswer(`http://shown.${NAME}/`, { name: 'laptop' });
      const { items } = JSON.parse(await kubectl(['-n', NAME, 'get', 'pods', '-o', 'json'])) as { items: Pod[] };
      expect(items).toHaveLength(2);
      const size = { cpu: '200m', memory: '128Mi' };
      for (const { metadata, spec } of items) {
        expect(metadata).toMatchObject({ labels: { team: 'shop' }, annotations: { owner: 'anna' } });
        expect(spec).toMatchObject({
          serviceAccountName: 'agents',
          automountServiceAccountToken: false,
          nodeSelector: { 'kubernetes.io/os': 'linux' },
        });
        expect(spec.containers[0]?.resources).toEqual({ requests: size, limits: size });
      }
      await preview.stop();
    } finally {
      await closeApp(app);
    }
  });
});
