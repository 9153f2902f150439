// Starts the playground: an embedded cluster in this process whose pods are Node processes on this machine. For `kt demo` and for fast
// tests on any system; it proves nothing about Kubernetes (that is the real cluster's). Everything is on loopback.
// Called by modes/demo.ts and by tests.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asset } from '../assets.ts';
import { KtError } from '../errors.ts';
import { makeServerIdentity } from '../netstack/certificate.codec.ts';
import { DEPLOYMENTS, findKind, NAMESPACES, SERVICES, STATEFUL_SETS } from './api/resources.ts';
import { ApiServer } from './api/server.ts';
import { Users } from './api/users.ts';
import { EndpointsController } from './controllers/endpoints.ts';
import { GarbageController } from './controllers/garbage.ts';
import { ReplicaSetController } from './controllers/replica-sets.ts';
import { StatefulSetController } from './controllers/stateful-sets.ts';
import { kubeconfigText } from './kubeconfig.ts';
import {
  AddressPool,
  API_SERVICE_ADDRESS,
  DNS_ADDRESS,
  NODE_ADDRESS,
  POD_CIDR,
  SERVICE_CIDR,
} from './pods/addresses.ts';
import { PodChannel } from './pods/channel.ts';
import { startClusterDns } from './pods/dns-server.ts';
import { Kubelet } from './pods/kubelet.ts';
import { ClusterNames } from './pods/names.ts';
import { PodNetwork } from './pods/network.ts';
import { shopManifests } from './shop.ts';
import { Store } from './store.ts';
import type { Manifest } from './types.ts';

/** A playground is for an afternoon. */
const CERTIFICATE_DAYS = 30;
/** The first addresses of both ranges are fixed ones (pods/addresses.ts). */
const FIRST_FREE_HOST = 16;
/** Six processes that start at once: about a second on a small laptop. */
const SHOP_READY_MS = 20_000;

export interface PlaygroundOptions {
  /** Where its files go; made in the system's temporary folder, and removed at the end, where it is not given. */
  readonly directory?: string;
  /** The namespace of the shop and of the kubeconfig's contexts. Default `shop`. */
  readonly namespace?: string;
  /** False: an empty namespace. Default true. */
  readonly shop?: boolean;
}

export interface Playground {
  /** Path of the kubeconfig (0600). Contexts: dev (current), ana, leo, reader, forwarder, expired, admin. */
  readonly kubeconfig: string;
  /** https://127.0.0.1:PORT */
  readonly server: string;
  readonly namespace: string;
  /** Creates objects as the cluster's administrator would, without the API's rights. */
  apply(manifests: readonly Manifest[]): void;
  /** Ends every pod's process, the server, and removes its files. May be called again. */
  close(): Promise<void>;
}

/** The folder with the pods' preload and the shop's programs: beside this file in source, dist/playground in the bundle. */
function programsFolder(): string {
  const beside = join(dirname(fileURLToPath(import.meta.url)), 'programs');
  return existsSync(join(beside, 'pod-preload.cjs')) ? beside : asset('playground');
}

const namespaceManifest = (name: string, level: string): Manifest => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: { 'kubernetes.io/metadata.name': name, 'pod-security.kubernetes.io/enforce': level } },
});

/** The namespaces, and the Service that every cluster has; its DNS is an address without a Service that users could see. */
function systemManifests(namespace: string, locked: string): Manifest[] {
  const kubernetes: Manifest = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'kubernetes', namespace: 'default' },
    spec: { clusterIP: API_SERVICE_ADDRESS, ports: [{ name: 'https', port: 443 }] },
  };
  const names = [...new Set(['default', 'kube-system', namespace])];
  return [
    ...names.map((name) => namespaceManifest(name, 'baseline')),
    namespaceManifest(locked, 'restricted'),
    kubernetes,
  ];
}

/** Resolves when every pod that the shop wants is ready; after the limit too, since a slow machine gets there later. */
async function untilReady(store: Store): Promise<void> {
  const workloads = [DEPLOYMENTS, STATEFUL_SETS];
  const ready = (): boolean =>
    workloads.every((type) =>
      store.list(type).every((one) => {
        const status = (one.status ?? {}) as { readyReplicas?: number };
        return (status.readyReplicas ?? 0) >= (one.spec.replicas ?? 1);
      }),
    );
  let stop: (() => void) | undefined;
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    timer = setTimeout(resolve, SHOP_READY_MS);
    stop = store.listen(() => {
      if (ready()) resolve();
    });
  });
  clearTimeout(timer);
  stop?.();
}

export async function startPlayground(options: PlaygroundOptions = {}): Promise<Playground> {
  const namespace = options.namespace ?? 'shop';
  const locked = namespace === 'locked' ? 'locked-down' : 'locked';
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'kt-playground-'));
  const closers: (() => unknown)[] = [];
  let closing: Promise<void> | undefined;
  const closeAll = async (): Promise<void> => {
    for (const close of closers.toReversed()) await close();
    // Only what is ours: the folder may be the caller's.
    const ours =
      options.directory === undefined ? [directory] : [join(directory, 'pods'), join(directory, 'kubeconfig')];
    for (const path of ours) rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  const close = (): Promise<void> => (closing ??= closeAll());

  try {
    const programs = programsFolder();
    const store = new Store();
    const users = new Users([namespace, locked]);
    const network = new PodNetwork(store);
    const names = new ClusterNames(store);
    const dns = await startClusterDns(names);
    closers.push(() => dns.close());
    const channel = new PodChannel(network, names);
    const channelPort = await channel.listen();
    closers.push(() => channel.close());
    const kubelet = new Kubelet({
      store,
      network,
      channel,
      channelPort,
      dnsPort: dns.port,
      addresses: new AddressPool(POD_CIDR, FIRST_FREE_HOST),
      directory,
      preload: join(programs, 'pod-preload.cjs'),
    });
    closers.push(() => kubelet.close());

    const clusterIps = new AddressPool(SERVICE_CIDR, FIRST_FREE_HOST);
    const identity = makeServerIdentity({ now: new Date(), days: CERTIFICATE_DAYS });
    const api = new ApiServer({ identity, store, users, allocateIp: () => clusterIps.take(), pods: kubelet });
    store.listen((event) => {
      const address = (event.object.spec as { clusterIP?: string } | undefined)?.clusterIP;
      if (event.type === 'DELETED' && event.resource === SERVICES && address !== undefined && address !== 'None')
        clusterIps.free(address);
    });
    const controllers = [
      new EndpointsController(store),
      new ReplicaSetController(store, api.objects),
      new StatefulSetController(store, api.objects),
      new GarbageController(store, api.objects),
    ];
    closers.push(() => {
      for (const controller of controllers) controller.close();
    });
    const port = await api.listen();
    closers.push(() => api.close());
    network.addFixed(NODE_ADDRESS, 'tcp', 6443, port);
    network.addFixed(API_SERVICE_ADDRESS, 'tcp', 443, port);
    network.addFixed(DNS_ADDRESS, 'tcp', 53, dns.port);
    network.addFixed(DNS_ADDRESS, 'udp', 53, dns.port);

    const apply = (manifests: readonly Manifest[]): void => {
      for (const manifest of manifests) {
        const type = findKind(manifest.apiVersion, manifest.kind);
        if (type === undefined)
          throw new KtError('INTERNAL', `the playground has no ${manifest.apiVersion} ${manifest.kind}`);
        const where = type === NAMESPACES ? {} : { namespace: manifest.metadata.namespace ?? namespace };
        api.objects.create(type, { ...manifest, metadata: { ...manifest.metadata, ...where } });
      }
    };
    apply(systemManifests(namespace, locked));
    if (options.shop !== false)
      apply(shopManifests(namespace, locked, (name) => readFileSync(join(programs, name), 'utf8')));

    if (options.shop !== false) await untilReady(store);
    const server = `https://127.0.0.1:${port}`;
    const kubeconfig = join(directory, 'kubeconfig');
    writeFileSync(
      kubeconfig,
      kubeconfigText({ server, certificate: identity.certificate, namespace, users: users.list() }),
      { mode: 0o600 },
    );
    return { kubeconfig, server, namespace, apply, close };
  } catch (error) {
    await close();
    throw error;
  }
}
