// What a take-over creates, as manifests: the origin Service (the way to the original pods) and the ingress agent's Deployment.
// Pure. Both belong to the Service (ownerReferences), so that whoever deletes it leaves nothing of ours. Called by apply.ts.
import { createHash } from 'node:crypto';
import { holderName } from '../../netstack/link/control.codec.ts';
import { agentDeployment } from '../agent-deployment.ts';
import type { AgentPlacement } from '../agent-placement.ts';
import { agentPodSpec } from '../agent-pod.ts';
import {
  type AgentIdentity,
  JOURNAL_ANNOTATION,
  LABEL_SERVICE,
  listenersOf,
  type ServiceObject,
  type TakeoverOwner,
  type TakeoverPlan,
} from './types.ts';

/** RFC 1123: names of Services are DNS labels. */
const NAME_MAX = 63;
/** Seconds from SIGTERM to SIGKILL: the agent drains for 25 s at most. */
const GRACE_S = 30;
/** The mark of a manual agent's pods, on their Deployment. */
export const MARK_ANNOTATION = 'kt/mark';
/** Below it a process without rights can't listen, unless the pod says so. */
const PRIVILEGED_BELOW = 1024;

/** `orders-kt-origin`; a name that gets too long is cut and keeps a part of its digest. */
export function nameFor(service: string, suffix: string): string {
  const name = `${service}-kt-${suffix}`;
  if (name.length <= NAME_MAX) return name;
  const digest = createHash('sha256').update(service).digest('hex').slice(0, 8);
  return `${service.slice(0, NAME_MAX - suffix.length - 13)}-${digest}-kt-${suffix}`;
}

/** What only the agent's pods have. */
export const agentLabels = (service: string): Record<string, string> => ({
  'kt/role': 'ingress',
  [LABEL_SERVICE]: service,
});

/** The keys of the Service's selector with a value that only the agent's pods have (selector.ts says why). */
const chosenBy = (service: string, { spec }: ServiceObject): Record<string, string> =>
  Object.fromEntries(Object.keys(spec.selector ?? {}).map((key) => [key, nameFor(service, 'ingress')]));
/** Of a taken Service and of a preview. */
export const serviceAgent = (service: string): AgentIdentity => ({
  deployment: nameFor(service, 'ingress'),
  labels: agentLabels(service),
});

/** Of one session's mesh in manual mode. */
export const manualAgent = (service: string, session: string): AgentIdentity => ({
  deployment: nameFor(service, `manual-${session}`),
  labels: { 'kt/role': 'manual', [LABEL_SERVICE]: service, 'kt/session': session },
});

interface ObjectMetadata {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly object[];
}

type Role = 'origin' | 'ingress' | 'preview';

function metadata(plan: TakeoverPlan, owner: TakeoverOwner, role: Role): ObjectMetadata {
  const { name, uid } = plan.original.metadata;
  return {
    name: role === 'preview' ? plan.service : nameFor(plan.service, role),
    labels: {
      'app.kubernetes.io/managed-by': 'kt',
      'kt/role': role,
      [LABEL_SERVICE]: plan.service,
      'kt/session': owner.session,
    },
    annotations: { 'kt/user': owner.user, 'kt/host': owner.host, 'kt/version': owner.version },
    ...(uid === undefined ? {} : { ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name, uid }] }),
  };
}

/** Who made it, as its annotations say. */
export function ownerName(made: Pick<ServiceObject, 'metadata'> | undefined): string {
  const { 'kt/user': user = 'somebody', 'kt/host': host = 'a laptop' } = made?.metadata.annotations ?? {};
  return holderName({ user, host });
}

export function originService(plan: TakeoverPlan, owner: TakeoverOwner): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(plan, owner, 'origin'),
    spec: {
      selector: plan.original.spec.selector,
      ports: originPorts(plan.original),
      ...(plan.original.spec.publishNotReadyAddresses ? { publishNotReadyAddresses: true } : {}),
    },
  };
}

/** The new Service of a preview: it leads to the agent from the start, and its journal says that undoing is deleting. */
export function previewService(plan: TakeoverPlan, owner: TakeoverOwner, journal: string): object {
  const { annotations, ...rest } = metadata(plan, owner, 'preview');
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...rest, annotations: { ...annotations, [JOURNAL_ANNOTATION]: journal } },
    spec: { ...plan.original.spec, selector: agentLabels(plan.service) },
  };
}

/** The same ports, without what only one Service can have (nodePort). */
export const originPorts = (service: ServiceObject): object[] =>
  (service.spec.ports ?? []).map(({ name, protocol, port, targetPort, appProtocol }) => ({
    port,
    ...(name === undefined ? {} : { name }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(targetPort === undefined ? {} : { targetPort }),
    ...(appProtocol === undefined ? {} : { appProtocol }),
  }));

export interface IngressDeploymentOptions extends AgentPlacement {
  readonly code: string;
  /** ClusterIP of the origin Service; null for a preview. */
  readonly origin: string | null;
}

export function ingressDeployment(plan: TakeoverPlan, owner: TakeoverOwner, options: IngressDeploymentOptions): object {
  const listeners = listenersOf(plan.listens);
  const { manual, healthPort } = plan;
  const { deployment: name, labels: agent } = manual?.agent ?? serviceAgent(plan.service);
  const config = {
    service: plan.service,
    origin: options.origin,
    healthPort,
    listeners,
    ...(manual ? { standby: true } : {}),
  };
  // A named target port is looked up by its name in each pod.
  const named = plan.listens.filter(({ targetName }) => targetName !== undefined);
  const unique = new Map(named.map((port) => [port.targetName, port]));
  const labels = {
    ...options.labels,
    'app.kubernetes.io/name': 'kt-agent',
    ...(manual
      ? { ...plan.original.spec.selector, [manual.mark.name]: manual.mark.value }
      : chosenBy(plan.service, plan.original)),
  };
  const pod = agentPodSpec({
    ...options,
    restartPolicy: 'Always',
    graceSeconds: GRACE_S,
    env: { KT_INGRESS: JSON.stringify(config), KT_LINK_PORT: String(plan.linkPort) },
    ports: [...unique.values()].map(({ targetName, listen, protocol }) => ({
      name: targetName,
      containerPort: listen,
      protocol,
    })),
    readinessProbe: { httpGet: { path: '/', port: healthPort }, periodSeconds: 1, failureThreshold: 2 },
    // It is ready only while a laptop is there; that its program runs is asked apart.
    ...(manual
      ? { startupProbe: { httpGet: { path: '/started', port: healthPort }, periodSeconds: 1, failureThreshold: 60 } }
      : {}),
    // Safe and allowed at every level of Pod Security, yet some policy engines forbid any sysctl: only where it is needed.
    ...(listeners.some(({ port }) => port < PRIVILEGED_BELOW)
      ? { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }] }
      : {}),
  });
  const made = metadata(plan, owner, 'ingress');
  const notes = manual && { [MARK_ANNOTATION]: `${manual.mark.name}=${manual.mark.value}` };
  return agentDeployment({
    metadata: {
      ...made,
      name,
      labels: { ...options.labels, ...made.labels, ...agent },
      annotations: { ...options.annotations, ...made.annotations, ...notes },
    },
    selector: agent,
    labels,
    // Whoever plans sees the pods of a Service, not whose Deployment made them.
    annotations: { ...options.annotations, ...(manual ? made.annotations : {}) },
    pod,
  });
}
