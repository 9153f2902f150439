// Must: for each mode, the Role that `kt doctor --rbac MODE` prints, as the only one of a fresh user, is enough; with any one verb of it
// taken away, kt names that verb and no other, before anything is made. The users are service accounts of a namespace of the test's own.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { rightsOf } from '../../src/modes/doctor/rbac.ts';
import { closeApp, deployShop, leftovers, localApp } from './support/inbound.ts';
import { curl, kubectl, Laptop, type Running } from './support/kt.ts';
import { freshUser } from './support/users.ts';

const NAMESPACE = 'kt-e2e-rights';
const SHOP = 'kt-e2e-rights-shop';
const laptop = new Laptop();

interface Role {
  rules: { apiGroups: string[]; resources: string[]; verbs: string[] }[];
}

/** What kt itself prints for this user. */
async function printedRole(mode: string, kubeconfig: string): Promise<string> {
  const kt = laptop.start(['doctor', '--rbac', mode, '--kubeconfig', kubeconfig]);
  await kt.exited;
  return kt.stdout;
}

const apply = (yaml: string): Promise<string> => kubectl(['-n', NAMESPACE, 'apply', '-f', '-'], 'admin', yaml);

beforeAll(async () => {
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found'], 'admin');
  const items = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'dev', namespace: NAMESPACE },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'dev' }],
    },
  ];
  await kubectl(['apply', '-f', '-'], 'admin', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await deployShop(SHOP, NAMESPACE);
  const shared = laptop.start(['doctor', '--shared-agent', '--namespace', NAMESPACE]);
  await shared.exited;
  await apply(shared.stdout);
  await kubectl(['-n', NAMESPACE, 'rollout', 'status', 'deployment/kt-shared-agent', '--timeout=60s'], 'admin');
});

afterAll(async () => {
  await laptop.close();
  await kubectl(['delete', 'namespace', NAMESPACE, '--wait=false', '--ignore-not-found'], 'admin');
});

interface Case {
  readonly mode: string;
  readonly args: readonly string[];
  /** It works: waits until it does, proves it, ends it. */
  readonly works: (kt: Running) => Promise<void>;
}

const through = async (kt: Running, mode: 'agent' | 'shared' | 'agentless'): Promise<void> => {
  const ready = await kt.event('ready');
  expect(ready.mode).toBe(mode);
  const { stdout, stderr } = await curl(
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    '-x',
    `socks5h://${ready.proxy ?? ''}`,
    `http://${SHOP}/`,
  );
  expect(`${stdout}${stderr}`).toBe('200');
  expect((await kt.stop()).code).toBe(0);
};

const held = async (kt: Running): Promise<void> => {
  await kt.event('holding');
  expect((await kt.stop()).code).toBe(0);
  expect(await leftovers(SHOP, NAMESPACE)).toBe('');
};

const FREE = ['--proxyPort', '0', '--dnsPort', '0'];
const CASES: readonly Case[] = [
  { mode: 'connect', args: ['connect', ...FREE], works: (kt) => through(kt, 'agent') },
  { mode: 'shared', args: ['connect', '--mode', 'shared', ...FREE], works: (kt) => through(kt, 'shared') },
  { mode: 'agentless', args: ['connect', '--mode', 'agentless', ...FREE], works: (kt) => through(kt, 'agentless') },
  { mode: 'exchange', args: ['exchange', SHOP, '--expose', 'PORT:8080'], works: held },
  { mode: 'mesh', args: ['mesh', SHOP, '--expose', 'PORT:8080', '--versionMark', 'e2e'], works: held },
  {
    mode: 'exchange-scale',
    args: ['exchange', SHOP, '--mode', 'scale', '--expose', 'PORT:8080'],
    works: held,
  },
  {
    mode: 'mesh-manual',
    args: ['mesh', SHOP, '--mode', 'manual', '--expose', 'PORT:8080', '--versionMark', 'e2e'],
    works: held,
  },
  { mode: 'preview', args: ['preview', `${SHOP}-new`, '--expose', 'PORT:8080'], works: held },
  {
    mode: 'birdseye',
    args: ['birdseye'],
    works: async (kt) => {
      expect((await kt.exited).code).toBe(0);
      expect(kt.stdout).toContain(SHOP);
    },
  },
];

describe.each(CASES)('$mode', ({ mode, args, works }) => {
  test('the printed Role is enough, and each of its verbs is needed and named', async () => {
    const app = await localApp('laptop');
    const kubeconfig = await freshUser(laptop, NAMESPACE, `kt-${mode}`);
    const start = (): Running =>
      laptop.start([
        '--output',
        'json',
        '--kubeconfig',
        kubeconfig,
        ...args.map((word) => word.replace('PORT', String(app.port))),
      ]);
    try {
      const printed = await printedRole(mode, kubeconfig);
      await apply(printed);
      await works(start());
      const [role, binding] = parseAllDocuments(printed).map(
        (document) => document.toJS() as Role & { metadata: { name: string } },
      );
      if (!role || !binding) throw new Error(`no Role in ${printed}`);
      const pairs = role.rules.flatMap(({ apiGroups, resources, verbs }) =>
        resources.flatMap((resource) => verbs.map((verb) => ({ group: apiGroups[0] ?? '', resource, verb }))),
      );
      expect(pairs.length).toBe(
        rightsOf({ modes: [mode], forward: [{ verb: 'get', resource: 'pods', subresource: 'portforward' }] }).length,
      );
      for (const without of pairs) {
        const rules = pairs
          .filter((pair) => pair !== without)
          .map(({ group, resource, verb }) => ({ apiGroups: [group], resources: [resource], verbs: [verb] }));
        await apply(JSON.stringify({ ...role, rules }));
        const kt = start();
        const { code } = await kt.exited;
        const error = kt.events.find((event) => event.type === 'error');
        expect({ code, error: error?.code, message: error?.message }).toEqual({
          code: 4,
          error: 'RIGHTS_MISSING',
          message: expect.stringMatching(
            new RegExp(`may not ${without.verb} ${without.resource} in the namespace '${NAMESPACE}'$`),
          ) as string,
        });
      }
      expect(await leftovers(SHOP, NAMESPACE)).toBe('');
    } finally {
      await closeApp(app);
      await kubectl(['-n', NAMESPACE, 'delete', 'role,rolebinding', 'kt', '--ignore-not-found'], 'admin');
    }
  });
});
