// `--drain`: replaces original pods one at a time, so that the connections that callers keep to them end and come to the agent.
// Each pod leaves its ReplicaSet (by its template's hash among its labels) and goes on serving; the ReplicaSet makes another one; when that
// is ready the first one is deleted, with its own grace. So there are never fewer ready pods than before, which keeps every
// PodDisruptionBudget without the right to read it, and the workload itself is not changed. What was taken from a pod is in its journal.
// Called by modes/kept.ts; returnPods also by restore.ts, for a drain that was not finished.
import { setTimeout as wait } from 'node:timers/promises';
import { KtError } from '../../errors.ts';
import { checkAccess, missingRights, type Right } from '../access.ts';
import { deploymentPath, podPath, replicaSetPath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { statusCode } from '../status.ts';
import { find, isReady, list, type OwnerReference, type PodObject, selectorText } from './objects.ts';
import { JOURNAL_ANNOTATION } from './types.ts';

/** On a pod that is being replaced: the Service for which. */
const LABEL_DRAINED = 'kt/drained';
/** Labels by which ReplicaSets tell their pods from those of another revision: of Deployments, and of Argo Rollouts. */
const HASH_LABELS = ['pod-template-hash', 'rollouts-pod-template-hash'];
/** Milliseconds until every kube-proxy has heard of a new pod: its sync period is 1 s. */
const SETTLE_MS = 1_200;
/** Milliseconds for a deleted pod to be gone, beyond what its own grace is. */
const GONE_MS = 15_000;
const POLL_MS = 200;

const RIGHTS: readonly Right[] = [
  { verb: 'patch', resource: 'pods' },
  { verb: 'delete', resource: 'pods' },
  { verb: 'get', resource: 'replicasets', group: 'apps' },
];

type Labels = Readonly<Record<string, string>>;

/** Rejects with RIGHTS_MISSING, or SERVICE_REFUSED where the pods can't be replaced without a moment with fewer of them. */
export async function checkReplaceable(
  api: ClusterApi,
  namespace: string,
  service: string,
  selector: Labels,
): Promise<void> {
  const denied = await checkAccess(api, namespace, RIGHTS);
  if (denied.length > 0) throw missingRights(namespace, denied);
  const pods = await list<PodObject>(api, podPath(namespace), selectorText(selector));
  const no = (why: string, hint: string): KtError =>
    new KtError('SERVICE_REFUSED', `the pods of ${service} can't be drained: ${why}`, { hint });
  const sets = new Set<string>();
  for (const pod of pods) {
    const owner = controllerOf(pod.metadata.ownerReferences);
    if (owner?.kind !== 'ReplicaSet')
      throw no(
        owner ? `${pod.metadata.name} is of the ${owner.kind} ${owner.name}` : `${pod.metadata.name} has no controller`,
        'only pods of Deployments get a successor before they end; leave --drain away, and restart what keeps connections',
      );
    if (hashLabel(pod, selector) === undefined)
      throw no(
        `nothing takes ${pod.metadata.name} out of its ReplicaSet ${owner.name} that leaves it in the Service`,
        'leave --drain away, and restart what keeps connections',
      );
    sets.add(owner.name);
  }
  for (const name of sets) {
    interface Owned {
      readonly metadata: { readonly ownerReferences?: readonly OwnerReference[] };
      readonly spec?: { readonly strategy?: { readonly type?: string } };
    }
    const owner = controllerOf((await find<Owned>(api, replicaSetPath(namespace, name)))?.metadata.ownerReferences);
    if (owner?.kind !== 'Deployment') continue;
    const deployment = await find<Owned>(api, deploymentPath(namespace, owner.name));
    if (deployment?.spec?.strategy?.type === 'Recreate')
      throw no(
        `the Deployment ${owner.name} has the strategy Recreate: two of its pods must not run at once`,
        'leave --drain away, and restart what keeps connections',
      );
  }
}

const controllerOf = (owners: readonly OwnerReference[] = []): OwnerReference | undefined =>
  owners.find(({ controller }) => controller === true);

/** The label by which a pod leaves its ReplicaSet and stays in the Service. */
const hashLabel = ({ metadata: { labels = {} } }: PodObject, selector: Labels): string | undefined =>
  HASH_LABELS.find((key) => labels[key] !== undefined && selector[key] === undefined);

export interface ReplaceOptions {
  readonly service: string;
  /** The Service's own selector. */
  readonly selector: Labels;
  /** Names of the pods to be replaced. */
  readonly pods: readonly string[];
  /** Milliseconds for a successor to be ready. */
  readonly limitMs: number;
  readonly signal: AbortSignal;
  /** Before each pod. */
  readonly onPod: (pod: string, number: number) => void;
}

/** Rejects with AGENT_START-like reasons of the successor (SERVICE_REFUSED), CANCELLED, or what the API says; the pod in turn stays then. */
export async function replacePods(api: ClusterApi, namespace: string, options: ReplaceOptions): Promise<void> {
  for (const [index, name] of options.pods.entries()) {
    const pod = await find<PodObject>(api, podPath(namespace, name), options.signal);
    if (!pod || pod.metadata.deletionTimestamp !== undefined) continue;
    options.onPod(name, index + 1);
    await replaceOne(api, namespace, pod, options);
  }
}

async function replaceOne(api: ClusterApi, namespace: string, pod: PodObject, options: ReplaceOptions): Promise<void> {
  const { service, selector, limitMs, signal } = options;
  const { name, labels = {}, resourceVersion } = pod.metadata;
  const key = hashLabel(pod, selector);
  if (key === undefined) return;
  const others = async (): Promise<number> => {
    const pods = await list<PodObject>(api, podPath(namespace), `${selectorText(selector)},!${LABEL_DRAINED}`, signal);
    // Not this one, also where another kt has given it back to its ReplicaSet meanwhile.
    return pods.filter((one) => isReady(one) && one.metadata.name !== name).length;
  };
  const wanted = (await others()) + (isReady(pod) ? 1 : 0);
  await patchPod(api, namespace, name, {
    resourceVersion,
    labels: { [key]: null, [LABEL_DRAINED]: service },
    annotations: { [JOURNAL_ANNOTATION]: JSON.stringify({ labels: { [key]: labels[key] } }) },
  });
  try {
    const end = performance.now() + limitMs;
    // Again behind the settle time: a successor may be ready for a moment only.
    while ((await others()) < wanted || (await settled(others, signal)) < wanted) {
      if (performance.now() > end)
        throw new KtError(
          'SERVICE_REFUSED',
          `no successor of ${name} was ready within ${Math.round(limitMs / 1000)} s`,
          {
            hint: `kubectl -n ${namespace} get events; the pod goes on as before`,
          },
        );
      await wait(POLL_MS, undefined, { signal });
    }
    await api.request('DELETE', podPath(namespace, name), { signal });
  } catch (error) {
    await returnPods(api, namespace, service).catch(() => undefined);
    throw error;
  }
  await gone(api, namespace, name, signal);
}

async function settled(look: () => Promise<number>, signal: AbortSignal): Promise<number> {
  await wait(SETTLE_MS, undefined, { signal });
  return look();
}

/** Its callers have moved when it is; one that takes longer ends without us. */
async function gone(api: ClusterApi, namespace: string, name: string, signal: AbortSignal): Promise<void> {
  interface Graceful {
    readonly metadata: { readonly deletionGracePeriodSeconds?: number };
  }
  let end: number | undefined;
  for (;;) {
    const pod = await find<Graceful>(api, podPath(namespace, name), signal);
    if (!pod) return;
    end ??= performance.now() + (pod.metadata.deletionGracePeriodSeconds ?? 0) * 1_000 + GONE_MS;
    if (performance.now() > end) return;
    await wait(POLL_MS, undefined, { signal });
  }
}

/** Pods that were taken out and not deleted come back to their ReplicaSets, which then have one too many and end the newest. */
export async function returnPods(api: ClusterApi, namespace: string, service: string): Promise<void> {
  const pods = await list<PodObject>(api, podPath(namespace), `${LABEL_DRAINED}=${service}`);
  for (const { metadata } of pods) {
    if (metadata.deletionTimestamp !== undefined) continue;
    await patchPod(api, namespace, metadata.name, {
      labels: { ...takenLabels(metadata.annotations?.[JOURNAL_ANNOTATION]), [LABEL_DRAINED]: null },
      annotations: { [JOURNAL_ANNOTATION]: null },
    });
  }
}

function takenLabels(journal: string | undefined): Labels {
  try {
    const { labels } = JSON.parse(journal ?? '{}') as { labels?: Labels };
    return Object.fromEntries(
      HASH_LABELS.flatMap((key) => (typeof labels?.[key] === 'string' ? [[key, labels[key]]] : [])),
    );
  } catch {
    return {};
  }
}

interface PodPatch {
  readonly resourceVersion?: string | undefined;
  readonly labels: Readonly<Record<string, string | null>>;
  readonly annotations: Readonly<Record<string, string | null>>;
}

async function patchPod(api: ClusterApi, namespace: string, name: string, metadata: PodPatch): Promise<void> {
  try {
    await api.request('PATCH', podPath(namespace, name), {
      body: { metadata },
      contentType: 'application/merge-patch+json',
    });
  } catch (error) {
    if (statusCode(error) !== 404) throw error;
  }
}
