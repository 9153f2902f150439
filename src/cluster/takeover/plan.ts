// Plans a take-over: asks everything, refuses with the reason what can't be taken, changes nothing. `--plan` prints what comes out.
// Carried out by apply.ts. Called by the modes exchange and mesh.
import { KtError } from '../../errors.ts';
import { checkAccess, forwardRights, missingRights, type Right } from '../access.ts';
import { podPath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { journalOf } from './journal.ts';
import { nameFor, ownerName } from './manifests.ts';
import { list, type PodObject, resolveService, selectorText } from './objects.ts';
import { freePorts, listenPorts, takenPorts } from './ports.ts';
import { checkReplaceable } from './replace-pods.ts';
import { selectorToAgent } from './selector.ts';
import type { ServiceObject, Step, TakeoverKind, TakeoverPlan, WantedPort } from './types.ts';

export interface TakeoverRequest {
  readonly kind: 'exchange' | 'mesh';
  /** `orders`, `svc/orders`, `deploy/orders`, `pod/orders-0`. */
  readonly target: string;
  /** Empty: all TCP ports. */
  readonly ports: readonly WantedPort[];
  readonly drain: boolean;
}

const RIGHTS: readonly Right[] = [
  { verb: 'get', resource: 'services' },
  { verb: 'create', resource: 'services' },
  { verb: 'patch', resource: 'services' },
  { verb: 'delete', resource: 'services' },
  { verb: 'get', resource: 'pods' },
  { verb: 'list', resource: 'pods' },
  { verb: 'watch', resource: 'pods' },
  { verb: 'get', resource: 'deployments', group: 'apps' },
  { verb: 'create', resource: 'deployments', group: 'apps' },
  { verb: 'delete', resource: 'deployments', group: 'apps' },
];

/** What these kinds need besides a port-forward. A preview changes nothing that is there. */
export function takeoverRights(kinds: readonly TakeoverKind[]): readonly Right[] {
  return kinds.every((kind) => kind === 'preview') ? RIGHTS.filter(({ verb }) => verb !== 'patch') : RIGHTS;
}

/** Rejects with RIGHTS_MISSING naming every verb that these kinds need. */
export async function checkTakeoverRights(
  api: ClusterApi,
  namespace: string,
  kinds: readonly TakeoverKind[],
): Promise<void> {
  const denied = await checkAccess(api, namespace, [...takeoverRights(kinds), ...(await forwardRights(api))]);
  if (denied.length > 0) throw missingRights(namespace, denied);
}

/** After checkTakeoverRights. Rejects with SERVICE_NOT_FOUND, SERVICE_REFUSED, SERVICE_HELD or USAGE before anything was changed. */
export async function planTakeover(
  api: ClusterApi,
  namespace: string,
  { kind, target, ports: wanted, drain }: TakeoverRequest,
): Promise<TakeoverPlan> {
  const original = await resolveService(api, namespace, target);
  const { name } = original.metadata;
  refuse(original, namespace);
  const journal = journalOf(original);
  if (journal === 'unreadable')
    throw new KtError('SERVICE_HELD', `${name} was taken over by a newer kt`, { hint: 'use that version' });
  const pods = journal ? [] : await podsOf(api, namespace, original);
  const listens = journal?.listens ?? listenPorts(name, original.spec.ports ?? [], namedPorts(pods));
  const selector = journal?.selector ?? original.spec.selector ?? {};
  if (drain) await checkReplaceable(api, namespace, name, selector);
  const { linkPort, healthPort } = freePorts(listens);
  const plan = {
    kind,
    namespace,
    service: name,
    original,
    selector,
    ports: takenPorts(name, listens, wanted),
    listens,
    linkPort: journal?.linkPort ?? linkPort,
    healthPort,
    joins: journal !== undefined,
    drain,
    warnings: warnings(original, pods),
  };
  return { ...plan, steps: [...(plan.joins ? [] : stepsOf(plan)), ...(drain ? [DRAIN_STEP] : [])] };
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
}: {
  service: string;
  kind: TakeoverKind;
  original: ServiceObject;
}): Step[] {
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
  ];
}
