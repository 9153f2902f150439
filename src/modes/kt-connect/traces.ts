// What kt-connect leaves in a namespace, read from its labels and annotations: who exchanges, meshes, previews and is connected. Pure.
// It notes a user (kt-user) on its shadow pods, the original selector (kt-selector) and a lock (kt-lock) on the Service.
// Called by birdseye/overview.ts and recover.ts.
import { selects } from '../../cluster/takeover/objects.ts';
import type { ServiceObject } from '../../cluster/takeover/types.ts';
import type { Connector, ServiceState, ServiceUser } from '../../session/overview.ts';

/** The part of a Kubernetes Pod (v1) that counts here. */
export interface PodTrace {
  readonly metadata: {
    readonly name: string;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly status?: { readonly phase?: string };
}

/** On everything that kt-connect creates. */
export const KT_CONNECT_LABEL = 'control-by=kt';
/** Seconds that its lock counts; older ones are left over. */
export const LOCK_S = 180;

export interface KtConnectState {
  readonly state: ServiceState;
  readonly by: readonly ServiceUser[];
  readonly notes: readonly string[];
}

const isShadow = (pod: PodTrace, role: string): boolean => pod.metadata.labels?.['kt-role'] === role;

/** Its own helpers: the copy of a meshed Service, and one Service for each version. */
export function isKtConnectHelper({ metadata: { name, labels } }: ServiceObject): boolean {
  return labels?.['control-by'] === 'kt' && (name.endsWith('-kt-stuntman') || name.includes('-kt-mesh-'));
}

/** undefined: kt-connect has not touched it. `pods` undefined: they may not be listed. `now` in milliseconds, for the lock's age. */
export function ktConnectState(
  service: ServiceObject,
  pods: readonly PodTrace[] | undefined,
  now: number,
): KtConnectState | undefined {
  const { name, labels, annotations } = service.metadata;
  const notes = lockNotes(annotations?.['kt-lock'], now);
  const unknown = pods === undefined ? ['pods may not be listed: who it is is not known'] : [];
  const result = (state: ServiceState, users: readonly PodTrace[]): KtConnectState => ({
    state,
    by: users.map((pod) => userOf(pod, state === 'meshed')),
    notes: [
      ...unknown,
      ...notes,
      ...(pods && users.length === 0
        ? [`nobody's pod is there any more: \`kt recover ${name}\` gives it back, if nobody uses it`]
        : []),
    ],
  });
  if (annotations?.['kt-selector'] !== undefined) {
    const selector = service.spec.selector ?? {};
    const selected = (pods ?? []).filter((pod) => selects(selector, pod.metadata.labels));
    const meshed =
      selector['kt-role'] === 'router' ||
      selected.some((pod) => isShadow(pod, 'router')) ||
      (pods ?? []).some((pod) => isMeshPodOf(pod, name));
    if (meshed)
      return result(
        'meshed',
        (pods ?? []).filter((pod) => isMeshPodOf(pod, name)),
      );
    return result('exchanged', selected);
  }
  if (labels?.['control-by'] === 'kt') {
    const selector = service.spec.selector ?? {};
    return result(
      'previewing',
      (pods ?? []).filter((pod) => selects(selector, pod.metadata.labels)),
    );
  }
  // Mesh in manual mode: its pod carries the Service's own labels, and nothing is written on the Service.
  const selector = service.spec.selector ?? {};
  const manual = (pods ?? []).filter((pod) => isShadow(pod, 'shadow-mesh') && selects(selector, pod.metadata.labels));
  if (manual.length > 0) return result('meshed', manual);
  return notes.length > 0 ? { state: 'normal', by: [], notes } : undefined;
}

export function ktConnectConnectors(pods: readonly PodTrace[]): Connector[] {
  return pods
    .filter((pod) => isShadow(pod, 'shadow-connect'))
    .map((pod) => ({
      user: pod.metadata.annotations?.['kt-user'] ?? 'unknown',
      host: null,
      pod: pod.metadata.name,
      since: pod.metadata.creationTimestamp ?? null,
      lastActive: heartbeat(pod),
      tool: 'kt-connect',
    }));
}

function isMeshPodOf(pod: PodTrace, service: string): boolean {
  return isShadow(pod, 'shadow-mesh') && pod.metadata.name.startsWith(`${service}-kt-mesh-`);
}

function userOf(pod: PodTrace, meshed: boolean): ServiceUser {
  const { annotations, creationTimestamp, name } = pod.metadata;
  const at = name.lastIndexOf('-kt-mesh-');
  return {
    user: annotations?.['kt-user'] ?? 'unknown',
    host: null,
    // Its router compares a header whose name only the router's configuration has.
    mark: meshed && at !== -1 ? `version ${name.slice(at + '-kt-mesh-'.length)}` : null,
    since: creationTimestamp ?? null,
    live: null,
    tool: 'kt-connect',
  };
}

function heartbeat({ metadata: { annotations } }: PodTrace): string | null {
  const seconds = Number(annotations?.['kt-last-heart-beat'] ?? '');
  return Number.isSafeInteger(seconds) && seconds > 0 && seconds < 1e11 ? new Date(seconds * 1000).toISOString() : null;
}

function lockNotes(lock: string | undefined, now: number): string[] {
  if (lock === undefined) return [];
  const age = now / 1000 - Number(lock);
  return [age < LOCK_S ? 'kt-connect is changing it right now (kt-lock)' : 'an old lock of kt-connect is left on it'];
}
