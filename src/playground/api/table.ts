// Lists as the tables that `kubectl get` prints (meta.k8s.io/v1 Table). Columns of the kinds that a visitor of the playground looks at;
// everything else has name and age. Pure; used by api/objects.ts and api/watch.ts.

import type { ApiObject, Pod, Service } from '../types.ts';
import {
  DEPLOYMENTS,
  ENDPOINTS,
  EVENTS,
  NAMESPACES,
  PODS,
  REPLICA_SETS,
  type ResourceType,
  SERVICES,
  STATEFUL_SETS,
} from './resources.ts';

type Cell = string | number;
interface Column {
  readonly name: string;
  readonly cell: (object: ApiObject) => Cell;
  /** Only with `-o wide`. */
  readonly wide?: boolean;
}

/** 45s, 12m, 3h5m, 2d: as kubectl prints ages, without its finer steps. */
export function age(since: string | undefined, now = Date.now()): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(since ?? '')) / 1000));
  if (Number.isNaN(seconds)) return '<unknown>';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}

/** The word in the STATUS column: the reason of a container that waits or failed, else the phase. */
export function podReason(pod: Pod): string {
  if (pod.metadata.deletionTimestamp !== undefined) return 'Terminating';
  for (const container of pod.status.containerStatuses ?? []) {
    const reason = container.state.waiting?.reason ?? container.state.terminated?.reason;
    if (reason !== undefined) return reason;
  }
  return pod.status.reason ?? pod.status.phase;
}

function fields(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function count(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

const asPod = (object: ApiObject): Pod => object as Pod;
const servicePorts = (service: Service): string =>
  (service.spec.ports ?? []).map((port) => `${port.port}/${port.protocol ?? 'TCP'}`).join(',') || '<none>';
const selectorText = (selector: unknown): string =>
  Object.entries(fields(selector))
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(',') || '<none>';

const COLUMNS = new Map<ResourceType, readonly Column[]>([
  [
    PODS,
    [
      {
        name: 'Ready',
        cell: (o) =>
          `${asPod(o).status.containerStatuses?.filter((one) => one.ready).length ?? 0}/${asPod(o).spec.containers.length}`,
      },
      { name: 'Status', cell: (o) => podReason(asPod(o)) },
      { name: 'Restarts', cell: (o) => asPod(o).status.containerStatuses?.[0]?.restartCount ?? 0 },
      { name: 'Age', cell: (o) => age(o.metadata.creationTimestamp) },
      { name: 'IP', cell: (o) => asPod(o).status.podIP ?? '<none>', wide: true },
      { name: 'Node', cell: (o) => asPod(o).spec.nodeName ?? '<none>', wide: true },
    ],
  ],
  [
    SERVICES,
    [
      { name: 'Type', cell: (o) => (o as Service).spec.type ?? '' },
      { name: 'Cluster-IP', cell: (o) => (o as Service).spec.clusterIP ?? '<none>' },
      { name: 'External-IP', cell: (o) => (o as Service).spec.externalName ?? '<none>' },
      { name: 'Port(s)', cell: (o) => servicePorts(o as Service) },
      { name: 'Age', cell: (o) => age(o.metadata.creationTimestamp) },
      { name: 'Selector', cell: (o) => selectorText((o as Service).spec.selector), wide: true },
    ],
  ],
  [
    ENDPOINTS,
    [
      {
        name: 'Endpoints',
        cell: (o) =>
          ((o['subsets'] ?? []) as { addresses?: { ip: string }[]; ports?: { port: number }[] }[])
            .flatMap((set) =>
              (set.addresses ?? []).flatMap((at) => (set.ports ?? []).map((port) => `${at.ip}:${port.port}`)),
            )
            .join(',') || '<none>',
      },
    ],
  ],
  [
    EVENTS,
    [
      { name: 'Type', cell: (o) => String(o['type']) },
      { name: 'Reason', cell: (o) => String(o['reason']) },
      {
        name: 'Object',
        cell: (o) =>
          `${String(fields(o['involvedObject'])['kind']).toLowerCase()}/${String(fields(o['involvedObject'])['name'])}`,
      },
      { name: 'Message', cell: (o) => String(o['message']) },
    ],
  ],
  [NAMESPACES, [{ name: 'Status', cell: (o) => String(fields(o.status)['phase']) }]],
]);

const READY: Column = {
  name: 'Ready',
  cell: (o) => `${count(fields(o.status)['readyReplicas'])}/${count(fields(o.spec)['replicas'])}`,
};
const AGE: Column = { name: 'Age', cell: (o) => age(o.metadata.creationTimestamp) };
COLUMNS.set(DEPLOYMENTS, [
  READY,
  { name: 'Up-to-date', cell: (o) => count(fields(o.status)['updatedReplicas']) },
  { name: 'Available', cell: (o) => count(fields(o.status)['availableReplicas']) },
  AGE,
]);
COLUMNS.set(STATEFUL_SETS, [READY, AGE]);
COLUMNS.set(REPLICA_SETS, [
  { name: 'Desired', cell: (o) => count(fields(o.spec)['replicas']) },
  { name: 'Current', cell: (o) => count(fields(o.status)['replicas']) },
  { name: 'Ready', cell: (o) => count(fields(o.status)['readyReplicas']) },
  AGE,
]);

/** Does the client's Accept header ask for tables? */
export function wantsTable(accept: string | undefined): boolean {
  return /;\s*as=Table\b/.test(accept ?? '');
}

export function toTable(type: ResourceType, objects: readonly ApiObject[], resourceVersion: string): unknown {
  const columns: Column[] = [{ name: 'Name', cell: (o) => o.metadata.name }, ...(COLUMNS.get(type) ?? [AGE])];
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { resourceVersion },
    columnDefinitions: columns.map((column) => ({
      name: column.name,
      type: 'string',
      format: column.name === 'Name' ? 'name' : '',
      description: '',
      priority: column.wide ? 1 : 0,
    })),
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.cell(object)),
      object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata },
    })),
  };
}
