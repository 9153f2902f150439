// Rights in RBAC's words: what is missing, in one sentence, and the Role that would give it. Pure: asks nobody (access.ts does).
// Called by access.ts and status.ts. Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
import { KtError } from '../errors.ts';

export interface Right {
  readonly verb: string;
  /** Plural, as in RBAC: `pods`. */
  readonly resource: string;
  readonly subresource?: string;
  /** API group; the core group where there is none. */
  readonly group?: string;
}

export const sameRight = (a: Right, b: Right): boolean =>
  a.verb === b.verb &&
  a.resource === b.resource &&
  a.subresource === b.subresource &&
  (a.group ?? '') === (b.group ?? '');

const fullName = ({ resource, subresource }: Right): string => (subresource ? `${resource}/${subresource}` : resource);

/** `get pods/portforward and create, delete pods`. */
export function rightsText(rights: readonly Right[]): string {
  const texts = rules(rights).map(({ verbs, names }) => `${verbs.join(', ')} ${names.join(', ')}`);
  const last = texts.pop() ?? '';
  return texts.length > 0 ? `${texts.join(', ')} and ${last}` : last;
}

/** RIGHTS_MISSING that names the rights and the Role to ask for. Without a namespace the right is cluster-wide. */
export function missingRights(
  namespace: string | undefined,
  rights: readonly Right[],
  user?: string,
  cause?: unknown,
): KtError {
  const who = user ? `the user '${user}'` : 'you';
  const where = namespace ? `in the namespace '${namespace}'` : 'in the cluster';
  return new KtError('RIGHTS_MISSING', `${who} may not ${rightsText(rights)} ${where}`, {
    hint: `ask who runs the cluster for ${namespace ? `a Role in '${namespace}'` : 'a ClusterRole'} with: ${rules(rights).map(ruleText).join('; ')}`,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The Role, bound to `user`, as YAML to hand to who runs the cluster. */
export function roleYaml(namespace: string, rights: readonly Right[], user: string): string {
  const lines = rules(rights).map(
    ({ group, names, verbs }) =>
      `  - apiGroups: ["${group}"]\n    resources: [${names.join(', ')}]\n    verbs: [${verbs.join(', ')}]\n`,
  );
  const metadata = `metadata: {name: kt, namespace: ${namespace}}\n`;
  return (
    `apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n${metadata}rules:\n${lines.join('')}---\n` +
    `apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n${metadata}` +
    `roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: kt}\n` +
    `subjects:\n  - {kind: User, apiGroup: rbac.authorization.k8s.io, name: ${JSON.stringify(user)}}\n`
  );
}

interface Rule {
  readonly group: string;
  readonly names: readonly string[];
  readonly verbs: readonly string[];
}

const ruleText = ({ group, names, verbs }: Rule): string =>
  `{apiGroups: ["${group}"], resources: [${names.join(', ')}], verbs: [${verbs.join(', ')}]}`;

/** Rights as few rules: verbs of one resource together, then resources with the same verbs. */
function rules(rights: readonly Right[]): Rule[] {
  const verbsOf = new Map<string, Set<string>>();
  for (const right of rights) {
    const key = `${right.group ?? ''} ${fullName(right)}`;
    verbsOf.set(key, (verbsOf.get(key) ?? new Set()).add(right.verb));
  }
  const merged = new Map<string, { group: string; names: string[]; verbs: string[] }>();
  for (const [key, set] of verbsOf) {
    const [group = '', name = ''] = key.split(' ');
    const verbs = [...set];
    const rule = merged.get(`${group} ${verbs.join()}`);
    if (rule) rule.names.push(name);
    else merged.set(`${group} ${verbs.join()}`, { group, names: [name], verbs });
  }
  return [...merged.values()];
}
