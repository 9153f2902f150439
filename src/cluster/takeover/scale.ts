// Scales the Deployments behind a taken Service to no pods and back: for services that must not run twice (queue consumers, schedulers) and for
// callers that go around the Service. The old numbers are in the journal before anything is scaled. Called by plan.ts, modes/hold.ts, restore.ts.
import { setTimeout as wait } from 'node:timers/promises';
import { asKtError, KtError } from '../../errors.ts';
import { autoscalersPath, deploymentPath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { statusCode } from '../status.ts';
import { callersMoved, podsReachable } from './endpoints.ts';
import { journalOf, withoutScaled } from './journal.ts';
import { nameFor } from './manifests.ts';
import { find, list, selects } from './objects.ts';
import type { ScaledWorkload, ServiceObject } from './types.ts';
import { writeService } from './write-service.ts';

const POLL_MS = 500;

interface Deployment {
  readonly metadata: {
    readonly name: string;
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
  };
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: { readonly metadata?: { readonly labels?: Record<string, string> } };
  };
  readonly status?: { readonly readyReplicas?: number };
}

interface Autoscaler {
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly scaleTargetRef?: { readonly kind?: string; readonly name?: string } };
}

export interface ScalePlan {
  readonly scaled: readonly ScaledWorkload[];
  readonly warnings: readonly string[];
}

/** What would be scaled, and who else scales it. Rejects with SERVICE_REFUSED where no Deployment with pods is behind the Service. */
export async function planScale(api: ClusterApi, namespace: string, service: ServiceObject): Promise<ScalePlan> {
  const { name } = service.metadata;
  const behind = (await list<Deployment>(api, deploymentPath(namespace))).filter(({ spec }) =>
    selects(service.spec.selector, spec?.template?.metadata?.labels),
  );
  const running = behind.filter(({ spec }) => (spec?.replicas ?? 1) > 0);
  if (running.length === 0)
    throw new KtError(
      'SERVICE_REFUSED',
      behind.length === 0
        ? `no Deployment is behind ${name}, and --mode scale can scale nothing else`
        : `${behind.map(({ metadata }) => metadata.name).join(', ')} behind ${name} has no pods already`,
      { hint: 'without --mode scale its pods go on and answer when this laptop is away' },
    );
  const scaled = running.map(({ metadata, spec }) => ({ name: metadata.name, replicas: spec?.replicas ?? 1 }));
  const owners = running.flatMap(({ metadata }) =>
    (metadata.ownerReferences ?? []).map(
      (owner) => `${metadata.name} belongs to ${owner.kind} ${owner.name}, which may scale it back`,
    ),
  );
  return {
    scaled,
    warnings: [
      `${name} has no pods of its own meanwhile: when this laptop is away, nobody answers until it is given back`,
      ...owners,
      ...(await autoscalerWarnings(api, namespace, scaled)),
    ],
  };
}

async function autoscalerWarnings(
  api: ClusterApi,
  namespace: string,
  scaled: readonly ScaledWorkload[],
): Promise<string[]> {
  try {
    const all = await list<Autoscaler>(api, autoscalersPath(namespace));
    return scaled.flatMap(({ name }) =>
      all
        .filter(({ spec }) => spec?.scaleTargetRef?.kind === 'Deployment' && spec.scaleTargetRef.name === name)
        .map(
          ({ metadata }) =>
            `the HorizontalPodAutoscaler ${metadata.name} scales ${name}: it pauses at 0 and goes on when its pods are back`,
        ),
    );
  } catch (error) {
    if (asKtError(error).code !== 'RIGHTS_MISSING') throw error;
    return [
      'you may not list HorizontalPodAutoscalers: whether one scales its pods is not known (it would pause at 0)',
    ];
  }
}

/** To no pods, when nobody is led to them any more. */
export async function scaleDown(
  api: ClusterApi,
  namespace: string,
  service: string,
  scaled: readonly ScaledWorkload[],
  signal: AbortSignal,
): Promise<void> {
  await callersMoved(api, namespace, service, 'agent', signal);
  for (const { name } of scaled) await setReplicas(api, namespace, name, 0, signal);
}

/** Back to the old number, where there are still no pods: a number that somebody else set meanwhile is the one that stays. */
export async function scaleBack(api: ClusterApi, namespace: string, scaled: readonly ScaledWorkload[]): Promise<void> {
  for (const { name, replicas } of scaled) {
    const now = await find<Deployment>(api, deploymentPath(namespace, name));
    if (now?.spec?.replicas === 0) await setReplicas(api, namespace, name, replicas);
  }
}

async function setReplicas(
  api: ClusterApi,
  namespace: string,
  name: string,
  replicas: number,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await api.request('PATCH', deploymentPath(namespace, name), {
      body: { spec: { replicas } },
      contentType: 'application/merge-patch+json',
      signal,
    });
  } catch (error) {
    // It was deleted meanwhile.
    if (statusCode(error) !== 404) throw error;
  }
}

export interface ReplicaWait {
  readonly limitMs: number;
  /** Ends the wait, not the work. */
  readonly signal?: AbortSignal;
  readonly onWaiting?: (text: string) => void;
}

/** Until all pods are ready and the Service's origin leads to them; false where the limit or the signal came first. */
export async function waitForReplicas(
  api: ClusterApi,
  namespace: string,
  service: string,
  scaled: readonly ScaledWorkload[],
  { limitMs, signal, onWaiting }: ReplicaWait,
): Promise<boolean> {
  const limit = AbortSignal.any([AbortSignal.timeout(limitMs), ...(signal ? [signal] : [])]);
  let told = '';
  try {
    for (const { name } of scaled) {
      for (;;) {
        const now = await find<Deployment>(api, deploymentPath(namespace, name), limit);
        const [ready, wanted] = [now?.status?.readyReplicas ?? 0, now?.spec?.replicas ?? 0];
        if (ready >= wanted) break;
        const text = `${ready} of ${wanted} pods of ${name} are ready`;
        if (text !== told) onWaiting?.(text);
        told = text;
        await wait(POLL_MS, undefined, { signal: limit });
      }
    }
    await podsReachable(api, namespace, nameFor(service, 'origin'), limit);
    return true;
  } catch (error) {
    if (limit.aborted) return false;
    throw error;
  }
}

/** The pods are back while others hold the Service still: restoring must not scale them again. */
export async function forgetScaled(api: ClusterApi, namespace: string, service: string): Promise<void> {
  await writeService(api, namespace, service, (current) => {
    const journal = journalOf(current);
    if (journal === undefined || journal === 'unreadable' || journal.scaled === undefined) return undefined;
    return withoutScaled(current, journal);
  });
}
