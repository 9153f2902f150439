// The table of resources that the playground serves: names, kinds, subresources. Discovery, routing and storage all read it.
// Adding a resource is adding a line. No behaviour in here.

import type { ApiObject, ConfigData, EndpointSlice, EventObject, Pod, Quota, Service, Workload } from '../types.ts';

export interface ResourceType<T extends ApiObject = ApiObject> {
  /** Never set: it carries the type of the objects from here to the store's methods. */
  readonly stored?: T;
  /** '' is the core group. */
  readonly group: string;
  readonly version: string;
  /** Plural, as in URLs. */
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  /** In `kubectl get all`-like order of discovery: what comes after the slash, and its verbs. */
  readonly subresources?: Readonly<Record<string, readonly string[]>>;
}

export const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const;

const STATUS = { status: ['get', 'patch', 'update'] } as const;
const SCALE = { ...STATUS, scale: ['get', 'patch', 'update'] } as const;

type Names = Omit<ResourceType, 'stored'>;

function core(name: string, kind: string, more: Partial<Names> = {}): Names {
  return { group: '', version: 'v1', name, kind, namespaced: true, ...more };
}

function apps(name: string, kind: string, shortName: string): Names {
  return {
    group: 'apps',
    version: 'v1',
    name,
    kind,
    namespaced: true,
    shortNames: [shortName],
    categories: ['all'],
    subresources: SCALE,
  };
}

export const PODS: ResourceType<Pod> = core('pods', 'Pod', {
  shortNames: ['po'],
  categories: ['all'],
  // The kubelet alone writes their status.
  subresources: { log: ['get'], portforward: ['create', 'get'], status: ['get'] },
});
export const SERVICES: ResourceType<Service> = core('services', 'Service', {
  shortNames: ['svc'],
  categories: ['all'],
  subresources: STATUS,
});
export const ENDPOINTS: ResourceType = core('endpoints', 'Endpoints', { shortNames: ['ep'] });
export const CONFIG_MAPS: ResourceType<ConfigData> = core('configmaps', 'ConfigMap', { shortNames: ['cm'] });
export const SECRETS: ResourceType<ConfigData> = core('secrets', 'Secret');
export const EVENTS: ResourceType<EventObject> = core('events', 'Event', { shortNames: ['ev'] });
export const NAMESPACES: ResourceType = core('namespaces', 'Namespace', { namespaced: false, shortNames: ['ns'] });
export const QUOTAS: ResourceType<Quota> = core('resourcequotas', 'ResourceQuota', {
  shortNames: ['quota'],
  subresources: STATUS,
});
export const SERVICE_ACCOUNTS: ResourceType = core('serviceaccounts', 'ServiceAccount', { shortNames: ['sa'] });
export const DEPLOYMENTS: ResourceType<Workload> = apps('deployments', 'Deployment', 'deploy');
export const REPLICA_SETS: ResourceType<Workload> = apps('replicasets', 'ReplicaSet', 'rs');
export const STATEFUL_SETS: ResourceType<Workload> = apps('statefulsets', 'StatefulSet', 'sts');
export const DAEMON_SETS: ResourceType = apps('daemonsets', 'DaemonSet', 'ds');
export const ENDPOINT_SLICES: ResourceType<EndpointSlice> = {
  group: 'discovery.k8s.io',
  version: 'v1',
  name: 'endpointslices',
  kind: 'EndpointSlice',
  namespaced: true,
};
export const LEASES: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  name: 'leases',
  kind: 'Lease',
  namespaced: true,
};

export const RESOURCES: readonly ResourceType[] = [
  CONFIG_MAPS,
  ENDPOINTS,
  EVENTS,
  NAMESPACES,
  PODS,
  QUOTAS,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
  DAEMON_SETS,
  DEPLOYMENTS,
  REPLICA_SETS,
  STATEFUL_SETS,
  ENDPOINT_SLICES,
  LEASES,
];

export function apiVersionOf(type: ResourceType): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

/** `pods`, `deployments.apps`: the name in messages of the API server. */
export function qualifiedName(type: ResourceType): string {
  return type.group === '' ? type.name : `${type.name}.${type.group}`;
}

export function findResource(group: string, version: string, name: string): ResourceType | undefined {
  return RESOURCES.find((type) => type.group === group && type.version === version && type.name === name);
}

export function findKind(apiVersion: string, kind: string): ResourceType | undefined {
  return RESOURCES.find((type) => apiVersionOf(type) === apiVersion && type.kind === kind);
}
