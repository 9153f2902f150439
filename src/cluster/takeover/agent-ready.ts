// Waits until the ingress agent of a taken Service serves, and says why it does not yet, in the cluster's own words. Creates nothing.
// Called by apply.ts and preview.ts, after they created the agent's Deployment.
import { setTimeout as wait } from 'node:timers/promises';
import { KtError } from '../../errors.ts';
import { fatalReason, type Pod } from '../agent-lifecycle.ts';
import { deploymentPath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { nameFor } from './manifests.ts';
import { agentPods, find, isReady } from './objects.ts';

/** Milliseconds between looks at the agent: it takes a second to be ready. */
const POLL_MS = 150;

export interface AgentReadyOptions {
  readonly limitMs: number;
  readonly signal: AbortSignal;
  /** Why it is not ready yet. */
  readonly onWaiting: (reason: string) => void;
}

/** Rejects with AGENT_START, AGENT_IMAGE or AGENT_REFUSED, each with the cluster's reason. */
export async function waitForIngressAgent(
  api: ClusterApi,
  { namespace, service }: { readonly namespace: string; readonly service: string },
  { signal, limitMs, onWaiting }: AgentReadyOptions,
): Promise<void> {
  const end = performance.now() + limitMs;
  let reason = 'its pod was not created yet';
  for (;;) {
    const pods = await agentPods(api, namespace, service, signal);
    if (pods.some(isReady)) return;
    const [pod] = pods;
    const now = pod ? waitingReason(pod) : await deploymentFault(api, namespace, service, signal);
    if (now !== undefined && now !== reason) {
      reason = now;
      onWaiting(now);
    }
    if (performance.now() > end)
      throw new KtError(
        'AGENT_START',
        `the agent of ${service} was not ready within ${Math.round(limitMs / 1000)} s: ${reason}`,
        {
          hint: `kubectl -n ${namespace} describe deployment ${nameFor(service, 'ingress')}; --podCreationTimeout waits longer`,
        },
      );
    await wait(POLL_MS, undefined, { signal });
  }
}

/** Throws where waiting longer can't help. */
function waitingReason(pod: Pod): string | undefined {
  const state = pod.status?.containerStatuses?.[0]?.state;
  const fault = fatalReason(pod, state);
  if (fault) throw fault;
  const waiting = state?.waiting;
  if (waiting?.reason && waiting.reason !== 'ContainerCreating') return `${waiting.reason}: ${waiting.message ?? ''}`;
  const scheduled = pod.status?.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  return scheduled && `${scheduled.reason ?? 'not scheduled'}: ${scheduled.message ?? ''}`;
}

/** A quota or a policy stops the pods of a Deployment, not the Deployment: the reason is in its conditions. */
async function deploymentFault(
  api: ClusterApi,
  namespace: string,
  service: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  interface Deployment {
    readonly status?: {
      readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    };
  }
  const deployment = await find<Deployment>(api, deploymentPath(namespace, nameFor(service, 'ingress')), signal);
  const fault = deployment?.status?.conditions?.find(
    ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
  );
  if (fault)
    throw new KtError('AGENT_REFUSED', `the cluster refused the agent's pod: ${fault.message ?? 'no reason given'}`, {
      hint: 'free some quota, or ask who runs the cluster what its policies want of pods',
    });
  return undefined;
}
