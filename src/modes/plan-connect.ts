// What `kt connect`, `run` and `forward` would make in the cluster: one agent's pod, or nothing. Asks what a session asks (rights, and the cluster whether
// it would take the pod), changes nothing. Called by cli/plans.ts; the plan of taking a Service is cluster/takeover/plan.ts.
import { tryAgent } from '../cluster/agent-lifecycle.ts';
import type { AgentPlacement } from '../cluster/agent-placement.ts';
import { agentPodName, DEFAULT_IMAGE } from '../cluster/agent-pod.ts';
import type { ClusterConfig } from '../cluster/config.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { findSharedAgent } from '../cluster/shared-agent.ts';
import type { Mode } from '../session/events.ts';
import { checkRights } from '../session/reach.ts';
import { shownName } from '../session/who.ts';

export interface ConnectPlan {
  readonly namespace: string;
  readonly context: string;
  readonly mode: Mode;
  /** In order, each with what takes it back at the end. Empty: nothing is changed. */
  readonly steps: readonly { readonly text: string; readonly undo: string }[];
  readonly notes: readonly string[];
}

export interface ConnectPlanOptions {
  readonly version: string;
  readonly mode: 'auto' | Mode;
  readonly placement?: AgentPlacement | undefined;
  readonly signal: AbortSignal;
}

/** Rejects with RIGHTS_MISSING, AGENT_START or AGENT_REFUSED, as the session would. */
export async function planConnect(
  api: ClusterApi,
  { namespace, context }: Pick<ClusterConfig, 'namespace' | 'context'>,
  { version, mode: wanted, placement, signal }: ConnectPlanOptions,
): Promise<ConnectPlan> {
  const mode = await checkRights(api, namespace, wanted, signal);
  const plan = { namespace, context, mode };
  if (mode === 'agentless') return { ...plan, steps: [], notes: ['each connection is a port-forward of its own'] };
  if (mode === 'shared') {
    const shared = await findSharedAgent(api, namespace, signal);
    return { ...plan, steps: [], notes: [`goes through the shared agent ${shared?.name ?? 'that is being replaced'}`] };
  }
  await tryAgent(api, namespace, version, placement, signal);
  const pod = agentPodName(shownName(), '…');
  const text = `create the pod ${pod} (${placement?.image ?? DEFAULT_IMAGE})`;
  return { ...plan, steps: [{ text, undo: `delete the pod ${pod}` }], notes: ['the cluster would take the pod'] };
}
