// The mode `recover`: makes Services whole whose holder is gone, removes what an unfinished take-over left, and repairs what kt-connect leaves.
// Never touches what somebody alive holds, except for the one session that it is told is dead. Called by the command, by clean and repair.ts, by
// the janitor of a killed session, and by give-up.ts when it can't ask the agent.
import { AGENT_LINK_PORT } from '../cluster/agent-pod.ts';
import { deploymentPath, servicePath } from '../cluster/paths.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { journalOf } from '../cluster/takeover/journal.ts';
import { MARK_ANNOTATION, nameFor, ownerName } from '../cluster/takeover/manifests.ts';
import { MANUAL } from '../cluster/takeover/manual.ts';
import { find, list, listIfAllowed } from '../cluster/takeover/objects.ts';
import { removeAgent, restoreService } from '../cluster/takeover/restore.ts';
import { checkHoldRights } from '../cluster/takeover/rights.ts';
import { leadsToAgent } from '../cluster/takeover/selector.ts';
import { ENDING_ANNOTATION, LABEL_SERVICE, type ServiceObject } from '../cluster/takeover/types.ts';
import { fenceService } from '../cluster/takeover/write-service.ts';
import { KtError } from '../errors.ts';
import { holderName } from '../netstack/link/control.codec.ts';
import { downSince, holderOf, UNFINISHED_MS } from './holders.ts';
import { recoverKtConnect } from './kt-connect/recover.ts';
import type { Recovered, RecoverOptions } from './recover-types.ts';

/** As people are told. */
export function recoveredText({ service, outcome, by, what }: Recovered): string {
  switch (outcome) {
    case 'restored':
      return `${service} is given back to its original pods${what ? ` (${what})` : ''}`;
    case 'cleaned':
      return `${service}: ${what ?? 'what an unfinished take-over left'} is removed`;
    case 'held':
      return `${service} is held by ${by ?? 'somebody'}: left as it is (--force gives it back all the same)`;
    default:
      return `${service} was not taken over: nothing to do`;
  }
}

/** One Service by its name: all that is to be said of it, at least one. Rejects with SERVICE_NOT_FOUND. */
export async function recoverByName(
  api: ClusterApi,
  namespace: string,
  name: string,
  options: RecoverOptions,
): Promise<Recovered[]> {
  const service = await find<ServiceObject>(api, servicePath(namespace, name));
  const results = [
    ...(await recoverManual(api, namespace, options, name)),
    ...(service ? await recoverKtConnect(api, namespace, [service], options) : []),
  ];
  if (!service && results.length > 0) return results;
  const own = await recoverService(api, namespace, name, options);
  return own.outcome === 'untouched' && results.length > 0 ? results : [own, ...results];
}

/** What kt itself did to one Service. Rejects with SERVICE_NOT_FOUND. */
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
  const journal = service && journalOf(service);
  if (service === undefined || (journal === undefined && !leadsToAgent(service))) {
    if (!origin) return { service: name, outcome: 'untouched' };
    if (inProgress(origin, api.now(), options)) return { service: name, outcome: 'held', by: ownerName(origin) };
    if (options.dryRun) return { service: name, outcome: 'cleaned' };
    await checkHoldRights(api, namespace, ['restore']);
    // The last write of who died may still be on its way.
    if (service) await fenceService(api, namespace, name);
    return { service: name, outcome: (await restoreService(api, namespace, name)) ? 'restored' : 'cleaned' };
  }
  if (!options.force && journal !== 'unreadable') {
    // A preview's Service is there before its agent is.
    if (journal?.kind === 'preview' && inProgress(service, api.now(), options))
      return { service: name, outcome: 'held', by: ownerName(service) };
    // Without its annotation (somebody removed it) the origin says who has it.
    const noted = journal
      ? { owner: holderName(journal), linkPort: journal.linkPort }
      : { owner: ownerName(origin), linkPort: AGENT_LINK_PORT };
    const ending = origin !== undefined && isEnding(origin);
    const by = await holderOf(api, namespace, name, { ...noted, ending }, options);
    if (by !== undefined) return { service: name, outcome: 'held', by };
  }
  if (!options.dryRun) {
    // Else it would stop in the middle.
    await checkHoldRights(api, namespace, ['restore']);
    await restoreService(api, namespace, name);
  }
  if (journal === undefined || journal === 'unreadable') return { service: name, outcome: 'restored' };
  if (journal.kind === 'preview') return { service: name, outcome: 'cleaned', what: 'the preview' };
  const scaled = journal.scaled?.map((one) => `deployment/${one.name} back to ${one.replicas}`).join(', ');
  return { service: name, outcome: 'restored', ...(scaled ? { what: scaled } : {}) };
}

/** It was being given back, which anybody may finish. */
const isEnding = ({ metadata }: Pick<ServiceObject, 'metadata'>): boolean =>
  metadata.annotations?.[ENDING_ANNOTATION] !== undefined;

/** Somebody else may be making it at this moment. */
function inProgress({ metadata }: ServiceObject, now: number, options: RecoverOptions): boolean {
  const { force, session, unfinishedMs = UNFINISHED_MS } = options;
  if (force === true || (session !== undefined && metadata.labels?.['kt/session'] === session)) return false;
  if (isEnding({ metadata })) return false;
  return now - Date.parse(metadata.creationTimestamp ?? '') < unfinishedMs;
}

/** Labelled endpoints whose laptop is gone: their pod is not ready then. */
async function recoverManual(
  api: ClusterApi,
  namespace: string,
  options: RecoverOptions,
  only?: string,
): Promise<Recovered[]> {
  const selector = only === undefined ? MANUAL : `${MANUAL},${LABEL_SERVICE}=${only}`;
  const deployments = await listIfAllowed<ServiceObject>(api, deploymentPath(namespace), selector);
  const results: Recovered[] = [];
  for (const deployment of deployments ?? []) {
    const { name, labels = {}, annotations } = deployment.metadata;
    const service = labels[LABEL_SERVICE] ?? name;
    const what = `the endpoint ${annotations?.[MARK_ANNOTATION] ?? name}`;
    const down = downSince(deployment, api.now());
    const dead =
      options.force === true ||
      labels['kt/session'] === options.session ||
      down > (options.unfinishedMs ?? UNFINISHED_MS);
    if (!dead) results.push({ service, outcome: 'held', by: `${ownerName(deployment)} (${what})` });
    else {
      const pods = { 'kt/role': 'manual', [LABEL_SERVICE]: service, 'kt/session': labels['kt/session'] ?? '' };
      if (!options.dryRun) await removeAgent(api, namespace, { deployment: name, labels: pods });
      results.push({ service, outcome: 'cleaned', what });
    }
  }
  return results;
}

/** Everything in the namespace that looks taken. */
export async function recoverAll(api: ClusterApi, namespace: string, options: RecoverOptions): Promise<Recovered[]> {
  const services = await list<ServiceObject>(api, servicePath(namespace));
  const names = new Set<string>();
  for (const service of services) {
    const { name, labels } = service.metadata;
    if (journalOf(service) !== undefined) names.add(name);
    else if (labels?.['kt/role'] === 'origin' && labels[LABEL_SERVICE] !== undefined) names.add(labels[LABEL_SERVICE]);
  }
  const results: Recovered[] = [];
  for (const name of names) results.push(await recoverService(api, namespace, name, options));
  results.push(...(await recoverManual(api, namespace, options)));
  // A session of ours that died made nothing of kt-connect's.
  if (options.ktConnect !== false && options.session === undefined)
    results.push(...(await recoverKtConnect(api, namespace, services, options)));
  return results;
}
