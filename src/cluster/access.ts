// Asks the API server what the user may do (SelfSubjectAccessReview), all questions at once. Every authenticated user may ask.
// Words and Roles for what is missing are in rights.ts. Called before anything is made: by session/reach.ts and takeover/plan.ts.
import type { ClusterApi } from './rest.ts';
import type { Right } from './rights.ts';

export { missingRights, type Right, rightsText, roleYaml, sameRight } from './rights.ts';

const REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
/** Milliseconds for all answers: the reviews are cheap, so a slow one means a line that is down. */
const LIMIT_MS = 10_000;

/** `get` for websockets; from Kubernetes 1.35 on `create` too, as for SPDY (gate AuthorizePodWebsocketUpgradeCreatePermission). */
export const GET_FORWARD: Right = { verb: 'get', resource: 'pods', subresource: 'portforward' };
export const CREATE_FORWARD: Right = { verb: 'create', resource: 'pods', subresource: 'portforward' };
/** Milliseconds for the server's version; without an answer the older rule is assumed, and the API server has the last word anyway. */
const VERSION_MS = 3_000;

/** The rights that a port-forward needs on this server. */
export const forwardRights = async (api: ClusterApi, signal?: AbortSignal): Promise<Right[]> =>
  (await wantsCreate(api, signal)) ? [GET_FORWARD, CREATE_FORWARD] : [GET_FORWARD];

/** Those of a command in a pod. */
export const execRights = async (api: ClusterApi, signal?: AbortSignal): Promise<Right[]> =>
  ((await wantsCreate(api, signal)) ? ['get', 'create'] : ['get']).map((verb) => ({
    verb,
    resource: 'pods',
    subresource: 'exec',
  }));

/** Is `create` asked for beside `get` for a websocket? Everybody may ask for the server's version. */
export async function wantsCreate(api: ClusterApi, signal?: AbortSignal): Promise<boolean> {
  const version = await api
    .request<{ major?: string; minor?: string }>('GET', '/version', { timeoutMs: VERSION_MS, signal })
    .catch(() => undefined);
  const [major, minor] = [Number.parseInt(version?.major ?? '', 10), Number.parseInt(version?.minor ?? '', 10)];
  return major > 1 || (major === 1 && minor >= 35);
}

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
        signal,
      });
      return review.status?.allowed === true;
    }),
  );
  return rights.filter((_, index) => !allowed[index]);
}
