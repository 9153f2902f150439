// The Role that kt asks for: right YAML for every choice of modes, each right once, the verb of Kubernetes 1.35 where the server wants it.
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { forwardRights } from '../../../src/cluster/access.ts';
import { modeRights } from '../../../src/modes/doctor/mode-rights.ts';
import { rightsOf, roleRequest } from '../../../src/modes/doctor/rbac.ts';
import { apiFor, startFakeApi } from '../../cluster/support/fake-api.ts';

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

/** `verb group resource`, sorted. */
const flat = (rules: readonly Rule[]): string[] =>
  rules
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group} ${resource}`)),
      ),
    )
    .toSorted();

const MODES = Object.keys(modeRights([]));

describe.each([[], ...MODES.map((mode) => [mode]), MODES])('kt doctor --rbac %s', (...modes: string[]) => {
  test('is YAML of a Role and its binding, with each right once', () => {
    const text = roleRequest({ modes, namespace: 'shop', user: 'anna@corp: "dev"', helpful: true });
    const [role, binding] = parseAllDocuments(text).map((document) => document.toJS() as unknown) as unknown as [
      { kind: string; metadata: object; rules: Rule[] },
      { kind: string; subjects: { name: string }[] },
    ];
    expect(role).toMatchObject({ kind: 'Role', metadata: { namespace: 'shop' } });
    expect(binding).toMatchObject({ kind: 'RoleBinding', subjects: [{ kind: 'User', name: 'anna@corp: "dev"' }] });
    const rights = rightsOf({ modes, helpful: true }).map(
      ({ verb, group = '', resource, subresource }) =>
        `${verb} ${group} ${subresource ? `${resource}/${subresource}` : resource}`,
    );
    expect(flat(role.rules)).toEqual(rights.toSorted());
    expect(new Set(rights).size).toBe(rights.length);
  });
});

test.each([
  ['34', ['get']],
  ['35', ['get', 'create']],
  ['36+', ['get', 'create']],
])('Kubernetes 1.%s: a port-forward takes %j', async (minor, verbs) => {
  const server = await startFakeApi((_, response) => response.end(JSON.stringify({ major: '1', minor })));
  const rights = rightsOf({ modes: ['connect'], forward: await forwardRights(apiFor(server.url)) });
  expect(rights.filter(({ subresource }) => subresource === 'portforward').map(({ verb }) => verb)).toEqual(verbs);
});

test('a mode that there is none of is told with those that there are', () => {
  expect(() => rightsOf({ modes: ['exhange'] })).toThrow(
    expect.objectContaining({ code: 'USAGE', hint: expect.stringContaining('exchange') as string }),
  );
});
