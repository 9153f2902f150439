// Finds the pod template of a workload that the user names (`deploy/orders`), and the container whose surroundings the program gets.
// Reads only. Not what the template refers to (sources.ts). Called by modes/workload/.
import { KtError } from '../../errors.ts';
import { workloadPath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { statusCode } from '../status.ts';
import type { Container, PodTemplate } from './types.ts';

interface Kind {
  readonly names: readonly string[];
  readonly group: string;
  readonly resource: string;
}

/** As kubectl shortens them. The first name is the one that messages use. */
const KINDS: readonly Kind[] = [
  { names: ['deploy', 'deployment', 'deployments'], group: 'apps/v1', resource: 'deployments' },
  { names: ['sts', 'statefulset', 'statefulsets'], group: 'apps/v1', resource: 'statefulsets' },
  { names: ['ds', 'daemonset', 'daemonsets'], group: 'apps/v1', resource: 'daemonsets' },
  { names: ['rs', 'replicaset', 'replicasets'], group: 'apps/v1', resource: 'replicasets' },
  { names: ['job', 'jobs'], group: 'batch/v1', resource: 'jobs' },
  { names: ['cronjob', 'cronjobs', 'cj'], group: 'batch/v1', resource: 'cronjobs' },
  { names: ['pod', 'pods', 'po'], group: 'v1', resource: 'pods' },
];

export interface WorkloadName {
  /** `deploy/orders`: for messages. */
  readonly text: string;
  readonly group: string;
  readonly resource: string;
  readonly name: string;
}

export interface Workload {
  readonly name: WorkloadName;
  readonly template: PodTemplate;
  readonly container: Container;
  /** Names of the containers that were not chosen. */
  readonly others: readonly string[];
}

/** `orders` is `deploy/orders`. Throws USAGE. */
export function parseWorkload(text: string, flag: string): WorkloadName {
  const [first = '', second, ...more] = text.split('/');
  const [kindName, name] = second === undefined ? ['deploy', first] : [first.toLowerCase(), second];
  const kind = KINDS.find(({ names }) => names.includes(kindName));
  if (!kind || !name || more.length > 0) {
    throw new KtError('USAGE', `--${flag} takes KIND/NAME and got '${text}'`, {
      hint: `kinds: ${KINDS.map(({ names }) => names[0]).join(', ')}; for example --${flag} deploy/orders`,
    });
  }
  return { text: `${kind.names[0]}/${name}`, group: kind.group, resource: kind.resource, name };
}

interface WorkloadObject extends PodTemplate {
  readonly spec?: PodTemplate['spec'] & {
    readonly template?: PodTemplate;
    readonly jobTemplate?: { readonly spec?: { readonly template?: PodTemplate } };
  };
}

/** Rejects with WORKLOAD_NOT_FOUND (also for the container), RIGHTS_MISSING, or what the connection ended with. */
export async function findWorkload(
  api: ClusterApi,
  namespace: string,
  name: WorkloadName,
  container?: string,
  signal?: AbortSignal,
): Promise<Workload> {
  const path = workloadPath(name.group, name.resource, namespace, name.name);
  const object = await api.request<WorkloadObject>('GET', path, { signal }).catch((error: unknown) => {
    if (statusCode(error) !== 404) throw error;
    throw new KtError('WORKLOAD_NOT_FOUND', `there is no ${name.text} in the namespace '${namespace}'`, {
      hint: 'name another with KIND/NAME, or another namespace with --namespace; `kubectl get deploy,sts` shows them',
      cause: error,
    });
  });
  const template = object.spec?.template ?? object.spec?.jobTemplate?.spec?.template ?? object;
  const containers = template.spec?.containers ?? [];
  const preferred = container ?? template.metadata?.annotations?.['kubectl.kubernetes.io/default-container'];
  const chosen = containers.find((one) => one.name === preferred) ?? (container ? undefined : containers[0]);
  const names = containers.map((one) => one.name);
  if (!chosen) {
    throw new KtError('WORKLOAD_NOT_FOUND', `${name.text} has no container '${container ?? ''}'`, {
      hint: `it has: ${names.join(', ')}`,
    });
  }
  return { name, template, container: chosen, others: names.filter((one) => one !== chosen.name) };
}
