// Reads what a take-over has to know of the namespace: the Service that a target means, its pods, and the agent's pods.
// Changes nothing. Called by plan.ts, apply.ts, restore.ts and the modes.
import { asKtError, KtError } from '../../errors.ts';
import type { Pod } from '../agent-lifecycle.ts';
import { deploymentPath, podPath, servicePath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { statusCode } from '../status.ts';
import { agentLabels } from './manifests.ts';
import { LABEL_SERVICE, type ServiceObject } from './types.ts';

export interface OwnerReference {
  readonly kind: string;
  readonly name: string;
  readonly controller?: boolean;
}

export interface PodObject extends Pod {
  readonly metadata: Pod['metadata'] & {
    readonly resourceVersion?: string;
    readonly ownerReferences?: readonly OwnerReference[];
  };
  readonly spec?: {
    readonly hostname?: string;
    readonly subdomain?: string;
    readonly containers?: readonly {
      readonly name: string;
      readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
    }[];
  };
}

/** The object, or undefined where there is none. */
export async function find<T>(api: ClusterApi, path: string, signal?: AbortSignal): Promise<T | undefined> {
  try {
    return await api.request<T>('GET', path, { signal });
  } catch (error) {
    if (statusCode(error) === 404) return undefined;
    throw error;
  }
}

export async function list<T>(
  api: ClusterApi,
  path: string,
  labelSelector?: string,
  signal?: AbortSignal,
): Promise<T[]> {
  const query = labelSelector === undefined ? {} : { labelSelector };
  const { items } = await api.request<{ items: T[] }>('GET', path, { query, signal });
  return items;
}

/** null: the user may not list them. */
export async function listIfAllowed<T>(
  api: ClusterApi,
  path: string,
  labelSelector?: string,
  signal?: AbortSignal,
): Promise<T[] | null> {
  try {
    return await list<T>(api, path, labelSelector, signal);
  } catch (error) {
    if (asKtError(error).code === 'RIGHTS_MISSING') return null;
    throw error;
  }
}

export const selectorText = (selector: Readonly<Record<string, string>>): string =>
  Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');

/** Does a Service's selector choose pods with these labels? An empty one chooses none. */
export function selects(
  selector: Readonly<Record<string, string>> = {},
  labels: Readonly<Record<string, string>> = {},
): boolean {
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value);
}

/** Pods of a taken Service's agent, newest first. */
export const agentPods = (api: ClusterApi, namespace: string, service: string, signal?: AbortSignal): Promise<Pod[]> =>
  podsOf(api, namespace, agentLabels(service), signal);

/** Pods with these labels, newest first. */
export async function podsOf(
  api: ClusterApi,
  namespace: string,
  labels: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<Pod[]> {
  const pods = await list<Pod & { metadata: { creationTimestamp?: string } }>(
    api,
    podPath(namespace),
    selectorText(labels),
    signal,
  );
  const made = (pod: { metadata: { creationTimestamp?: string } }): string => pod.metadata.creationTimestamp ?? '';
  return pods.sort((one, other) => made(other).localeCompare(made(one)));
}

export const isReady = (pod: Pod): boolean =>
  pod.metadata.deletionTimestamp === undefined &&
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;

/** Its program runs, whether or not it takes callers. */
export const isStarted = (pod: Pod): boolean =>
  pod.metadata.deletionTimestamp === undefined && pod.status?.containerStatuses?.[0]?.started === true;

const KINDS: Readonly<Record<string, 'service' | 'deployment' | 'pod'>> = {
  svc: 'service',
  service: 'service',
  services: 'service',
  deploy: 'deployment',
  deployment: 'deployment',
  deployments: 'deployment',
  pod: 'pod',
  pods: 'pod',
};

/** The Service that `orders`, `svc/orders`, `deploy/orders` or `pod/orders-0` means. Rejects with SERVICE_NOT_FOUND, USAGE. */
export async function resolveService(api: ClusterApi, namespace: string, target: string): Promise<ServiceObject> {
  const [first = '', second] = target.split('/');
  const kind = second === undefined ? 'service' : KINDS[first.toLowerCase()];
  const name = second ?? first;
  if (kind === undefined || name === '' || target.split('/').length > 2)
    throw new KtError('USAGE', `'${target}' is not NAME, svc/NAME, deploy/NAME or pod/NAME`);
  const missing = (what: string): KtError =>
    new KtError('SERVICE_NOT_FOUND', `there is no ${what} '${name}' in the namespace '${namespace}'`, {
      hint: `kubectl -n ${namespace} get ${what}s shows what there is; -n chooses another namespace`,
    });
  if (kind === 'service') {
    const service = await find<ServiceObject>(api, servicePath(namespace, name));
    if (!service) throw missing('service');
    return service;
  }
  interface Workload {
    readonly metadata: { readonly labels?: Record<string, string> };
    readonly spec?: { readonly template?: { readonly metadata?: { readonly labels?: Record<string, string> } } };
  }
  const path = kind === 'pod' ? podPath(namespace, name) : deploymentPath(namespace, name);
  const workload = await find<Workload>(api, path);
  if (!workload) throw missing(kind);
  const labels = (kind === 'pod' ? workload.metadata.labels : workload.spec?.template?.metadata?.labels) ?? {};
  const all = await list<ServiceObject>(api, servicePath(namespace));
  // While a Service is taken its origin has the selector.
  const meant = (service: ServiceObject): ServiceObject => {
    const { 'kt/role': role, [LABEL_SERVICE]: taken } = service.metadata.labels ?? {};
    return (role === 'origin' && all.find(({ metadata }) => metadata.name === taken)) || service;
  };
  const services = [...new Set(all.filter(({ spec }) => selects(spec.selector, labels)).map(meant))];
  const [only, ...others] = services;
  if (!only) throw new KtError('SERVICE_NOT_FOUND', `no Service in '${namespace}' leads to the ${kind} '${name}'`);
  if (others.length > 0)
    throw new KtError('USAGE', `several Services lead to the ${kind} '${name}': name one of them`, {
      hint: services.map(({ metadata }) => `svc/${metadata.name}`).join(', '),
    });
  return only;
}
