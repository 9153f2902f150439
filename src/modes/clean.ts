// The mode `clean`: removes what nobody uses any more: agents that have ended, what recover would repair, and what kt-connect left without a
// heartbeat. Safe beside live sessions of the same user, of others, of other laptops. All ages are by the API server's clock.
// Called by cli/commands/clean.ts, which the janitor of a killed session starts too.
import { deleteAgent, listAgents } from '../cluster/agent-lifecycle.ts';
import { LABEL_ROLE, LABEL_SESSION } from '../cluster/agent-pod.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { deleteObjects, expiredObjects } from './kt-connect/expired.ts';
import { recoverAll, recoveredText } from './recover.ts';

/** Milliseconds for one deletion. */
const DELETE_MS = 10_000;

export interface CleanOptions {
  /** Of this kt. */
  readonly version: string;
  /** Milliseconds without a sign of life after which something is left over. */
  readonly olderThanMs: number;
  readonly dryRun: boolean;
}

/** What was removed or repaired (with `dryRun`: would be), each as a line. */
export async function cleanNamespace(
  api: ClusterApi,
  namespace: string,
  { version, olderThanMs, dryRun }: CleanOptions,
): Promise<string[]> {
  const ended = await endedAgents(api, namespace);
  if (!dryRun) await deleteAll(api, namespace, ended);
  const recovered = await recoverAll(api, namespace, { version, unfinishedMs: olderThanMs, dryRun });
  const expired = await expiredObjects(api, namespace, olderThanMs);
  if (!dryRun)
    await deleteObjects(
      api,
      expired.map(({ path }) => path),
    );
  return [
    ...ended.map((name) => `pod/${name} has ended`),
    ...recovered.filter(({ outcome }) => outcome === 'restored' || outcome === 'cleaned').map(recoveredText),
    ...expired.map(({ name }) => `${name} of kt-connect has no heartbeat any more`),
  ];
}

/** Every agent of one session that is known to be dead, running or not. Gives the names of the pods. */
export async function cleanSession(api: ClusterApi, namespace: string, session: string): Promise<string[]> {
  const pods = await listAgents(api, namespace, `${LABEL_ROLE}=egress,${LABEL_SESSION}=${session}`);
  const names = pods.map(({ metadata }) => metadata.name);
  await deleteAll(api, namespace, names);
  return names;
}

async function endedAgents(api: ClusterApi, namespace: string): Promise<string[]> {
  const pods = await listAgents(api, namespace, `${LABEL_ROLE}=egress`);
  return pods
    .filter(({ status }) => status?.phase === 'Succeeded' || status?.phase === 'Failed')
    .map(({ metadata }) => metadata.name);
}

async function deleteAll(api: ClusterApi, namespace: string, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => deleteAgent(api, namespace, name, 0, DELETE_MS)));
}
