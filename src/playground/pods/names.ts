// The cluster's DNS: what a name means, read from the Services, EndpointSlices and pods that there are (Kubernetes DNS specification
// 1.1.0; the answers of CoreDNS). Outside names do not exist here: a pod of the playground has no outside. Pure.
// Used by pods/dns-server.ts and, with the search list of a pod, for getaddrinfo (pods/channel.ts).
import type { DnsRecord, RecordType, ResolveAnswer } from '../../netstack/dialer.ts';
import { ENDPOINT_SLICES, NAMESPACES, PODS, SERVICES } from '../api/resources.ts';
import type { Store } from '../store.ts';
import type { EndpointSlice, Service } from '../types.ts';
import { CLUSTER_DOMAIN } from './addresses.ts';

/** As CoreDNS in a kubeadm cluster. */
const TTL = 30;
/** CNAMEs may point at each other. */
const CHAIN_MAX = 8;

const NOT_FOUND: ResolveAnswer = { found: false, records: [] };
const NO_DATA: ResolveAnswer = { found: true, records: [] };

interface Endpoint {
  readonly ip: string;
  readonly hostname: string;
}

interface NamedPort {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
}

export class ClusterNames {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The search list in a pod's /etc/resolv.conf. */
  static searchList(namespace: string): string[] {
    return [`${namespace}.svc.${CLUSTER_DOMAIN}`, `svc.${CLUSTER_DOMAIN}`, CLUSTER_DOMAIN];
  }

  /** An absolute name, or for PTR an address or a name under in-addr.arpa. */
  resolve(name: string, type: RecordType): ResolveAnswer {
    const absolute = name.toLowerCase().replace(/\.$/, '');
    if (type === 'PTR') return this.#reverse(absolute);
    const records: DnsRecord[] = [];
    let at = absolute;
    for (let hop = 0; hop < CHAIN_MAX; hop += 1) {
      const answer = this.#lookup(at, type);
      records.push(...answer.records);
      const [first] = answer.records;
      if (first?.type !== 'CNAME' || type === 'CNAME') return { found: answer.found || hop > 0, records };
      at = first.data;
    }
    return NO_DATA;
  }

  /** What getaddrinfo answers in a pod of `namespace`: the addresses, none where there is no such name. `ndots:5` as in a pod. */
  addresses(name: string, namespace: string): string[] {
    const absolute = name.endsWith('.');
    const bare = absolute ? name.slice(0, -1) : name;
    const dots = bare.split('.').length - 1;
    const searched = absolute ? [] : ClusterNames.searchList(namespace).map((suffix) => `${bare}.${suffix}`);
    const candidates = dots >= 5 ? [bare, ...searched] : [...searched, bare];
    for (const candidate of candidates) {
      const found = this.resolve(candidate, 'A').records.filter((record) => record.type === 'A');
      if (found.length > 0) return found.map((record) => record.data);
    }
    return [];
  }

  #lookup(name: string, type: RecordType): ResolveAnswer {
    const parts = name.split('.');
    const zone = CLUSTER_DOMAIN.split('.');
    if (parts.slice(-zone.length).join('.') !== CLUSTER_DOMAIN) return NOT_FOUND;
    const [kind, namespace, ...labels] = parts.slice(0, -zone.length).reverse();
    if (kind === undefined) return NO_DATA;
    if (kind === 'pod') return this.#podByAddress(name, type, namespace, labels);
    if (kind !== 'svc') return NOT_FOUND;
    if (namespace === undefined) return NO_DATA;
    if (this.#store.get(NAMESPACES, undefined, namespace) === undefined) return NOT_FOUND;
    const [serviceName, ...below] = labels;
    if (serviceName === undefined) return NO_DATA;
    const service = this.#store.get(SERVICES, namespace, serviceName);
    if (service === undefined) return NOT_FOUND;
    if (service.spec.type === 'ExternalName')
      return { found: true, records: [{ type: 'CNAME', name, ttl: TTL, data: service.spec.externalName ?? '' }] };
    return this.#inService(service, name, type, below.reverse());
  }

  #inService(service: Service, name: string, type: RecordType, below: readonly string[]): ResolveAnswer {
    const headless = service.spec.clusterIP === 'None';
    const a = (ip: string): DnsRecord => ({ type: 'A', name, ttl: TTL, data: ip });
    const [first, second, ...more] = below;
    if (first?.startsWith('_') && second?.startsWith('_') && more.length === 0)
      return this.#srv(service, name, type, first.slice(1), second.slice(1));
    if (first !== undefined) {
      // A pod by its hostname under a headless Service: db-0.db.
      const found =
        headless && second === undefined ? this.#endpoints(service).filter((one) => one.hostname === first) : [];
      if (found.length === 0) return NOT_FOUND;
      return type === 'A' ? { found: true, records: found.map((one) => a(one.ip)) } : NO_DATA;
    }
    if (type !== 'A') return type === 'SRV' ? this.#srv(service, name, type) : NO_DATA;
    if (!headless) return { found: true, records: [a(service.spec.clusterIP ?? '')] };
    return { found: true, records: this.#endpoints(service).map((one) => a(one.ip)) };
  }

  #srv(service: Service, name: string, type: RecordType, portName?: string, protocol?: string): ResolveAnswer {
    const base = `${service.metadata.name}.${service.metadata.namespace ?? ''}.svc.${CLUSTER_DOMAIN}`;
    const headless = service.spec.clusterIP === 'None';
    const ports = (headless ? this.#slicePorts(service) : servicePorts(service)).filter(
      (port) => portName === undefined || (port.name === portName && port.protocol === protocol),
    );
    if (ports.length === 0) return NOT_FOUND;
    if (type !== 'SRV') return NO_DATA;
    const targets = headless ? this.#endpoints(service).map((one) => `${one.hostname}.${base}`) : [base];
    const weight = Math.max(1, Math.floor(100 / Math.max(1, targets.length * ports.length)));
    const records = ports.flatMap((port) =>
      targets.map((target): DnsRecord => ({ type: 'SRV', name, ttl: TTL, data: `0 ${weight} ${port.port} ${target}` })),
    );
    return { found: true, records };
  }

  /** 198-18-64-20.shop.pod.cluster.local, whether there is such a pod or not (CoreDNS: pods insecure). */
  #podByAddress(
    name: string,
    type: RecordType,
    namespace: string | undefined,
    labels: readonly string[],
  ): ResolveAnswer {
    const [dashed, ...more] = labels;
    if (namespace === undefined || dashed === undefined) return NO_DATA;
    if (more.length > 0 || !/^\d+-\d+-\d+-\d+$/.test(dashed)) return NOT_FOUND;
    return type === 'A'
      ? { found: true, records: [{ type, name, ttl: TTL, data: dashed.replaceAll('-', '.') }] }
      : NO_DATA;
  }

  #reverse(name: string): ResolveAnswer {
    const octets = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name);
    const ip = octets === null ? name : octets.slice(1).reverse().join('.');
    const answer = (data: string): ResolveAnswer => ({ found: true, records: [{ type: 'PTR', name, ttl: TTL, data }] });
    for (const service of this.#store.list(SERVICES)) {
      const base = `${service.metadata.name}.${service.metadata.namespace ?? ''}.svc.${CLUSTER_DOMAIN}`;
      if (service.spec.clusterIP === ip) return answer(base);
      if (service.spec.clusterIP !== 'None') continue;
      const endpoint = this.#endpoints(service).find((one) => one.ip === ip);
      if (endpoint !== undefined) return answer(`${endpoint.hostname}.${base}`);
    }
    return NOT_FOUND;
  }

  #slices(service: Service): EndpointSlice[] {
    return this.#store
      .list(ENDPOINT_SLICES, service.metadata.namespace)
      .filter((slice) => slice.metadata.labels?.['kubernetes.io/service-name'] === service.metadata.name);
  }

  #slicePorts(service: Service): NamedPort[] {
    return this.#slices(service).flatMap((slice) =>
      (slice.ports ?? []).map((port) => ({
        name: port.name ?? '',
        protocol: (port.protocol ?? 'TCP').toLowerCase(),
        port: port.port ?? 0,
      })),
    );
  }

  #endpoints(service: Service): Endpoint[] {
    return this.#slices(service)
      .flatMap((slice) => slice.endpoints ?? [])
      .filter((endpoint) => endpoint.conditions?.ready !== false)
      .flatMap((endpoint) => {
        const pod = this.#store.get(PODS, service.metadata.namespace, endpoint.targetRef?.name ?? '');
        const own = pod?.spec.subdomain === service.metadata.name ? pod.spec.hostname : undefined;
        return endpoint.addresses.map((ip) => ({ ip, hostname: endpoint.hostname ?? own ?? ip.replaceAll('.', '-') }));
      });
  }
}

function servicePorts(service: Service): NamedPort[] {
  return (service.spec.ports ?? []).map((port) => ({
    name: port.name ?? '',
    protocol: (port.protocol ?? 'TCP').toLowerCase(),
    port: port.port,
  }));
}
