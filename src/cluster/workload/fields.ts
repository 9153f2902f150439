// The downward API (`fieldRef`, `resourceFieldRef`) for a program that runs on a laptop beside the workload's pods.
// It is none of them: it gets a name and a uid of its own, so that it is not taken for a pod that holds a lock or a partition, and
// 127.0.0.1 as its address, which it can listen on. Labels, annotations, limits and the node's address are the workload's. Pure.
// Called by environment.ts and volumes.ts.
import { inUnits } from './quantity.codec.ts';
import type { Container, PodTemplate, ResourceReference } from './types.ts';

export interface PodIdentity {
  readonly namespace: string;
  /** The name that the program has instead of a pod's. */
  readonly name: string;
  readonly uid: string;
  /** Of a pod of the workload that runs, where one could be looked at. */
  readonly nodeName?: string | undefined;
  readonly hostIp?: string | undefined;
}

/** The value of a `fieldPath`; undefined where it can't be known here. */
export function fieldValue(path: string, template: PodTemplate, pod: PodIdentity): string | undefined {
  const { labels = {}, annotations = {} } = template.metadata ?? {};
  const subscript = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (subscript) return (subscript[1] === 'labels' ? labels : annotations)[subscript[2] ?? ''] ?? '';
  switch (path) {
    case 'metadata.name':
      return pod.name;
    case 'metadata.namespace':
      return pod.namespace;
    case 'metadata.uid':
      return pod.uid;
    case 'metadata.labels':
      return mapText(labels);
    case 'metadata.annotations':
      return mapText(annotations);
    case 'spec.serviceAccountName':
      return template.spec?.serviceAccountName ?? 'default';
    case 'status.podIP':
    case 'status.podIPs':
      return '127.0.0.1';
    case 'spec.nodeName':
      return pod.nodeName;
    case 'status.hostIP':
    case 'status.hostIPs':
      return pod.hostIp;
    default:
      return undefined;
  }
}

/** As the kubelet's FormatMap: sorted, values quoted. */
function mapText(map: Readonly<Record<string, string>>): string {
  return Object.entries(map)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .toSorted()
    .join('\n');
}

/** The value of a `resourceFieldRef`; undefined where the container sets no such limit or request. */
export function resourceValue(
  { resource, divisor }: ResourceReference,
  { resources = {} }: Container,
): string | undefined {
  const [kind, name = ''] = resource.split('.');
  const limit = resources.limits?.[name];
  // A request that is not set is the limit.
  const quantity = kind === 'limits' ? limit : (resources.requests?.[name] ?? limit);
  return quantity === undefined ? undefined : inUnits(quantity, divisor);
}
