// Must: kt doctor on a real cluster says that everything works where it does, and names what only a cluster can have wrong: quota, limits,
// namespaces, images, the DNS domain, what dead sessions left. It leaves nothing behind.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Diagnosis, Finding } from '../../src/session/findings.ts';
import { kubectl, Laptop, type User } from './support/kt.ts';

const laptop = new Laptop();
const FULL = 'kt-e2e-doctor-full';
const SMALL = 'kt-e2e-doctor-small';

const namespace = (name: string, rule: object): object[] => [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
  { ...rule, metadata: { name: 'tight', namespace: name } },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'dev', namespace: name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'dev' }],
  },
];

beforeAll(async () => {
  const items = [
    ...namespace(FULL, { apiVersion: 'v1', kind: 'ResourceQuota', spec: { hard: { pods: '0' } } }),
    ...namespace(SMALL, {
      apiVersion: 'v1',
      kind: 'LimitRange',
      spec: { limits: [{ type: 'Container', max: { memory: '32Mi' } }] },
    }),
  ];
  await kubectl(['apply', '-f', '-'], 'admin', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
});

afterAll(async () => {
  await kubectl(['delete', 'namespace', FULL, SMALL, '--wait=false', '--ignore-not-found'], 'admin');
  await laptop.close();
});

async function doctor(args: string[] = [], user: User = 'dev'): Promise<Diagnosis & { readonly code: number | null }> {
  const kt = laptop.start(['doctor', '--output', 'json', '--proxyPort', '0', '--dnsPort', '0', ...args], { user });
  const { code } = await kt.exited;
  return { ...(JSON.parse(kt.stdout) as Diagnosis), code };
}

const bad = ({ findings }: Diagnosis): Finding[] => findings.filter(({ verdict }) => verdict === 'failed');

test('everything works: every hop is told, and no agent stays', async () => {
  const done = await doctor();
  expect(bad(done)).toEqual([]);
  expect(done.code).toBe(0);
  expect(new Set(done.findings.map(({ check }) => check))).toEqual(
    new Set([
      'laptop',
      'kubeconfig',
      'credentials',
      'proxy',
      'api-server',
      'version',
      'user',
      'rights',
      'namespace',
      'image',
      'agent',
      'link',
      'dns',
      'shims',
      'ports',
      'leftovers',
    ]),
  );
  expect(done.findings.find(({ check }) => check === 'dns')?.text).toMatch(
    /^kubernetes\.default\.svc\.cluster\.local is /,
  );
  const agent = /kt-agent-\S+/.exec(done.findings.find(({ check }) => check === 'agent')?.text ?? '')?.[0] ?? '';
  expect(agent).not.toBe('');
  const pods = JSON.parse(await kubectl(['get', 'pods', '-l', 'kt/role=egress', '-o', 'json'])) as {
    items: { metadata: { name: string; deletionTimestamp?: string } }[];
  };
  expect(pods.items.filter(({ metadata }) => metadata.name === agent && !metadata.deletionTimestamp)).toEqual([]);
});

test('--read-only creates nothing', async () => {
  const done = await doctor(['--read-only']);
  expect(bad(done)).toEqual([]);
  expect(done.findings.find(({ check }) => check === 'agent')).toMatchObject({ verdict: 'skipped' });
});

describe('users', () => {
  test('reader: no way to connect, with the verbs; exit code 4', async () => {
    const done = await doctor([], 'reader');
    expect(done.code).toBe(4);
    expect(bad(done).map(({ text }) => text)).toEqual([
      "connect, run, forward, through an agent: you may not create, delete pods and get pods/portforward in 'shop'",
      "connect, run, forward, without an agent: you may not get pods/portforward in 'shop'",
    ]);
  });

  test('forwarder: works without an agent, and what the other way would need', async () => {
    const done = await doctor([], 'forwarder');
    expect(bad(done)).toEqual([]);
    expect(done.findings.find(({ check, verdict }) => check === 'rights' && verdict === 'warning')?.text).toBe(
      "connect, run, forward, through an agent: you may not create, delete pods in 'shop'",
    );
  });

  test('expired: since when', async () => {
    const done = await doctor([], 'expired');
    expect(done.code).toBe(4);
    expect(bad(done)[0]?.text).toMatch(/^the client certificate expired at 20\d\d-/);
  });
});

describe('the cluster', () => {
  test.each([
    { name: 'a quota', args: ['-n', FULL], check: 'namespace', text: /exceeded quota: tight/, code: 3 },
    {
      name: 'a limit range',
      args: ['-n', SMALL],
      check: 'namespace',
      text: /maximum memory usage per Container is 32Mi/,
      code: 3,
    },
    {
      name: 'an image that is not there',
      args: ['--image', 'registry.invalid/node:none'],
      check: 'image',
      text: /registry\.invalid/,
      code: 3,
    },
    {
      name: 'an image that is no Node',
      args: ['--image', 'busybox:stable'],
      check: 'agent',
      text: /can't be started|ended as soon/,
      code: 3,
    },
    {
      name: 'another DNS domain',
      args: ['--clusterDomain', 'corp.example'],
      check: 'dns',
      text: /does not know kubernetes\.default\.svc\.corp\.example/,
      code: 1,
    },
  ])('$name', async ({ args, check, text, code }) => {
    const done = await doctor(args);
    expect(bad(done)).toMatchObject([
      { check, text: expect.stringMatching(text) as string, hint: expect.stringMatching(/./) as string },
    ]);
    expect(done.code).toBe(code);
  });

  test('a namespace that is not there', async () => {
    const file = join(laptop.home, 'work', 'admin.yaml');
    const { writeFileSync, chownSync } = await import('node:fs');
    writeFileSync(
      file,
      readFileSync(join(process.env['KT_E2E_KUBECONFIGS'] ?? '/var/lib/kcluster/kubeconfigs', 'admin')),
      { mode: 0o600 },
    );
    chownSync(file, 12_345, 12_345);
    const done = await doctor(['--kubeconfig', file, '-n', 'kt-e2e-nowhere']);
    expect(bad(done)[0]).toMatchObject({
      check: 'namespace',
      text: "there is no namespace 'kt-e2e-nowhere' in this cluster",
    });
  });

  test('a wrong domain is told with the right one', async () => {
    const done = await doctor(['--clusterDomain', 'corp.example']);
    expect(bad(done)[0]?.hint).toContain('--clusterDomain cluster.local');
  });
});

describe('leftovers', () => {
  const names = { pod: `kt-e2e-left-${process.pid}`, service: `kt-e2e-held-${process.pid}` };

  test('an agent that ended, a Service that kt-connect left taken', async () => {
    const items = [
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: names.pod, labels: { 'kt/role': 'egress', 'kt/session': 'e2e-left' } },
        spec: {
          restartPolicy: 'Never',
          securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
          containers: [
            {
              name: 'agent',
              image: 'busybox:stable',
              command: ['true'],
              resources: { requests: { cpu: '10m', memory: '16Mi' }, limits: { cpu: '100m', memory: '32Mi' } },
              securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
            },
          ],
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: names.service, annotations: { 'kt-selector': '{"app":"orders"}' } },
        spec: { selector: { 'kt-target': 'gone' }, ports: [{ port: 80 }] },
      },
    ];
    await kubectl(['create', '-f', '-'], 'dev', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    try {
      await kubectl(['wait', '--for=jsonpath={.status.phase}=Succeeded', `pod/${names.pod}`, '--timeout=60s']);
      const done = await doctor(['--read-only']);
      const left = done.findings.filter(({ check, verdict }) => check === 'leftovers' && verdict === 'warning');
      expect(left).toMatchObject(
        expect.arrayContaining([
          expect.objectContaining({
            text: expect.stringContaining(names.pod) as string,
            hint: '`kt clean` removes them',
          }),
          expect.objectContaining({
            text: `${names.service} is still exchanged, and nobody holds it any more`,
            hint: expect.stringContaining(`kt recover ${names.service}`) as string,
          }),
        ]) as object,
      );
    } finally {
      await kubectl(['delete', `pod/${names.pod}`, `service/${names.service}`, '--now', '--ignore-not-found']);
    }
  });
});

test('--report writes a file of the user alone, without the key of the kubeconfig', async () => {
  const file = join(laptop.own('work'), 'report.txt');
  const kt = laptop.start(['doctor', '--read-only', '--report', file, '--proxyPort', '0', '--dnsPort', '0'], {
    env: { KT_PROXY_PASSWORD: 'planted-word', HTTPS_PROXY: 'http://u:planted-too@proxy.invalid:1' },
  });
  await kt.exited;
  const text = readFileSync(file, 'utf8');
  expect(text).toContain('## Findings');
  const key = /client-key-data: (\S+)/.exec(readFileSync(laptop.kubeconfig('dev'), 'utf8'))?.[1] ?? '';
  for (const secret of ['planted-word', 'planted-too', 'PRIVATE KEY', ...(key ? [key] : [])])
    expect(text).not.toContain(secret);
});
