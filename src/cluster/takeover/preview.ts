// Plans and makes a preview: a new Service that is the laptop. It leads to an ingress agent from the start and has no origin: when the laptop is
// away, callers are refused at once. Undoing is deleting (restore.ts); its journal is on the Service as on a taken one. Called by modes/hold.ts.
import { asKtError, KtError } from '../../errors.ts';
import { servicePath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { statusCode } from '../status.ts';
import { waitForIngressAgent } from './agent-ready.ts';
import type { ApplyOptions } from './apply.ts';
import { createAgentDeployment } from './create-agent.ts';
import { newJournal } from './journal.ts';
import { ingressDeployment, nameFor, ownerName, previewService } from './manifests.ts';
import { find } from './objects.ts';
import { freePorts } from './ports.ts';
import { removePreview } from './restore.ts';
import type { ServiceObject, TakenPort, TakeoverPlan, WantedPort } from './types.ts';

/** Below it the agent's pod would need a sysctl; a preview chooses its target ports itself, so it listens this much higher. */
const PRIVILEGED_BELOW = 1024;
const SHIFT = 20_000;

export interface PreviewRequest {
  /** Name of the new Service. */
  readonly target: string;
  readonly ports: readonly WantedPort[];
  /** Reachable from outside of the cluster: type LoadBalancer. */
  readonly external: boolean;
}

/** Rejects with USAGE, SERVICE_REFUSED or SERVICE_HELD before anything was made. */
export async function planPreview(
  api: ClusterApi,
  namespace: string,
  { target, ports: wanted, external }: PreviewRequest,
): Promise<TakeoverPlan> {
  const name = target.replace(/^(svc|services?)\//, '');
  // RFC 1035 label: what the API server takes as a Service's name.
  if (!/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))
    throw new KtError('USAGE', `'${name}' can't be the name of a Service: small letters, digits and -, at most 63`);
  const ports = previewPorts(name, wanted);
  const existing = await find<ServiceObject>(api, servicePath(namespace, name));
  if (existing) throw exists(existing, namespace);
  const original: ServiceObject = {
    metadata: { name },
    spec: {
      type: external ? 'LoadBalancer' : 'ClusterIP',
      ports: ports.map(({ servicePort: port, name: portName = '', listen: targetPort, protocol }) => ({
        name: portName,
        port,
        targetPort,
        protocol,
      })),
    },
  };
  const { linkPort, healthPort } = freePorts(ports);
  const deployment = nameFor(name, 'ingress');
  const steps = [
    {
      text: `create service/${name}${external ? ' (LoadBalancer)' : ''}: ${ports.map(({ servicePort }) => servicePort).join(', ')}`,
      undo: `delete service/${name}`,
    },
    {
      text: `create deployment/${deployment} (the agent, 1 pod) and wait until it is ready`,
      undo: `delete deployment/${deployment}`,
    },
  ];
  const warnings: string[] = [];
  const plan = { kind: 'preview' as const, namespace, service: name, original, ports, listens: ports };
  return { ...plan, selector: {}, linkPort, healthPort, joins: false, drain: false, steps, warnings };
}

function exists(service: ServiceObject, namespace: string): KtError {
  const { name, labels } = service.metadata;
  if (labels?.['kt/role'] === 'preview')
    return new KtError('SERVICE_HELD', `${ownerName(service)} has a preview '${name}' in '${namespace}' already`, {
      hint: `choose another name; \`kt recover ${name}\` removes it if nobody is on it any more`,
    });
  return new KtError('SERVICE_REFUSED', `there is a Service '${name}' in the namespace '${namespace}' already`, {
    hint: `choose another name for the preview, or take that Service with \`kt exchange ${name}\` or \`kt mesh ${name}\``,
  });
}

function previewPorts(name: string, wanted: readonly WantedPort[]): TakenPort[] {
  if (wanted.length === 0)
    throw new KtError('USAGE', `which ports has ${name}? A new Service has none yet`, {
      hint: `kt preview ${name} --expose 8080  or  --expose LOCAL:PORT,…`,
    });
  const ports = wanted.map(({ remote, local, protocol = 'TCP' }) => {
    const servicePort = Number(remote);
    if (!Number.isInteger(servicePort) || servicePort < 1 || servicePort > 65_535)
      throw new KtError('USAGE', `a preview's ports are numbers and '${remote}' is none`);
    const portName = `kt-${servicePort}${protocol === 'UDP' ? '-udp' : ''}`;
    const listen = servicePort < PRIVILEGED_BELOW ? servicePort + SHIFT : servicePort;
    return { servicePort, name: portName, protocol, listen, local: local ?? servicePort };
  });
  const names = new Set(ports.map((port) => port.name));
  const listens = new Set(ports.map(({ listen, protocol }) => `${listen}/${protocol}`));
  if (names.size < ports.length || listens.size < ports.length)
    throw new KtError('USAGE', `--expose names a port of ${name} twice`);
  return ports;
}

/** Rejects with AGENT_*, SERVICE_REFUSED, CANCELLED or what the API said; nothing is left then but what the error names. */
export async function applyPreview(api: ClusterApi, plan: TakeoverPlan, options: ApplyOptions): Promise<void> {
  const { namespace, service } = plan;
  const { owner, signal, onStep } = options;
  let made: ServiceObject | undefined;
  try {
    onStep(`create service/${service}`);
    // First: its name is the lock, and the agent's Deployment belongs to it.
    const body = previewService(plan, owner, newJournal(plan, owner, {}));
    made = await api.request<ServiceObject>('POST', servicePath(namespace), { body, signal });
    onStep(`create deployment/${nameFor(service, 'ingress')}`);
    const manifest = ingressDeployment({ ...plan, original: made }, owner, { ...options, origin: null });
    await createAgentDeployment(api, namespace, manifest, signal);
    await waitForIngressAgent(api, plan, options);
  } catch (error) {
    const known = signal.aborted
      ? new KtError('CANCELLED', `cancelled while ${service} was being made`)
      : asKtError(error);
    if (made) await removePreview(api, namespace, made).catch(() => undefined);
    else if (statusCode(error) === 409)
      throw new KtError('SERVICE_REFUSED', `somebody made the Service '${service}' a moment ago`, { cause: error });
    throw known;
  }
}
