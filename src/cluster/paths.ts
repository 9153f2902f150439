// Where the API has the objects of a namespace that kt looks at: paths for ClusterApi. Pure. Called by whoever asks for them.
import { KtError } from '../errors.ts';

/** Throws USAGE for what a URL takes for a step upwards (RFC 3986 §5.2.4): another object would be meant, and no object has such a name. */
function segment(name: string): string {
  if (name === '.' || name === '..') throw new KtError('USAGE', `'${name}' is no name in Kubernetes`);
  return encodeURIComponent(name);
}

const core = (namespace: string): string => `/api/v1/namespaces/${segment(namespace)}`;
const inGroup = (group: string, namespace: string): string => `/apis/${group}/namespaces/${segment(namespace)}`;
const named = (collection: string, name: string | undefined): string =>
  name === undefined ? collection : `${collection}/${segment(name)}`;

export const namespacesPath = '/api/v1/namespaces';
/** Without a name: all of them. */
export const servicePath = (namespace: string, name?: string): string => named(`${core(namespace)}/services`, name);
export const podPath = (namespace: string, name?: string): string => named(`${core(namespace)}/pods`, name);
export const configMapPath = (namespace: string, name?: string): string => named(`${core(namespace)}/configmaps`, name);
export const eventsPath = (namespace: string): string => `${core(namespace)}/events`;
export const deploymentPath = (namespace: string, name?: string): string =>
  named(`${inGroup('apps/v1', namespace)}/deployments`, name);
export const replicaSetPath = (namespace: string, name?: string): string =>
  named(`${inGroup('apps/v1', namespace)}/replicasets`, name);
export const autoscalersPath = (namespace: string): string =>
  `${inGroup('autoscaling/v2', namespace)}/horizontalpodautoscalers`;
export const endpointSlicesPath = (namespace: string): string =>
  `${inGroup('discovery.k8s.io/v1', namespace)}/endpointslices`;
export const secretPath = (namespace: string, name: string): string => named(`${core(namespace)}/secrets`, name);
export const tokenPath = (namespace: string, serviceAccount: string): string =>
  `${named(`${core(namespace)}/serviceaccounts`, serviceAccount)}/token`;
/** `group` with its version, as in `apiVersion`: `v1`, `apps/v1`. */
export const workloadPath = (group: string, resource: string, namespace: string, name: string): string =>
  named(`${group.includes('/') ? inGroup(group, namespace) : core(namespace)}/${resource}`, name);
export const ingressesPath = (namespace: string): string => `${inGroup('networking.k8s.io/v1', namespace)}/ingresses`;
