// Gives a taken Service back: one patch, then the agent drains and goes, the origin Service last; a preview is deleted. Needs nothing but the
// journal on the Service, so anybody can do it, again, and after any part of it was done. Called by modes/hold.ts and modes/recover.ts.
import { setTimeout as wait } from 'node:timers/promises';
import { KtError } from '../../errors.ts';
import { deploymentPath, servicePath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { statusCode } from '../status.ts';
import { callersMoved } from './endpoints.ts';
import { journalOf } from './journal.ts';
import { agentLabels, nameFor } from './manifests.ts';
import { find, podsOf } from './objects.ts';
import { returnPods } from './replace-pods.ts';
import { scaleBack, waitForReplicas } from './scale.ts';
import { leadsToAgent, ownSelector, replaceSelector, type Selector } from './selector.ts';
import { type AgentIdentity, ENDING_ANNOTATION, JOURNAL_ANNOTATION, type ServiceObject } from './types.ts';
import { patchService, writeService } from './write-service.ts';

/** Milliseconds for the agent's pods to drain and end; they have 30 s. */
const DRAIN_MS = 35_000;
/** Milliseconds for the pods of --mode scale to be ready again: as kt-connect's --recoverWaitTime. */
export const REPLICAS_MS = 120_000;
const POLL_MS = 100;
/** Writes of keepers that were on their way when the origin was marked: one for each developer on the Service. */
const KEEPERS_MAX = 8;

export interface RestoreOptions {
  /** Its pods were scaled back already. */
  readonly scaledBack?: boolean;
  readonly onStep?: (text: string) => void;
  /** Called as soon as callers go to the original pods again, while the agent is still there. Its failure only makes the agent wait longer. */
  readonly onReturned?: () => Promise<void>;
}

/** True: it was taken and is given back now; false: it was not taken. Rejects with SERVICE_NOT_RESTORED or what the API said. */
export async function restoreService(
  api: ClusterApi,
  namespace: string,
  service: string,
  { onStep, onReturned, scaledBack = false }: RestoreOptions = {},
): Promise<boolean> {
  const current = await find<ServiceObject>(api, servicePath(namespace, service));
  if (current && isPreview(current)) {
    onStep?.(`delete service/${service} and deployment/${nameFor(service, 'ingress')}`);
    await removePreview(api, namespace, current, onReturned);
    return true;
  }
  const journal = current && journalOf(current);
  if (journal !== undefined && journal !== 'unreadable' && journal.scaled && !scaledBack) {
    onStep?.(`scale ${journal.scaled.map(({ name, replicas }) => `${name} to ${replicas}`).join(', ')}`);
    await scaleBack(api, namespace, journal.scaled);
    // The agent answers until the pods do.
    await waitForReplicas(api, namespace, service, journal.scaled, { limitMs: REPLICAS_MS });
  }
  const remains = await findRemains(api, namespace, service);
  if (remains.origin !== undefined) await markEnding(api, namespace, service);
  onStep?.(`patch service/${service}: the original selector`);
  const restored = await leadBack(api, namespace, service);
  if (restored) {
    // Callers that are asked to leave too early come to the agent once more, and are served.
    const leaving = onReturned?.().catch(() => undefined);
    await callersMoved(api, namespace, service, 'pods');
    await leaving;
  }
  // Somebody who keeps it taken may have looked at the origin just before it was marked: the agent goes only when nobody is led to it.
  for (let time = 0; time < KEEPERS_MAX && (await leadBack(api, namespace, service)); time += 1)
    await callersMoved(api, namespace, service, 'pods');
  onStep?.(`delete deployment/${nameFor(service, 'ingress')} and service/${nameFor(service, 'origin')}`);
  await removeLeftovers(api, namespace, service, remains);
  return restored;
}

/** Keepers of living sessions (keep.ts) leave a Service alone whose origin says this. */
async function markEnding(api: ClusterApi, namespace: string, service: string): Promise<void> {
  const metadata = { annotations: { [ENDING_ANNOTATION]: 'yes' } };
  try {
    await patchService(api, namespace, nameFor(service, 'origin'), { metadata });
  } catch (error) {
    if (statusCode(error) !== 404) throw error;
  }
}

function isPreview(service: ServiceObject): boolean {
  const journal = journalOf(service);
  return journal !== undefined && journal !== 'unreadable' && journal.kind === 'preview';
}

/** Deletes the Service that kt made, that very one, and its agent. */
export async function removePreview(
  api: ClusterApi,
  namespace: string,
  { metadata: { name, uid } }: ServiceObject,
  onReturned?: () => Promise<void>,
): Promise<void> {
  if (uid !== undefined) await remove(api, servicePath(namespace, name), uid);
  await onReturned?.().catch(() => undefined);
  await removeLeftovers(api, namespace, name);
}

/** Makes the Service lead to its own pods. False: it does, and says nothing of kt. */
export async function leadBack(api: ClusterApi, namespace: string, service: string): Promise<boolean> {
  try {
    return await writeService(api, namespace, service, async (current) => {
      const journal = journalOf(current);
      if (journal === 'unreadable')
        throw new KtError('SERVICE_NOT_RESTORED', `the journal on ${service} is of a newer kt`, {
          hint: 'use that version',
        });
      if (journal) return restorePatch(current, journal.selector);
      if (!leadsToAgent(current)) return undefined;
      // Somebody removed the annotation. The origin has the same selector.
      const origin = await find<ServiceObject>(api, servicePath(namespace, nameFor(service, 'origin')));
      return origin && restorePatch(current, origin.spec.selector ?? {});
    });
  } catch (error) {
    // The Service itself was deleted: what is left of kt goes all the same.
    if (statusCode(error) === 404) return false;
    throw error;
  }
}

/** A selector that is not ours any more was written by a redeploy, and is the one to keep. */
export function restorePatch(current: ServiceObject, selector: Selector): object {
  const metadata = { resourceVersion: current.metadata.resourceVersion, annotations: { [JOURNAL_ANNOTATION]: null } };
  return { metadata, spec: { selector: replaceSelector(current.spec.selector, ownSelector(current, selector)) } };
}

/** What a take-over made, by uid: somebody else may take the Service as soon as the origin is gone, and makes others of the same names. */
export interface Remains {
  readonly origin?: string | undefined;
  readonly deployment?: string | undefined;
}

async function findRemains(api: ClusterApi, namespace: string, service: string): Promise<Remains> {
  const origin = await find<ServiceObject>(api, servicePath(namespace, nameFor(service, 'origin')));
  const deployment = await find<ServiceObject>(api, deploymentPath(namespace, nameFor(service, 'ingress')));
  return { origin: origin?.metadata.uid, deployment: deployment?.metadata.uid };
}

/** Deletes the agent, waits while it drains, then the way to the original pods. What is gone already is no error. */
export async function removeLeftovers(
  api: ClusterApi,
  namespace: string,
  service: string,
  remains?: Remains,
): Promise<void> {
  const { origin, deployment } = remains ?? (await findRemains(api, namespace, service));
  await returnPods(api, namespace, service);
  if (deployment !== undefined) await remove(api, deploymentPath(namespace, nameFor(service, 'ingress')), deployment);
  await podsGone(api, namespace, agentLabels(service));
  if (origin !== undefined) await remove(api, servicePath(namespace, nameFor(service, 'origin')), origin);
}

/** Deletes an agent that is no Service's (a labelled endpoint) and waits while its pods drain. */
export async function removeAgent(api: ClusterApi, namespace: string, agent: AgentIdentity): Promise<void> {
  const path = deploymentPath(namespace, agent.deployment);
  const uid = (await find<ServiceObject>(api, path))?.metadata.uid;
  if (uid !== undefined) await remove(api, path, uid);
  await podsGone(api, namespace, agent.labels);
}

async function podsGone(api: ClusterApi, namespace: string, labels: AgentIdentity['labels']): Promise<void> {
  const end = performance.now() + DRAIN_MS;
  while (performance.now() < end && (await podsOf(api, namespace, labels)).length > 0) await wait(POLL_MS);
}

/** Only that one; another one of the same name stays (409). */
async function remove(api: ClusterApi, path: string, uid: string): Promise<void> {
  const body = { propagationPolicy: 'Background', preconditions: { uid } };
  try {
    await api.request('DELETE', path, { body });
  } catch (error) {
    if (statusCode(error) !== 404 && statusCode(error) !== 409) throw error;
  }
}
