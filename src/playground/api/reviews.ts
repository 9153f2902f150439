// SelfSubjectAccessReview and SelfSubjectRulesReview: what `kubectl auth can-i` and kt ask before they act. Nothing is stored.
// Called by api/server.ts.

import { badRequest, noSuchPath } from './status.ts';
import { EVERYBODY, type User, type Users } from './users.ts';

interface ResourceAttributes {
  readonly namespace?: string;
  readonly verb?: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly name?: string;
}

const HEALTH = ['/healthz', '/livez', '/readyz', '/version', '/version/'];
const DISCOVERY = ['/api', '/api/*', '/apis', '/apis/*', '/openapi', '/openapi/*'];

function accessReview(
  users: Users,
  user: User,
  spec: { readonly resourceAttributes?: ResourceAttributes; nonResourceAttributes?: object },
): unknown {
  const asked = spec.resourceAttributes;
  if (asked === undefined) {
    if (spec.nonResourceAttributes === undefined)
      throw badRequest('exactly one of nonResourceAttributes or resourceAttributes must be specified');
    return { allowed: true };
  }
  const namespace = asked.namespace === '' ? undefined : asked.namespace;
  const allowed = users.allowed(user, {
    verb: asked.verb ?? '',
    group: asked.group ?? '',
    resource: asked.resource ?? '',
    subresource: asked.subresource,
    name: asked.name,
    namespace,
  });
  return allowed ? { allowed, reason: `RBAC: allowed for User "${user.name}" by the playground` } : { allowed };
}

function rulesReview(users: Users, user: User, namespace: string): unknown {
  return {
    resourceRules: users.rulesOf(user, namespace),
    nonResourceRules: [{ verbs: ['get'], nonResourceURLs: [...HEALTH, ...DISCOVERY] }],
    incomplete: false,
  };
}

/** POST of a review: the object with its status. Throws 404 for a review that is not served. */
export function review(users: Users, user: User, resource: string, body: Record<string, unknown>): unknown {
  const spec = (body['spec'] ?? {}) as Record<string, unknown>;
  const answer = (kind: string, group: string, status: unknown): unknown => ({
    kind,
    apiVersion: `${group}/v1`,
    metadata: {},
    spec,
    status,
  });
  switch (resource) {
    case 'selfsubjectaccessreviews':
      return answer('SelfSubjectAccessReview', 'authorization.k8s.io', accessReview(users, user, spec));
    case 'selfsubjectrulesreviews': {
      const namespace = spec['namespace'];
      if (typeof namespace !== 'string' || namespace === '') throw badRequest('no namespace on request');
      return answer('SelfSubjectRulesReview', 'authorization.k8s.io', rulesReview(users, user, namespace));
    }
    case 'selfsubjectreviews':
      return answer('SelfSubjectReview', 'authentication.k8s.io', {
        userInfo: { username: user.name, groups: user.groups },
      });
    default:
      throw noSuchPath();
  }
}

/** The resources of the review groups, for discovery. */
export const REVIEWS: readonly { readonly group: string; readonly name: string; readonly kind: string }[] = [
  { group: 'authorization.k8s.io', name: 'selfsubjectaccessreviews', kind: 'SelfSubjectAccessReview' },
  { group: 'authorization.k8s.io', name: 'selfsubjectrulesreviews', kind: 'SelfSubjectRulesReview' },
  { group: 'authentication.k8s.io', name: 'selfsubjectreviews', kind: 'SelfSubjectReview' },
];

export const REVIEW_GROUPS: readonly string[] = [...new Set(EVERYBODY.flatMap((rule) => rule.apiGroups))];
