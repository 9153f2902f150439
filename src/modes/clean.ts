// The mode `clean`: removes egress agents that no session uses any more. Safe beside live sessions of the same user, of others, of
// other laptops: only pods that have ended by themselves, or those of one named session, are touched.
// Called by cli/commands/clean.ts, which the janitor of a killed session starts too.
import { deleteAgent, listAgents } from '../cluster/agent-lifecycle.ts';
import { LABEL_ROLE, LABEL_SESSION } from '../cluster/agent-pod.ts';
import type { ClusterApi } from '../cluster/rest.ts';

/** Milliseconds for one deletion. */
const DELETE_MS = 10_000;

/** Deletes and gives the names of the pods. `session` = all pods of that session, running or not. */
export async function cleanAgents(api: ClusterApi, namespace: string, session?: string): Promise<string[]> {
  const selector = session === undefined ? `${LABEL_ROLE}=egress` : `${LABEL_ROLE}=egress,${LABEL_SESSION}=${session}`;
  const pods = await listAgents(api, namespace, selector);
  const stale =
    session === undefined
      ? pods.filter((pod) => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed')
      : pods;
  await Promise.all(stale.map((pod) => deleteAgent(api, namespace, pod.metadata.name, 0, DELETE_MS)));
  return stale.map((pod) => pod.metadata.name);
}
