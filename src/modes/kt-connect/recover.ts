// Repairs what kt-connect leaves on Services when it dies: the selector of an exchange or a mesh (kt-selector), a Deployment at no pods
// (kt-config), extra endpoints of a manual mesh, previews, and locks. Its pods write a heartbeat: where one is young, somebody is at work.
// Called by ../recover.ts. What else it leaves is clean's (expired.ts).
import { configMapPath, deploymentPath, podPath, servicePath } from '../../cluster/paths.ts';
import type { ClusterApi } from '../../cluster/rest.ts';
import { listIfAllowed, selects } from '../../cluster/takeover/objects.ts';
import { scaleBack } from '../../cluster/takeover/scale.ts';
import { replaceSelector } from '../../cluster/takeover/selector.ts';
import type { ScaledWorkload, ServiceObject } from '../../cluster/takeover/types.ts';
import { patchService } from '../../cluster/takeover/write-service.ts';
import { KtError } from '../../errors.ts';
import type { Recovered, RecoverOptions } from '../recover-types.ts';
import { deleteObjects, HEARTBEAT_MS, lastSeen } from './expired.ts';
import { isKtConnectHelper, KT_CONNECT_LABEL, LOCK_S, type PodTrace } from './traces.ts';

/** Its pods, or Deployments of them with --useShadowDeployment, and where each is deleted. */
interface Worker {
  readonly trace: PodTrace;
  readonly path: string;
}

interface Traces {
  readonly workers: readonly Worker[];
  /** Services that it made beside a meshed one. */
  readonly helpers: readonly ServiceObject[];
}

/** One entry for each of `services` that it has touched. */
export async function recoverKtConnect(
  api: ClusterApi,
  namespace: string,
  services: readonly ServiceObject[],
  options: RecoverOptions,
): Promise<Recovered[]> {
  const [pods, deployments, foreign] = await Promise.all([
    listIfAllowed<PodTrace>(api, podPath(namespace), KT_CONNECT_LABEL),
    listIfAllowed<PodTrace>(api, deploymentPath(namespace), KT_CONNECT_LABEL),
    listIfAllowed<ServiceObject>(api, servicePath(namespace), KT_CONNECT_LABEL),
  ]);
  const workers = [
    ...(pods ?? []).map((trace) => ({ trace, path: podPath(namespace, trace.metadata.name) })),
    ...(deployments ?? []).map((trace) => ({ trace, path: deploymentPath(namespace, trace.metadata.name) })),
  ];
  const traces = { workers, helpers: (foreign ?? []).filter(isKtConnectHelper) };
  const results: Recovered[] = [];
  for (const service of services) {
    if (isKtConnectHelper(service)) continue;
    const found = await recoverOne(api, namespace, service, traces, options);
    if (found) results.push(found);
  }
  return results;
}

async function recoverOne(
  api: ClusterApi,
  namespace: string,
  service: ServiceObject,
  traces: Traces,
  options: RecoverOptions,
): Promise<Recovered | undefined> {
  const { name, annotations = {} } = service.metadata;
  const mine = workersOf(service, traces.workers);
  const locked = lockAge(annotations['kt-lock'], api.now());
  const preview = service.metadata.labels?.['control-by'] === 'kt';
  const selector = selectorOf(service);
  if (selector === undefined && !preview && mine.length === 0 && locked === undefined) return undefined;
  if (!options.force) {
    const alive = mine.filter(({ trace }) => api.now() - lastSeen(trace) < (options.unfinishedMs ?? HEARTBEAT_MS));
    const users = [...new Set(alive.map(({ trace }) => trace.metadata.annotations?.['kt-user'] ?? 'somebody'))];
    if (locked !== undefined && locked < LOCK_S * 1000 && users.length === 0)
      users.push('somebody, who is changing it');
    if (users.length > 0) return { service: name, outcome: 'held', by: `${users.join(', ')} (kt-connect)` };
  }
  const scaled = mine.flatMap(({ trace }) => scaledOf(trace));
  if (!options.dryRun) {
    if (preview) await deleteObjects(api, [servicePath(namespace, name)]);
    else if (selector !== undefined || locked !== undefined) await writeBack(api, namespace, service, selector);
    await scaleBack(api, namespace, scaled);
    const helpers = selector === undefined ? [] : traces.helpers.filter((helper) => isHelperOf(helper, name));
    await deleteObjects(api, [
      ...mine.flatMap(({ trace, path }) => [path, configMapPath(namespace, trace.metadata.name)]),
      ...helpers.map((helper) => servicePath(namespace, helper.metadata.name)),
    ]);
  }
  if (preview) return { service: name, outcome: 'cleaned', what: "kt-connect's preview" };
  if (selector !== undefined) return { service: name, outcome: 'restored', what: 'kt-connect had it' };
  if (scaled.length > 0) {
    const back = scaled.map((one) => `deployment/${one.name} back to ${one.replicas}`).join(', ');
    return { service: name, outcome: 'restored', what: `kt-connect had it: ${back}` };
  }
  return { service: name, outcome: 'cleaned', what: mine.length > 0 ? "kt-connect's endpoint" : "kt-connect's lock" };
}

/** Those that have its traffic: selected by it, or named for it. */
function workersOf({ metadata: { name }, spec }: ServiceObject, workers: readonly Worker[]): Worker[] {
  const prefixes = [`${name}-kt-mesh-`, `${name}-kt-router`, `${name}-kt-exchange-`];
  return workers.filter(({ trace: { metadata } }) => {
    const role = metadata.labels?.['kt-role'];
    if (role === 'shadow-connect') return false;
    return selects(spec.selector, metadata.labels) || prefixes.some((prefix) => metadata.name.startsWith(prefix));
  });
}

const isHelperOf = ({ metadata }: ServiceObject, service: string): boolean =>
  metadata.name === `${service}-kt-stuntman` || metadata.name.startsWith(`${service}-kt-mesh-`);

/** Throws SERVICE_NOT_RESTORED where the annotation is damaged. */
function selectorOf({ metadata: { name, annotations } }: ServiceObject): Record<string, string> | undefined {
  const text = annotations?.['kt-selector'];
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && Object.values(value).every((one) => typeof one === 'string'))
      return value as Record<string, string>;
  } catch {
    // Told below.
  }
  throw new KtError('SERVICE_NOT_RESTORED', `the annotation kt-selector of ${name} can't be read: ${text}`, {
    hint: 'set its selector by hand and remove the annotation',
  });
}

function writeBack(
  api: ClusterApi,
  namespace: string,
  { metadata: { name, resourceVersion }, spec }: ServiceObject,
  selector: Record<string, string> | undefined,
): Promise<void> {
  return patchService(api, namespace, name, {
    metadata: { resourceVersion, annotations: { 'kt-selector': null, 'kt-lock': null } },
    ...(selector ? { spec: { selector: replaceSelector(spec.selector, selector) } } : {}),
  });
}

/** Milliseconds since the lock was taken; undefined: there is none. One that can't be read is old. */
function lockAge(lock: string | undefined, now: number): number | undefined {
  if (lock === undefined) return undefined;
  const at = Number(lock) * 1000;
  return Number.isFinite(at) ? now - at : Number.POSITIVE_INFINITY;
}

/** `app=orders,replicas=2`: what a shadow pod of mode scale remembers. */
function scaledOf({ metadata: { annotations } }: PodTrace): ScaledWorkload[] {
  const fields = new Map(
    (annotations?.['kt-config'] ?? '').split(',').map((pair) => {
      const [key = '', value = ''] = pair.split('=');
      return [key.trim(), value.trim()];
    }),
  );
  const [name, replicas] = [fields.get('app'), Number(fields.get('replicas') ?? '')];
  return name !== undefined && name !== '' && Number.isInteger(replicas) && replicas > 0 ? [{ name, replicas }] : [];
}
