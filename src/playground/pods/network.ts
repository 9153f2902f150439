// The virtual network between pods: who listens where, and to which real loopback port a connection to a virtual address goes.
// Knows pods' addresses, ClusterIPs (by their EndpointSlices, round robin) and each pod's own loopback. Opens no socket itself: the
// pods' preload does, with the ports that it is told here (pods/channel.ts). Sans-io.

import { ENDPOINT_SLICES, SERVICES } from '../api/resources.ts';
import type { Store } from '../store.ts';
import type { Service } from '../types.ts';
import { inCidr, POD_CIDR, SERVICE_CIDR } from './addresses.ts';

export type Protocol = 'tcp' | 'udp';
/** `any` is 0.0.0.0 and ::, `loopback` 127.0.0.1 and ::1, `pod` the pod's own address. */
export type Scope = 'any' | 'loopback' | 'pod';

/** A real port on 127.0.0.1, or the error that the connecting program gets. */
export type Way = { readonly realPort: number } | { readonly error: 'ECONNREFUSED' | 'EHOSTUNREACH' | 'ENETUNREACH' };

interface Listener {
  readonly protocol: Protocol;
  readonly port: number;
  readonly scope: Scope;
  readonly realPort: number;
  /** The process that listens: its listeners go with it. */
  readonly owner: object;
}

/** A pod that opens more than this has a leak. */
const LISTENERS_PER_POD_MAX = 1_000;
/** Connections whose acceptor has not asked yet where they come from. */
const SOURCES_MAX = 4_096;

const REFUSED: Way = { error: 'ECONNREFUSED' };

export class PodNetwork {
  readonly #store: Store;
  readonly #pods = new Map<string, Listener[]>();
  readonly #turns = new Map<string, number>();
  /** Real local port of a connecting pod → its address. */
  readonly #sources = new Map<number, string>();
  /** Called when a pod begins or stops to listen: readiness may have changed. */
  onListenersChanged: ((podIp: string) => void) | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  addPod(ip: string): void {
    this.#pods.set(ip, []);
  }

  removePod(ip: string): void {
    this.#pods.delete(ip);
  }

  /** Something that is no pod, on one port of an address: the API server, the DNS server. */
  addFixed(ip: string, protocol: Protocol, port: number, realPort: number): void {
    const listeners = this.#pods.get(ip) ?? [];
    this.#pods.set(ip, [...listeners, { protocol, port, scope: 'any', realPort, owner: this }]);
  }

  /** False where the port is taken (EADDRINUSE). */
  listen(ip: string, listener: Listener): boolean {
    const known = this.#pods.get(ip);
    if (known === undefined || known.length >= LISTENERS_PER_POD_MAX) return false;
    const clash = known.some(
      (one) =>
        one.port === listener.port &&
        one.protocol === listener.protocol &&
        (one.scope === listener.scope || one.scope === 'any' || listener.scope === 'any'),
    );
    if (clash) return false;
    known.push(listener);
    this.onListenersChanged?.(ip);
    return true;
  }

  unlisten(ip: string, owner: object, which?: { readonly protocol: Protocol; readonly realPort: number }): void {
    const known = this.#pods.get(ip);
    if (known === undefined) return;
    const left = known.filter(
      (one) =>
        one.owner !== owner ||
        (which !== undefined && (one.protocol !== which.protocol || one.realPort !== which.realPort)),
    );
    if (left.length === known.length) return;
    this.#pods.set(ip, left);
    this.onListenersChanged?.(ip);
  }

  /** The way of a connection from a pod to an IPv4 or IPv6 address. */
  route(fromIp: string, protocol: Protocol, address: string, port: number): Way {
    const ip = address.startsWith('::ffff:') ? address.slice(7) : address;
    if (ip === '::1' || ip === '0.0.0.0' || ip === '::' || ip.startsWith('127.'))
      return this.#find(fromIp, protocol, port, 'loopback');
    if (this.#pods.has(ip)) return this.#find(ip, protocol, port, 'pod');
    if (inCidr(ip, SERVICE_CIDR)) return this.#routeService(fromIp, protocol, ip, port);
    return { error: inCidr(ip, POD_CIDR) ? 'EHOSTUNREACH' : 'ENETUNREACH' };
  }

  /** The way of a port-forward: to the pod's own loopback. */
  routeLoopback(podIp: string, port: number): Way {
    return this.#find(podIp, 'tcp', port, 'loopback');
  }

  /** A pod is about to connect from this real port. The acceptor asks once. */
  noteSource(realPort: number, podIp: string): void {
    if (this.#sources.size >= SOURCES_MAX) {
      const [oldest] = this.#sources.keys();
      if (oldest !== undefined) this.#sources.delete(oldest);
    }
    this.#sources.delete(realPort);
    this.#sources.set(realPort, podIp);
  }

  /** Undefined for connections that are no pod's: port-forwards, which come from the pod's own loopback. */
  takeSource(realPort: number): string | undefined {
    const podIp = this.#sources.get(realPort);
    this.#sources.delete(realPort);
    return podIp;
  }

  #find(ip: string, protocol: Protocol, port: number, scope: Scope): Way {
    const found = this.#pods
      .get(ip)
      ?.find((one) => one.protocol === protocol && one.port === port && (one.scope === 'any' || one.scope === scope));
    return found === undefined ? REFUSED : { realPort: found.realPort };
  }

  #routeService(fromIp: string, protocol: Protocol, ip: string, port: number): Way {
    const service = this.#store.list(SERVICES).find((one) => one.spec.clusterIP === ip);
    if (service === undefined) return { error: 'EHOSTUNREACH' };
    const servicePort = service.spec.ports?.find(
      (one) => one.port === port && (one.protocol ?? 'TCP').toLowerCase() === protocol,
    );
    if (servicePort === undefined) return REFUSED;
    const backends = this.#backends(service, servicePort.name ?? '');
    if (backends.length === 0) return REFUSED;
    const key = `${ip}:${port}`;
    const turn = this.#turns.get(key) ?? 0;
    this.#turns.set(key, turn + 1);
    const [backendIp, backendPort] = backends[turn % backends.length] ?? ['', 0];
    if (inCidr(backendIp, SERVICE_CIDR)) return REFUSED;
    return this.route(fromIp, protocol, backendIp, backendPort);
  }

  #backends(service: Service, portName: string): [string, number][] {
    return this.#store
      .list(ENDPOINT_SLICES, service.metadata.namespace)
      .filter((slice) => slice.metadata.labels?.['kubernetes.io/service-name'] === service.metadata.name)
      .flatMap((slice) => {
        const port = slice.ports?.find((one) => (one.name ?? '') === portName)?.port;
        if (port === undefined) return [];
        return (slice.endpoints ?? [])
          .filter((endpoint) => endpoint.conditions?.ready !== false)
          .flatMap((endpoint) => endpoint.addresses.map((address): [string, number] => [address, port]));
      });
  }
}
