// What kt-connect has left in a namespace without a heartbeat: pods, Deployments, ConfigMaps (with a private key in clear) and Services with its
// label. Called by ../clean.ts; recover.ts uses the same clock and the same deletion.
import { configMapPath, deploymentPath, podPath, servicePath } from '../../cluster/paths.ts';
import type { ClusterApi } from '../../cluster/rest.ts';
import { statusCode } from '../../cluster/status.ts';
import { listIfAllowed } from '../../cluster/takeover/objects.ts';
import { KT_CONNECT_LABEL, type PodTrace } from './traces.ts';

/** It writes its heartbeat every 2 minutes, so 5 minutes without one are the end, as it says itself. */
export const HEARTBEAT_MS = 300_000;

export interface Expired {
  /** `pod/x`. */
  readonly name: string;
  readonly path: string;
}

/** Milliseconds since the epoch by the API server's clock; an object without a heartbeat is as old as its creation. */
export function lastSeen({ metadata: { annotations, creationTimestamp } }: PodTrace): number {
  const seconds = Number(annotations?.['kt-last-heart-beat'] ?? '');
  return seconds > 0 ? seconds * 1000 : Date.parse(creationTimestamp ?? '') || 0;
}

/** Kinds that may not be listed are left out. */
export async function expiredObjects(api: ClusterApi, namespace: string, olderThanMs: number): Promise<Expired[]> {
  const kinds = [
    ['pod', podPath],
    ['deployment', deploymentPath],
    ['configmap', configMapPath],
    ['service', servicePath],
  ] as const;
  const found = await Promise.all(
    kinds.map(async ([kind, path]) =>
      ((await listIfAllowed<PodTrace>(api, path(namespace), KT_CONNECT_LABEL)) ?? [])
        .filter((object) => api.now() - lastSeen(object) > olderThanMs)
        .map(({ metadata: { name } }) => ({ name: `${kind}/${name}`, path: path(namespace, name) })),
    ),
  );
  return found.flat();
}

/** What is gone already is no error. */
export async function deleteObjects(api: ClusterApi, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    try {
      await api.request('DELETE', path, { body: { propagationPolicy: 'Background' } });
    } catch (error) {
      if (statusCode(error) !== 404) throw error;
    }
  }
}
