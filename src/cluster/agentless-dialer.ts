// The dialer for users who may port-forward but not create pods: one port-forward websocket per connection, straight to a pod.
// Resolves names from lists of Services and pods, not from the cluster's DNS. What it can't do is in `reduced`, and said so.
// Passes test/compliance/dialer.ts without its parts for UDP and half-close. Called by session/reach.ts.
import { isIP } from 'node:net';
import { KtError } from '../errors.ts';
import type {
  Connection,
  DatagramFlow,
  Dialer,
  DialOptions,
  DnsRecord,
  RecordType,
  ResolveAnswer,
  Target,
} from '../netstack/dialer.ts';
import {
  type EndpointPod,
  endpointOf,
  type HostName,
  type NamespaceObjects,
  namedPod,
  podsOf,
  readHostName,
} from './find-endpoint.ts';
import { podPath, servicePath } from './paths.ts';
import type { ClusterApi } from './rest.ts';
import type { Service } from './services.ts';
import type { Way } from './ways/names.ts';
import { waysOf } from './ways/ways.ts';

/** Milliseconds that lists of a namespace are used for; a new Service is found at once, because a miss lists again. */
const LIST_AGE_MS = 5_000;
/** Namespaces whose lists are kept. */
const NAMESPACES_MAX = 32;
/** Port-forwards at once: each one is a TLS connection to the API server, which has limits of its own. */
const CONNECTIONS_MAX = 256;
/** Milliseconds in which a refusal comes back: the wire has no sign for "connected" (notes of KEP-4006), so silence means yes. */
const REFUSAL_MS = 100;
const DIAL_MS = 10_000;
/** An exec would need a Node in the pod that is called, the API server's proxy an agent. */
const FORWARDS: readonly Way[] = ['portforward', 'spdy'];
/** Seconds that answers about names may be kept. */
const TTL_S = 5;

interface Options {
  readonly api: ClusterApi;
  readonly namespace: string;
  readonly clusterDomain: string;
}

interface Kept extends NamespaceObjects {
  readonly at: number;
}

export class AgentlessDialer implements Dialer {
  static readonly reduced: readonly string[] = [
    'no agent: you may port-forward but not create pods, so each connection is a port-forward of its own (slower to open)',
    'no UDP, no half-close; ExternalName and selector-less Services are not reached',
    'a Service leads to one of its ready pods, chosen by kt; NetworkPolicies for callers do not apply to you',
  ];

  readonly #options: Options;
  readonly #kept = new Map<string, Promise<Kept>>();
  readonly #open = new Set<{ destroy(error?: Error): unknown }>();
  #turn = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Lists the session's namespace once; rejects with the reason why that is not possible. */
  async check(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#objects(this.#options.namespace, true);
  }

  async dial(target: Target, options: DialOptions = {}): Promise<Connection> {
    if (this.#open.size >= CONNECTIONS_MAX)
      throw new KtError('STREAM_LIMIT', `more than ${CONNECTIONS_MAX} port-forwards at once`);
    const limit = AbortSignal.timeout(options.timeoutMs ?? DIAL_MS);
    const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
    try {
      const at = await this.#find(target);
      signal.throwIfAborted();
      const { value: stream } = await waysOf(this.#options.api).through(at, (opened) => opened, {
        signal,
        among: FORWARDS,
      });
      this.#open.add(stream);
      stream.once('close', () => this.#open.delete(stream));
      const opened = new Promise<void>((resolve, reject) => {
        // A busy process sees the timer before the bytes that came in time: those are read in the turn between.
        const timer = setTimeout(() => setImmediate(settle), REFUSAL_MS);
        const settle = (error?: Error): void => {
          clearTimeout(timer);
          stream.off('error', settle).off('close', onClose);
          if (error) {
            stream.on('error', () => undefined);
            reject(error);
          } else resolve();
        };
        const onClose = (): void =>
          settle(stream.errored ?? new KtError('DIAL_FAILED', 'the port-forward closed at once'));
        stream.on('error', settle).on('close', onClose);
        if (stream.readableLength > 0) settle();
      });
      opened.catch(() => undefined);
      if (options.settle) await opened;
      return { stream, opened };
    } catch (error) {
      if (options.signal?.aborted) throw new KtError('CANCELLED', 'the dial was cancelled');
      if (limit.aborted)
        throw new KtError('DIAL_TIMEOUT', `no port-forward to ${target.host}:${target.port} in time`, { cause: error });
      throw error;
    }
  }

  async resolve(name: string, type: RecordType): Promise<ResolveAnswer> {
    if (type === 'PTR') return this.#reverse(name);
    for (const reading of readHostName(name, this.#options.namespace, this.#options.clusterDomain)) {
      const found = await this.#service(reading);
      if (!found) continue;
      const { service, objects } = found;
      const owner = `${reading.pod ? `${reading.pod}.` : ''}${reading.service}.${reading.namespace}.svc.${this.#options.clusterDomain}`;
      if (service.spec?.type === 'ExternalName')
        return { found: true, records: [record('CNAME', owner, service.spec.externalName ?? '')] };
      if (type === 'SRV') return { found: true, records: this.#srv(service, owner) };
      const addresses = reading.pod
        ? [namedPod(service, reading.pod, objects.pods)?.status?.podIP]
        : service.spec?.clusterIP === 'None'
          ? podsOf(service, objects.pods).map((pod) => pod.status?.podIP)
          : (service.spec?.clusterIPs ?? [service.spec?.clusterIP]);
      const family = type === 'AAAA' ? 6 : 4;
      const known = addresses.filter((address): address is string => address !== undefined && isIP(address) !== 0);
      if (known.length === 0) continue;
      return {
        found: true,
        records:
          type === 'CNAME'
            ? []
            : known.filter((address) => isIP(address) === family).map((address) => record(type, owner, address)),
      };
    }
    return { found: false, records: [] };
  }

  datagrams(): Promise<DatagramFlow> {
    return Promise.reject(
      new KtError('UNSUPPORTED', 'UDP needs an agent', { hint: 'ask for the right to create pods in the namespace' }),
    );
  }

  async close(): Promise<void> {
    for (const stream of this.#open) stream.destroy(new KtError('LINK_LOST', 'the session ended'));
  }

  #srv(service: Service, owner: string): DnsRecord[] {
    return (service.spec?.ports ?? []).map((port) => record('SRV', owner, `0 100 ${port.port} ${owner}`));
  }

  async #reverse(address: string): Promise<ResolveAnswer> {
    const { services, pods } = await this.#objects(this.#options.namespace, false);
    const domain = `${this.#options.namespace}.svc.${this.#options.clusterDomain}`;
    const service = services.find((one) => one.spec?.clusterIP === address);
    if (service) return { found: true, records: [record('PTR', address, `${service.metadata.name}.${domain}`)] };
    const pod = pods.find((one) => one.status?.podIP === address);
    if (!pod?.spec?.subdomain) return { found: false, records: [] };
    return {
      found: true,
      records: [record('PTR', address, `${pod.spec.hostname ?? pod.metadata.name}.${pod.spec.subdomain}.${domain}`)],
    };
  }

  async #find(target: Target): Promise<{ namespace: string; pod: string; port: number }> {
    this.#turn += 1;
    if (isIP(target.host)) return this.#findAddress(target);
    for (const reading of readHostName(target.host, this.#options.namespace, this.#options.clusterDomain)) {
      const found = await this.#service(reading);
      if (!found) continue;
      const { service, objects } = found;
      if (!reading.pod)
        return { namespace: reading.namespace, ...endpointOf(service, target.port, objects.pods, this.#turn) };
      const pod = namedPod(service, reading.pod, objects.pods);
      if (pod) return { namespace: reading.namespace, pod: pod.metadata.name, port: target.port };
    }
    throw new KtError('DIAL_NOT_FOUND', `no Service or pod of the name ${target.host} is to be seen`);
  }

  async #findAddress(target: Target): Promise<{ namespace: string; pod: string; port: number }> {
    const { namespace } = this.#options;
    for (const fresh of [false, true]) {
      const { services, pods } = await this.#objects(namespace, fresh);
      const service = services.find((one) => (one.spec?.clusterIPs ?? [one.spec?.clusterIP]).includes(target.host));
      if (service) return { namespace, ...endpointOf(service, target.port, pods, this.#turn) };
      const pod = pods.find((one) => one.status?.podIP === target.host && one.status.phase === 'Running');
      if (pod) return { namespace, pod: pod.metadata.name, port: target.port };
    }
    throw new KtError(
      'DIAL_UNREACHABLE',
      `${target.host} is no Service or pod of ${namespace}; without an agent no other address can be reached`,
    );
  }

  async #service(reading: HostName): Promise<{ service: Service; objects: NamespaceObjects } | undefined> {
    for (const fresh of [false, true]) {
      const objects = await this.#objects(reading.namespace, fresh).catch((error: unknown) => {
        // Another namespace that may not be listed is a name that can't be known.
        if (
          reading.namespace !== this.#options.namespace &&
          error instanceof KtError &&
          error.code === 'RIGHTS_MISSING'
        )
          return undefined;
        throw error;
      });
      const service = objects?.services.find((one) => one.metadata.name === reading.service);
      if (service && objects) return { service, objects };
    }
    return undefined;
  }

  async #objects(namespace: string, fresh: boolean): Promise<Kept> {
    const before = this.#kept.get(namespace);
    const known = before ? await before.catch(() => undefined) : undefined;
    const age = known ? Date.now() - known.at : Number.POSITIVE_INFINITY;
    // A miss lists again, but not more than once a second: a program may ask for a wrong name in a loop.
    if (known && age < (fresh ? 1_000 : LIST_AGE_MS)) return known;
    const current = this.#kept.get(namespace);
    if (current && current !== before) return current;
    const listing = this.#list(namespace);
    listing.catch(() => undefined);
    if (this.#kept.size >= NAMESPACES_MAX) this.#kept.delete(this.#kept.keys().next().value ?? '');
    this.#kept.set(namespace, listing);
    return listing;
  }

  async #list(namespace: string): Promise<Kept> {
    const [services, pods] = await Promise.all([
      this.#options.api.request<{ items: Service[] }>('GET', servicePath(namespace)),
      this.#options.api.request<{ items: EndpointPod[] }>('GET', podPath(namespace)),
    ]);
    return { at: Date.now(), services: services.items, pods: pods.items };
  }
}

const record = (type: RecordType, name: string, data: string): DnsRecord => ({ type, name, ttl: TTL_S, data });
