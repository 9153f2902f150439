// What stands between a request that has the rights and the store: the namespace must exist, Pod Security, the quota of pods.
// Used by the API handlers and, for the pods of workloads, by the controllers (which turn the refusal into an event).

import type { Store } from '../store.ts';
import type { Manifest, PodSpec, PodTemplate } from '../types.ts';
import { type Level, violations } from './pod-security.ts';
import { NAMESPACES, PODS, QUOTAS, type ResourceType } from './resources.ts';
import { forbidden, notFound } from './status.ts';

function enforced(store: Store, namespace: string): Level {
  const level = store.get(NAMESPACES, undefined, namespace)?.metadata.labels?.['pod-security.kubernetes.io/enforce'];
  return level === 'restricted' || level === 'baseline' ? level : 'privileged';
}

function overQuota(store: Store, namespace: string): string | undefined {
  for (const quota of store.list(QUOTAS, namespace)) {
    for (const key of ['pods', 'count/pods']) {
      const hard = quota.spec.hard?.[key];
      if (hard === undefined) continue;
      const used = store
        .list(PODS, namespace)
        .filter((pod) => pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed').length;
      if (used >= Number(hard))
        return `exceeded quota: ${quota.metadata.name}, requested: ${key}=1, used: ${key}=${used}, limited: ${key}=${hard}`;
    }
  }
  return undefined;
}

/** Throws 404. */
export function admitNamespace(store: Store, namespace: string | undefined): void {
  if (namespace !== undefined && store.get(NAMESPACES, undefined, namespace) === undefined)
    throw notFound(NAMESPACES, namespace);
}

/** Throws 403. Other resources than pods pass. */
export function admitPod(store: Store, type: ResourceType, manifest: Manifest): void {
  const namespace = manifest.metadata.namespace;
  if (type !== PODS || namespace === undefined) return;
  const why = violations(enforced(store, namespace), manifest['spec'] as PodSpec) ?? overQuota(store, namespace);
  if (why !== undefined) throw forbidden(PODS, manifest.metadata.name ?? '', why);
}

/** The text of the HTTP `Warning` header for a workload whose pods would be refused. */
export function warningFor(store: Store, manifest: Manifest): string | undefined {
  const template = (manifest['spec'] as { template?: PodTemplate } | undefined)?.template;
  if (template?.spec === undefined || manifest.metadata.namespace === undefined) return undefined;
  const why = violations(enforced(store, manifest.metadata.namespace), template.spec);
  return why === undefined ? undefined : `would ${why.replace('violates', 'violate')}`;
}
