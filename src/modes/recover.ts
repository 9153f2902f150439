// The mode `recover`: makes taken Services whole whose holder is gone, removes what an unfinished take-over left, and repairs what kt-connect
// leaves. Never touches a Service that somebody alive holds, except for the one session that it is told is dead.
// Called by the command, by the janitor of a killed session, and by modes/hold.ts when it can't ask the agent.
import { setTimeout as wait } from 'node:timers/promises';
import { AGENT_LINK_PORT } from '../cluster/agent-pod.ts';
import { servicePath } from '../cluster/paths.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { journalOf } from '../cluster/takeover/journal.ts';
import { nameFor, ownerName } from '../cluster/takeover/manifests.ts';
import { agentPods, find, isReady, list } from '../cluster/takeover/objects.ts';
import { restoreService } from '../cluster/takeover/restore.ts';
import { leadsToAgent, replaceSelector } from '../cluster/takeover/selector.ts';
import { ENDING_ANNOTATION, LABEL_SERVICE, type ServiceObject } from '../cluster/takeover/types.ts';
import { fenceService, patchService } from '../cluster/takeover/write-service.ts';
import { asKtError, KtError } from '../errors.ts';
import { type Holder, holderName } from '../netstack/link/control.codec.ts';
import { IngressLink } from '../session/inbound/ingress-link.ts';

/** Milliseconds since its creation after which an origin without a journal is no take-over in progress any more. */
const UNFINISHED_MS = 120_000;
/** Milliseconds for the agent's answer. */
const ASK_MS = 5_000;
/** Milliseconds until the agent is sure that a session is dead: links without a byte are given up after 15 s. */
const DEAD_MS = 20_000;
const RETRY_MS = 300;

export interface RecoverOptions {
  /** Of this kt. */
  readonly version: string;
  /** A session that is known to be dead: its rules do not count. */
  readonly session?: string | undefined;
  /** Restore also where somebody alive holds it. */
  readonly force?: boolean | undefined;
}

export interface Recovered {
  readonly service: string;
  /** restored: given back. held: somebody is on it. cleaned: remains of an unfinished take-over are gone. untouched: kt has not taken it. */
  readonly outcome: 'restored' | 'held' | 'cleaned' | 'untouched';
  readonly by?: string;
}

/** One Service, by its name. */
export async function recoverService(
  api: ClusterApi,
  namespace: string,
  name: string,
  options: RecoverOptions,
): Promise<Recovered> {
  const service = await find<ServiceObject>(api, servicePath(namespace, name));
  const origin = await find<ServiceObject>(api, servicePath(namespace, nameFor(name, 'origin')));
  if (!service && !origin)
    throw new KtError('SERVICE_NOT_FOUND', `there is no Service '${name}' in the namespace '${namespace}'`);
  if (service && (await recoverKtConnect(api, namespace, service))) return { service: name, outcome: 'restored' };
  const journal = service && journalOf(service);
  if (journal === undefined && !(service && leadsToAgent(service))) {
    if (!origin) return { service: name, outcome: 'untouched' };
    if (mayBeInProgress(origin, options)) return { service: name, outcome: 'held', by: ownerName(origin) };
    // The last write of who died may still be on its way.
    if (service) await fenceService(api, namespace, name);
    return { service: name, outcome: (await restoreService(api, namespace, name)) ? 'restored' : 'cleaned' };
  }
  if (!options.force) {
    // Its Service is there before its agent is.
    if (service?.metadata.labels?.['kt/role'] === 'preview' && mayBeInProgress(service, options))
      return { service: name, outcome: 'held', by: ownerName(service) };
    // Without its annotation (somebody removed it) nobody knows the port: the usual one.
    const linkPort = journal === 'unreadable' ? undefined : (journal?.linkPort ?? AGENT_LINK_PORT);
    const holders = linkPort === undefined ? [] : await holdersOf(api, namespace, name, linkPort, options);
    if (holders.length > 0) return { service: name, outcome: 'held', by: holders.map(holderName).join(', ') };
  }
  await restoreService(api, namespace, name);
  return { service: name, outcome: 'restored' };
}

/** Somebody else may be making it at this moment. */
function mayBeInProgress({ metadata }: ServiceObject, { force, session }: RecoverOptions): boolean {
  if (force === true || (session !== undefined && metadata.labels?.['kt/session'] === session)) return false;
  // It was being given back, which anybody may finish.
  if (metadata.annotations?.[ENDING_ANNOTATION] !== undefined) return false;
  return Date.now() - Date.parse(metadata.creationTimestamp ?? '') < UNFINISHED_MS;
}

/** Everything in the namespace that looks taken. */
export async function recoverAll(api: ClusterApi, namespace: string, options: RecoverOptions): Promise<Recovered[]> {
  const services = await list<ServiceObject>(api, servicePath(namespace));
  const names = new Set<string>();
  for (const service of services) {
    const { name, labels, annotations } = service.metadata;
    if (journalOf(service) !== undefined || annotations?.['kt-selector'] !== undefined) names.add(name);
    else if (labels?.['kt/role'] === 'origin' && labels[LABEL_SERVICE] !== undefined) names.add(labels[LABEL_SERVICE]);
  }
  const results: Recovered[] = [];
  for (const name of names) results.push(await recoverService(api, namespace, name, options));
  return results;
}

/** Who holds rules at the agent, after the dead session has left; nobody can come any more where nobody does. No agent that answers: nobody. */
export async function holdersOf(
  api: ClusterApi,
  namespace: string,
  service: string,
  linkPort: number,
  { version, session: dead }: RecoverOptions,
): Promise<readonly Holder[]> {
  if (!(await agentPods(api, namespace, service)).some(isReady)) return [];
  const link = IngressLink.forQuestions({ api, namespace, service, linkPort, version });
  try {
    await link.start(AbortSignal.timeout(ASK_MS));
    return await (dead === undefined ? link.lookBeforeEnd() : leaveFor(link, dead));
  } catch (error) {
    const known = asKtError(error);
    throw new KtError('SERVICE_NOT_RESTORED', `the agent of ${service} can't be asked who holds it: ${known.message}`, {
      hint: 'try again, or `kt recover --force` if you know that nobody does',
      cause: known,
    });
  } finally {
    link.close();
  }
}

/** The agent believes in a session for as long as its connection seems open: a process that was killed this moment, say. */
async function leaveFor(link: IngressLink, dead: string): Promise<readonly Holder[]> {
  for (const end = performance.now() + DEAD_MS; ; ) {
    try {
      return await link.leave(dead);
    } catch (error) {
      if (asKtError(error).code !== 'SERVICE_HELD') throw error;
      if (performance.now() > end) return link.lookBeforeEnd();
      await wait(RETRY_MS);
    }
  }
}

/** kt-connect keeps the selector in the annotation `kt-selector` and a lock in `kt-lock`. True: there was something to repair. */
async function recoverKtConnect(api: ClusterApi, namespace: string, service: ServiceObject): Promise<boolean> {
  const { name, annotations = {}, resourceVersion } = service.metadata;
  const text = annotations['kt-selector'];
  if (text === undefined) return false;
  let selector: unknown;
  try {
    selector = JSON.parse(text);
  } catch (cause) {
    throw new KtError('SERVICE_NOT_RESTORED', `the annotation kt-selector of ${name} can't be read`, { cause });
  }
  await patchService(api, namespace, name, {
    metadata: { resourceVersion, annotations: { 'kt-selector': null, 'kt-lock': null } },
    spec: { selector: replaceSelector(service.spec.selector, selector as Record<string, string>) },
  });
  return true;
}
