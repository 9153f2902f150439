// Creates the ingress agent's Deployment; a refusal is told in the cluster's own words. Waiting for its pod is agent-ready.ts, what it looks like
// manifests.ts. Called by apply.ts, preview.ts and manual.ts.
import { agentRefusal } from '../agent-refusal.ts';
import { deploymentPath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import type { ServiceObject } from './types.ts';

/** What to do where no flag helps. */
export const ASK_PLATFORM = 'ask who runs the cluster what its policies want of pods';

/** Rejects with AGENT_REFUSED (a policy on Deployments) or with what the API said. Those on pods show later. */
export async function createAgentDeployment(
  api: ClusterApi,
  namespace: string,
  manifest: object,
  signal: AbortSignal,
): Promise<ServiceObject> {
  try {
    return await api.request<ServiceObject>('POST', deploymentPath(namespace), { body: manifest, signal });
  } catch (error) {
    throw agentRefusal(error, ASK_PLATFORM);
  }
}
