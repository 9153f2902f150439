// Waits until the ingress agent of a taken Service serves, and says why it does not yet, in the cluster's own words. Creates nothing.
// Called by apply.ts, preview.ts and manual.ts, after they created the agent's Deployment.
import { setTimeout as wait } from 'node:timers/promises';
import { KtError } from '../../errors.ts';
import { fatalReason, type Pod } from '../agent-lifecycle.ts';
import { agentRefused } from '../agent-refusal.ts';
import { deploymentPath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { ASK_PLATFORM } from './create-agent.ts';
import { serviceAgent } from './manifests.ts';
import { find, isReady, podsOf } from './objects.ts';
import type { AgentIdentity } from './types.ts';

/** Milliseconds between looks at the agent: it takes a second to be ready. */
const POLL_MS = 150;

interface AwaitedAgent {
  readonly namespace: string;
  readonly service: string;
  /** The Service's own where none is named. */
  readonly agent?: AgentIdentity;
  /** Ready, where nothing else is said. */
  readonly isUp?: (pod: Pod) => boolean;
}

export interface AgentReadyOptions {
  readonly limitMs: number;
  readonly signal: AbortSignal;
  /** Why it is not ready yet. */
  readonly onWaiting: (reason: string) => void;
}

/** Rejects with AGENT_START, AGENT_IMAGE or AGENT_REFUSED, each with the cluster's reason. */
export async function waitForIngressAgent(
  api: ClusterApi,
  { namespace, service, agent = serviceAgent(service), isUp = isReady }: AwaitedAgent,
  { signal, limitMs, onWaiting }: AgentReadyOptions,
): Promise<void> {
  const end = performance.now() + limitMs;
  let reason = 'its pod was not created yet';
  for (;;) {
    const pods = await podsOf(api, namespace, agent.labels, signal);
    if (pods.some(isUp)) return;
    const [pod] = pods;
    const now = pod ? waitingReason(pod) : await deploymentFault(api, namespace, agent.deployment, signal);
    if (now !== undefined && now !== reason) {
      reason = now;
      onWaiting(now);
    }
    if (performance.now() > end)
      throw new KtError(
        'AGENT_START',
        `the agent of ${service} was not ready within ${Math.round(limitMs / 1000)} s: ${reason}`,
        {
          hint: `kubectl -n ${namespace} describe deployment ${agent.deployment}; --podCreationTimeout waits longer`,
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
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  interface Deployment {
    readonly status?: {
      readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    };
  }
  const deployment = await find<Deployment>(api, deploymentPath(namespace, name), signal);
  const fault = deployment?.status?.conditions?.find(
    ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
  );
  if (fault) throw agentRefused(fault.message ?? 'no reason given', ASK_PLATFORM);
  return undefined;
}
