// Who may do what in the playground: bearer tokens made at start, and rules in the shape of RBAC. Each user is there to show one of
// kt's messages: `dev`, `ana` and `leo` (everything kt needs; three, because a Service may be shared), `reader` (looks only),
// `forwarder` (port-forward, creates nothing), `expired` (401), `admin` (everything).
// The rules of all but the last are those of an ordinary team: rights in two namespaces, none beyond.
import { randomBytes } from 'node:crypto';
import { ApiError, unauthorized } from './status.ts';

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

export interface Attributes {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

export interface User {
  readonly name: string;
  readonly groups: readonly string[];
  readonly token: string;
  /** By namespace; '*' is every namespace and the cluster scope. */
  readonly rules: ReadonlyMap<string, readonly Rule[]>;
}

const DEVELOPERS = ['dev', 'ana', 'leo'];
const LOOK = ['get', 'list', 'watch'];
const WORKLOADS = [
  'pods',
  'services',
  'endpoints',
  'configmaps',
  'deployments',
  'replicasets',
  'statefulsets',
  'endpointslices',
];
const GROUPS = ['', 'apps', 'discovery.k8s.io'];

const READER: readonly Rule[] = [{ apiGroups: GROUPS, resources: WORKLOADS, verbs: LOOK }];
const FORWARDER: readonly Rule[] = [
  { apiGroups: [''], resources: ['pods', 'services'], verbs: ['get', 'list'] },
  { apiGroups: [''], resources: ['pods/portforward'], verbs: ['get', 'create'] },
];
const DEV: readonly Rule[] = [
  { apiGroups: GROUPS, resources: [...WORKLOADS, 'events', 'resourcequotas'], verbs: LOOK },
  { apiGroups: [''], resources: ['pods'], verbs: ['create', 'delete', 'patch'] },
  { apiGroups: [''], resources: ['pods/log', 'pods/status'], verbs: ['get'] },
  { apiGroups: [''], resources: ['pods/portforward', 'pods/exec'], verbs: ['get', 'create'] },
  {
    apiGroups: ['', 'apps'],
    resources: ['services', 'configmaps', 'deployments', 'deployments/scale'],
    verbs: ['create', 'update', 'patch', 'delete'],
  },
  {
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    verbs: [...LOOK, 'create', 'update', 'patch', 'delete'],
  },
];
const ADMIN: readonly Rule[] = [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }];

/** What every user who has proved who they are may do (system:basic-user). */
export const EVERYBODY: readonly Rule[] = [
  {
    apiGroups: ['authorization.k8s.io'],
    resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
    verbs: ['create'],
  },
  { apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'], verbs: ['create'] },
];

const ANONYMOUS: User = {
  name: 'system:anonymous',
  groups: ['system:unauthenticated'],
  token: '',
  rules: new Map(),
};

function matches(rule: Rule, asked: Attributes): boolean {
  const resource = asked.subresource ? `${asked.resource}/${asked.subresource}` : asked.resource;
  const has = (list: readonly string[], value: string): boolean => list.includes('*') || list.includes(value);
  return has(rule.apiGroups, asked.group) && has(rule.resources, resource) && has(rule.verbs, asked.verb);
}

export class Users {
  readonly #all: readonly User[];

  constructor(namespaces: readonly string[]) {
    const user = (name: string, groups: readonly string[], rules: readonly Rule[], where = namespaces): User => ({
      name,
      groups: [...groups, 'system:authenticated'],
      token: randomBytes(24).toString('base64url'),
      rules: new Map(where.map((namespace) => [namespace, rules])),
    });
    this.#all = [
      ...DEVELOPERS.map((name) => user(name, ['developers'], DEV)),
      user('reader', [], READER),
      user('forwarder', [], FORWARDER),
      user('expired', [], []),
      user('admin', ['system:masters'], ADMIN, ['*']),
    ];
  }

  list(): readonly User[] {
    return this.#all;
  }

  /** Throws 401 for a token that is not known, and for the one that has expired. No token at all is the anonymous user. */
  authenticate(authorization: string | undefined): User {
    if (authorization === undefined) return ANONYMOUS;
    const token = /^Bearer\s+(\S+)$/i.exec(authorization)?.[1];
    const user = this.#all.find((candidate) => candidate.token === token);
    if (user === undefined || user.name === 'expired') throw unauthorized();
    return user;
  }

  rulesOf(user: User, namespace: string | undefined): readonly Rule[] {
    const own = [...(user.rules.get('*') ?? []), ...(namespace === undefined ? [] : (user.rules.get(namespace) ?? []))];
    return user === ANONYMOUS ? own : [...EVERYBODY, ...own];
  }

  allowed(user: User, asked: Attributes): boolean {
    return this.rulesOf(user, asked.namespace).some((rule) => matches(rule, asked));
  }

  /** Throws 403 in the words of RBAC. */
  authorize(user: User, asked: Attributes): void {
    if (this.allowed(user, asked)) return;
    const kind = asked.group === '' ? asked.resource : `${asked.resource}.${asked.group}`;
    const subject = asked.name ? `${kind} "${asked.name}"` : kind;
    const resource = asked.subresource ? `${asked.resource}/${asked.subresource}` : asked.resource;
    const where = asked.namespace === undefined ? 'at the cluster scope' : `in the namespace "${asked.namespace}"`;
    throw new ApiError(
      403,
      'Forbidden',
      `${subject} is forbidden: User "${user.name}" cannot ${asked.verb} resource "${resource}" in API group "${asked.group}" ${where}`,
      {
        ...(asked.name ? { name: asked.name } : {}),
        ...(asked.group === '' ? {} : { group: asked.group }),
        kind: asked.resource,
      },
    );
  }

  /** Paths outside of the resources: discovery for everybody who is known, health and version for all. */
  authorizePath(user: User, path: string): void {
    if (/^\/(version|healthz|livez|readyz)\/?$/.test(path)) return;
    if (user !== ANONYMOUS && /^\/(api|apis|openapi)(\/|$)/.test(path)) return;
    if (user.rules.has('*')) return;
    throw new ApiError(403, 'Forbidden', `forbidden: User "${user.name}" cannot get path "${path}"`, {});
  }
}
