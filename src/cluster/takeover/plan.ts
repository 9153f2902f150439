// Plans a take-over: asks everything, refuses with the reason what can't be taken, changes nothing. `--plan` prints what comes out.
// Carried out by apply.ts. Called by the modes exchange and mesh.
import { KtError } from '../../errors.ts';
import { podPath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { journalOf } from './journal.ts';
import { nameFor, ownerName } from './manifests.ts';
import { list, type PodObject, resolveService, selectorText } from './objects.ts';
import { freePorts, listenPorts, takenPorts } from './ports.ts';
import { checkReplaceable } from './replace-pods.ts';
import { planScale } from './scale.ts';
import { selectorToAgent } from './selector.ts';
import type { ServiceObject, Step, TakeoverPlan, WantedPort } from './types.ts';

export interface TakeoverRequest {
  readonly kind: 'exchange' | 'mesh';
  /** `orders`, `svc/orders`, `deploy/orders`, `pod/orders-0`. */
  readonly target: string;
  /** Empty: all TCP ports. */
  readonly ports: readonly WantedPort[];
  readonly drain: boolean;
  /** Others' endpoints of manual mode do not matter. */
  readonly besideManual?: boolean;
  /** Exchange: its pods are scaled to none meanwhile. */
  readonly scale?: boolean;
}

/** After checkHoldRights. Rejects with SERVICE_NOT_FOUND, SERVICE_REFUSED, SERVICE_HELD or USAGE before anything was changed. */
export async function planTakeover(
  api: ClusterApi,
  namespace: string,
  { kind, target, ports: wanted, drain, scale = false, besideManual = false }: TakeoverRequest,
): Promise<TakeoverPlan> {
  const original = await resolveService(api, namespace, target);
  const { name } = original.metadata;
  refuse(original, namespace);
  const journal = journalOf(original);
  if (journal === 'unreadable')
    throw new KtError('SERVICE_HELD', `${name} was taken over by a newer kt`, { hint: 'use that version' });
  const pods = journal ? [] : await podsOf(api, namespace, original);
  const labelled = pods.find(({ metadata }) => metadata.labels?.['kt/role'] === 'manual');
  if (labelled && !besideManual)
    throw new KtError('SERVICE_HELD', `${ownerName(labelled)} meshes ${name} in manual mode`, {
      hint: 'its pod would be one of the original pods; ask for it, or mesh with --mode manual and another mark',
    });
  const listens = journal?.listens ?? listenPorts(name, original.spec.ports ?? [], namedPorts(pods));
  const selector = journal?.selector ?? original.spec.selector ?? {};
  // Scaled to none, the pods end anyway.
  const replaces = drain && !scale;
  if (replaces) await checkReplaceable(api, namespace, name, selector);
  const { linkPort, healthPort } = freePorts(listens);
  const ports = takenPorts(name, listens, wanted);
  if (scale && journal)
    throw new KtError(
      'SERVICE_HELD',
      `${name} is held already: --mode scale would take the pods from the others on it`,
      {
        hint: 'join it without --mode scale, or wait until it is given back',
      },
    );
  const scaling = scale ? await planScale(api, namespace, original) : undefined;
  const plan = {
    kind,
    namespace,
    service: name,
    original,
    selector,
    ports,
    listens,
    linkPort: journal?.linkPort ?? linkPort,
    healthPort,
    joins: journal !== undefined,
    drain: replaces,
    warnings: [...warnings(original, pods), ...(scaling?.warnings ?? [])],
    ...(scaling ? { scaled: scaling.scaled } : {}),
  };
  return { ...plan, steps: [...(plan.joins ? [] : stepsOf(plan)), ...(replaces ? [DRAIN_STEP] : [])] };
}

function refuse(service: ServiceObject, namespace: string): void {
  const { metadata, spec } = service;
  const { name, annotations, labels } = metadata;
  const no = (why: string, hint?: string): KtError =>
    new KtError(
      'SERVICE_REFUSED',
      `${name} in '${namespace}' can't be taken over: ${why}`,
      hint === undefined ? {} : { hint },
    );
  if (labels?.['kt/role'] === 'preview')
    throw new KtError('SERVICE_HELD', `${name} in '${namespace}' is a preview of ${ownerName(service)}`);
  if (labels?.['kt/role'] !== undefined)
    throw no(`it is kt's own (${labels['kt/role']} of ${labels['kt/service'] ?? '?'})`);
  if (spec.type === 'ExternalName')
    throw no(
      `it is an ExternalName for ${spec.externalName ?? '?'} and has no pods`,
      'kt preview NAME makes a new Service',
    );
  if (Object.keys(spec.selector ?? {}).length === 0)
    throw no('it has no selector: its endpoints were written by hand', 'kt preview NAME makes a new Service');
  if (annotations?.['kt-selector'] !== undefined)
    throw new KtError('SERVICE_HELD', `${name} in '${namespace}' is held by kt-connect`, {
      hint: `kt recover ${name} gives it back, if nobody uses it any more`,
    });
}

const podsOf = (api: ClusterApi, namespace: string, { spec }: ServiceObject): Promise<PodObject[]> =>
  list<PodObject>(api, podPath(namespace), selectorText(spec.selector ?? {}));

function namedPorts(pods: readonly PodObject[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const { spec } of pods)
    for (const { ports } of spec?.containers ?? [])
      for (const { name, containerPort } of ports ?? [])
        if (name !== undefined && !found.has(name)) found.set(name, containerPort);
  return found;
}

function warnings({ metadata: { name }, spec }: ServiceObject, pods: readonly PodObject[]): string[] {
  const texts: string[] = [];
  if (spec.internalTrafficPolicy === 'Local')
    texts.push(
      `${name} has internalTrafficPolicy Local: callers on other nodes than the agent's get no answer meanwhile`,
    );
  if (spec.externalTrafficPolicy === 'Local')
    texts.push(`${name} has externalTrafficPolicy Local: from outside only the agent's node answers meanwhile`);
  if (spec.clusterIP === 'None') {
    if (pods.some((pod) => pod.spec?.hostname !== undefined && pod.spec.subdomain === name))
      throw new KtError(
        'SERVICE_REFUSED',
        `${name} can't be taken over: it is headless and its pods have names of their own (${pods[0]?.metadata.name ?? 'pod'}.${name}), which would not resolve meanwhile`,
        { hint: 'kt forward reaches the pods; kt preview makes a new Service' },
      );
    texts.push(`${name} is headless: callers notice the change only when their DNS answer is too old, up to 30 s`);
  }
  return texts;
}

const DRAIN_STEP: Step = {
  text: 'replace the original pods to which callers keep connections, one at a time: each leaves its ReplicaSet (label pod-template-hash), and is deleted when its successor is ready',
  undo: 'a pod whose successor did not get ready: its label back',
};

function stepsOf({
  service,
  kind,
  original,
  scaled = [],
}: Pick<TakeoverPlan, 'service' | 'kind' | 'original' | 'scaled'>): Step[] {
  const [origin, ingress] = [nameFor(service, 'origin'), nameFor(service, 'ingress')];
  const selector = selectorText(selectorToAgent(service, original.spec.selector ?? {}));
  return [
    { text: `create service/${origin} (the original selector and ports)`, undo: `delete service/${origin}` },
    {
      text: `create deployment/${ingress} (the agent, 1 pod) and wait until it is ready`,
      undo: `delete deployment/${ingress}`,
    },
    {
      text: `patch service/${service}: selector → ${selector}, annotation kt/journal (${kind})`,
      undo: `patch service/${service}: the original selector, no annotation`,
    },
    ...scaled.map(({ name, replicas }) => ({
      text: `scale deployment/${name}: ${replicas} → 0`,
      undo: `scale deployment/${name}: 0 → ${replicas}, and wait until its pods are ready`,
    })),
  ];
}
