// Services with a selector → EndpointSlices and Endpoints of the pods that match, with the target ports resolved pod by pod (a named
// port may be another number in each). Slices that others wrote for a Service without a selector are left alone.
import { isDeepStrictEqual } from 'node:util';
import { randomSuffix } from '../api/defaults.ts';
import { apiVersionOf, ENDPOINT_SLICES, ENDPOINTS, PODS, type ResourceType, SERVICES } from '../api/resources.ts';
import { matchesLabels } from '../api/selector.ts';
import { NODE_NAME } from '../pods/addresses.ts';
import type { Store } from '../store.ts';
import type { Pod, Service, ServicePort } from '../types.ts';
import { ControllerLoop } from './loop.ts';
import { isReady, ownerOf } from './pod-factory.ts';

const MANAGED = 'endpointslice.kubernetes.io/managed-by';
const MANAGER = 'endpointslice-controller.k8s.io';
const SERVICE_NAME = 'kubernetes.io/service-name';

interface Port {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

interface Group {
  readonly ports: readonly Port[];
  readonly pods: Pod[];
}

/** The port of this pod that a Service port leads to; undefined where the pod has no port of that name. */
function resolvePort(port: ServicePort, pod: Pod): Port | undefined {
  const protocol = port.protocol ?? 'TCP';
  const target = port.targetPort ?? port.port;
  const number =
    typeof target === 'number'
      ? target
      : pod.spec.containers
          .flatMap((container) => container.ports ?? [])
          .find((one) => one.name === target && (one.protocol ?? 'TCP') === protocol)?.containerPort;
  return number === undefined ? undefined : { name: port.name ?? '', port: number, protocol };
}

function groupByPorts(service: Service, pods: readonly Pod[]): Group[] {
  const groups: Group[] = [];
  for (const pod of pods) {
    const ports = (service.spec.ports ?? []).map((port) => resolvePort(port, pod)).filter((port) => port !== undefined);
    const known = groups.find((group) => isDeepStrictEqual(group.ports, ports));
    if (known === undefined) groups.push({ ports, pods: [pod] });
    else known.pods.push(pod);
  }
  return groups.length === 0 ? [{ ports: [], pods: [] }] : groups;
}

const targetOf = (pod: Pod): object => ({
  kind: 'Pod',
  namespace: pod.metadata.namespace,
  name: pod.metadata.name,
  uid: pod.metadata.uid,
});

export class EndpointsController {
  readonly #store: Store;
  readonly #loop: ControllerLoop;

  constructor(store: Store) {
    this.#store = store;
    this.#loop = new ControllerLoop(store, [SERVICES, PODS], (namespace) => {
      for (const service of store.list(SERVICES, namespace)) this.#reconcile(service);
      return true;
    });
  }

  close(): void {
    this.#loop.close();
  }

  #reconcile(service: Service): void {
    if (Object.keys(service.spec.selector ?? {}).length === 0 || service.spec.type === 'ExternalName') return;
    const pods = this.#store
      .list(PODS, service.metadata.namespace)
      .filter((pod) => matchesLabels(service.spec.selector, pod.metadata.labels))
      .filter(
        (pod) => pod.status.podIP !== undefined && pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed',
      );
    const groups = groupByPorts(service, pods);
    this.#writeSlices(service, groups);
    this.#writeEndpoints(service, groups);
  }

  #writeSlices(service: Service, groups: readonly Group[]): void {
    const { namespace, name, labels } = service.metadata;
    const left = this.#store
      .list(ENDPOINT_SLICES, namespace)
      .filter((slice) => slice.metadata.labels?.[SERVICE_NAME] === name && slice.metadata.labels[MANAGED] === MANAGER);
    for (const group of groups) {
      const at = left.findIndex((slice) => isDeepStrictEqual(slice.ports, group.ports));
      const known = at >= 0 ? left.splice(at, 1)[0] : left.shift();
      const content = {
        addressType: 'IPv4',
        endpoints: group.pods.map((pod) => this.#endpoint(service, pod)),
        ports: group.ports,
      };
      if (known === undefined)
        this.#store.create(ENDPOINT_SLICES, {
          apiVersion: apiVersionOf(ENDPOINT_SLICES),
          kind: 'EndpointSlice',
          metadata: {
            name: `${name}-${randomSuffix()}`,
            generateName: `${name}-`,
            namespace: namespace ?? '',
            labels: { ...labels, [MANAGED]: MANAGER, [SERVICE_NAME]: name },
            ownerReferences: [ownerOf(service)],
          },
          ...content,
        });
      else this.#store.update(ENDPOINT_SLICES, { ...known, ...content });
    }
    for (const slice of left) this.#store.remove(ENDPOINT_SLICES, namespace, slice.metadata.name);
  }

  #endpoint(service: Service, pod: Pod): object {
    const terminating = pod.metadata.deletionTimestamp !== undefined;
    const ready = isReady(pod) || service.spec.publishNotReadyAddresses === true;
    const hostname =
      pod.spec.subdomain === service.metadata.name && pod.spec.hostname ? { hostname: pod.spec.hostname } : {};
    return {
      addresses: [pod.status.podIP ?? ''],
      conditions: { ready, serving: ready, terminating },
      ...hostname,
      targetRef: targetOf(pod),
      nodeName: NODE_NAME,
    };
  }

  #writeEndpoints(service: Service, groups: readonly Group[]): void {
    const { namespace, name, labels } = service.metadata;
    const address = (pod: Pod): object => ({ ip: pod.status.podIP, nodeName: NODE_NAME, targetRef: targetOf(pod) });
    const subsets = groups
      .filter((group) => group.pods.length > 0)
      .map((group) => {
        const ready = group.pods.filter((pod) => isReady(pod) || service.spec.publishNotReadyAddresses === true);
        const notReady = group.pods.filter((pod) => !ready.includes(pod));
        return {
          ...(ready.length === 0 ? {} : { addresses: ready.map(address) }),
          ...(notReady.length === 0 ? {} : { notReadyAddresses: notReady.map(address) }),
          ports: group.ports.map(({ name: portName, ...port }) =>
            portName === '' ? port : { name: portName, ...port },
          ),
        };
      });
    const content = subsets.length === 0 ? {} : { subsets };
    const known = this.#store.get(ENDPOINTS, namespace, name);
    if (known !== undefined) {
      const { subsets: _old, ...rest } = known;
      this.#store.update(ENDPOINTS, { ...rest, ...content });
      return;
    }
    const type: ResourceType = ENDPOINTS;
    this.#store.create(type, {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: {
        name,
        namespace: namespace ?? '',
        labels: { ...labels, 'endpoints.kubernetes.io/managed-by': 'endpoint-controller' },
      },
      ...content,
    });
  }
}
