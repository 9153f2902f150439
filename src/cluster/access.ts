// Asks the API server what the user may do (SelfSubjectAccessReview), all questions at once. Every authenticated user may ask.
// Words and Roles for what is missing are in rights.ts. Called by session/reach.ts before anything is made.
import type { ClusterApi } from './rest.ts';
import type { Right } from './rights.ts';

export { missingRights, type Right, rightsText, roleYaml } from './rights.ts';

const REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
/** Milliseconds for all answers: the reviews are cheap, so a slow one means a line that is down. */
const LIMIT_MS = 10_000;

interface Review {
  readonly status?: { readonly allowed?: boolean };
}

/** Those of `rights` that the user does not have in `namespace`, in the order and as the objects they were given. */
export async function checkAccess(
  api: ClusterApi,
  namespace: string,
  rights: readonly Right[],
  signal?: AbortSignal,
): Promise<Right[]> {
  const allowed = await Promise.all(
    rights.map(async ({ verb, resource, subresource, group }) => {
      const resourceAttributes = { namespace, verb, resource, group: group ?? '', subresource: subresource ?? '' };
      const body = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes },
      };
      const review = await api.request<Review>('POST', REVIEWS, {
        body,
        timeoutMs: LIMIT_MS,
        ...(signal ? { signal } : {}),
      });
      return review.status?.allowed === true;
    }),
  );
  return rights.filter((_, index) => !allowed[index]);
}
