// /version, /api, /apis and what is under them: enough for kubectl and kt to learn which resources there are. Also an empty OpenAPI
// document, which `kubectl apply` asks for. Called by api/server.ts; pure.
import { apiVersionOf, RESOURCES, VERBS } from './resources.ts';
import { REVIEW_GROUPS, REVIEWS } from './reviews.ts';

/** The Kubernetes whose behaviour is imitated. The suffix tells a reader of logs that it is none. */
const VERSION = { major: '1', minor: '34', gitVersion: 'v1.34.4+playground' };

const GROUPS = [...new Set([...RESOURCES.map((type) => type.group), ...REVIEW_GROUPS])].filter((group) => group !== '');

function group(name: string): unknown {
  const version = { groupVersion: `${name}/v1`, version: 'v1' };
  return { name, versions: [version], preferredVersion: version };
}

function resourceList(groupVersion: string): unknown {
  const own = RESOURCES.filter((type) => apiVersionOf(type) === groupVersion).flatMap((type) => [
    {
      name: type.name,
      singularName: type.kind.toLowerCase(),
      namespaced: type.namespaced,
      kind: type.kind,
      verbs: VERBS,
      ...(type.shortNames === undefined ? {} : { shortNames: type.shortNames }),
      ...(type.categories === undefined ? {} : { categories: type.categories }),
    },
    ...Object.entries(type.subresources ?? {}).map(([sub, verbs]) => ({
      name: `${type.name}/${sub}`,
      singularName: '',
      namespaced: type.namespaced,
      ...(sub === 'scale' ? { group: 'autoscaling', version: 'v1', kind: 'Scale' } : { kind: type.kind }),
      verbs,
    })),
  ]);
  const reviews = REVIEWS.filter((review) => `${review.group}/v1` === groupVersion).map((review) => ({
    name: review.name,
    singularName: review.kind.toLowerCase(),
    namespaced: false,
    kind: review.kind,
    verbs: ['create'],
  }));
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: [...own, ...reviews] };
}

/** The answer to a GET of a path outside of the resources: an object (JSON), a text, or undefined where there is none. */
export function discover(path: string): unknown {
  const at = path.replace(/\/$/, '');
  if (at === '/version')
    return { ...VERSION, goVersion: 'none', compiler: 'node', platform: `${process.platform}/${process.arch}` };
  if (at === '/healthz' || at === '/livez' || at === '/readyz') return 'ok';
  if (at === '/api') return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
  if (at === '/apis') return { kind: 'APIGroupList', apiVersion: 'v1', groups: GROUPS.map(group) };
  if (at === '/api/v1') return resourceList('v1');
  if (at === '/openapi/v3') return { paths: {} };
  const [, apis, name = '', version, ...rest] = at.split('/');
  if (apis !== 'apis' || rest.length > 0 || !GROUPS.includes(name)) return undefined;
  if (version === undefined) return { kind: 'APIGroup', apiVersion: 'v1', ...(group(name) as object) };
  return version === 'v1' ? resourceList(`${name}/v1`) : undefined;
}
