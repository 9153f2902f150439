// The session's view of its cluster: the API, the router that knows what is in it, and the watch that keeps the router true.
// Not the way to reach it (reach.ts). Called by session.ts.
import { lookup } from 'node:dns/promises';
import { hostname as laptopName, networkInterfaces } from 'node:os';
import { loadClusterConfig } from '../cluster/config.ts';
import { watchIngressHosts } from '../cluster/ingress-hosts.ts';
import { ClusterApi } from '../cluster/rest.ts';
import { type Service, watchServices } from '../cluster/services.ts';
import { corporateDialer } from '../netstack/http/corporate-dialer.ts';
import { AliasDialer } from '../netstack/route/alias-dialer.ts';
import { DirectDialer } from '../netstack/route/direct-dialer.ts';
import { HostAliases } from '../netstack/route/host-aliases.ts';
import { Router } from '../netstack/route/router.ts';
import { RoutingDialer } from '../netstack/route/routing-dialer.ts';
import type { EventSink } from './events.ts';
import type { SessionCluster, SessionOptions } from './types.ts';

/** Milliseconds that `ready` waits for the first list of Services; names resolve without it too. */
const FIRST_LIST_MS = 3_000;

export async function openCluster(
  options: SessionOptions,
  signal: AbortSignal,
  emit: EventSink,
): Promise<SessionCluster> {
  const { kubeconfig, context, namespace, pac, transport } = options;
  const config = await loadClusterConfig({ kubeconfig, context, namespace, pac, transport, signal });
  const api = new ClusterApi(config);
  const aliases = options.ingressIp === undefined ? undefined : new HostAliases(options.ingressIp);
  const router = new Router({
    namespace: config.namespace,
    clusterDomain: options.clusterDomain,
    includeIps: options.includeIps,
    excludeIps: options.excludeIps,
    alsoProxy: options.alsoProxy,
    aliases,
    env: process.env,
    ownHosts: await ownHosts(config.server),
  });
  let services: readonly Service[] = [];
  const watching = new AbortController();
  const ended = AbortSignal.any([signal, watching.signal]);
  const watch = watchServices(api, config.namespace, ended, (view) => {
    services = view.services;
    router.setServices(
      config.namespace,
      view.services.map((service) => service.metadata.name),
    );
    for (const address of [...view.serviceAddresses, ...view.podAddresses]) router.learn(address);
  });
  if (aliases) void followIngresses(aliases, api, config.namespace, ended, emit);
  const seen = watch.first.then((allowed) => {
    if (!allowed && !signal.aborted) {
      emit({
        type: 'warning',
        message: `the Services of ${config.namespace} can't be listed; names are asked of the cluster one by one`,
      });
    }
  });
  return {
    config,
    api,
    router,
    namespace: config.namespace,
    context: config.context,
    services: () => services,
    servicesSeen: Promise.race([seen, new Promise<void>((resolve) => setTimeout(resolve, FIRST_LIST_MS).unref())]),
    inside: (cluster) => (aliases ? new AliasDialer(cluster, aliases) : cluster),
    route: (cluster) =>
      new RoutingDialer({ router, cluster, direct: new DirectDialer(), corporate: corporateDialer(process.env) }),
    close: () => {
      watching.abort();
      api.close();
    },
  };
}

async function followIngresses(
  aliases: HostAliases,
  api: ClusterApi,
  namespace: string,
  signal: AbortSignal,
  emit: EventSink,
): Promise<void> {
  const allowed = await watchIngressHosts(api, namespace, signal, (hosts) => aliases.set(hosts));
  if (allowed || signal.aborted) return;
  emit({
    type: 'warning',
    message: `the Ingresses of ${namespace} can't be listed: --ingressIp has no hosts to lead anywhere`,
    hint: 'ask for get, list, watch on ingresses (networking.k8s.io), or name the hosts with --includeDomains',
  });
}

/** The API server's own names and addresses and the laptop's: never "in the cluster", or kt would cut the branch it sits on. */
async function ownHosts(server: string): Promise<string[]> {
  const { hostname } = new URL(server);
  const host = hostname.replace(/^\[|\]$/g, '');
  const resolved = await lookup(host, { all: true }).catch(() => []);
  const local = Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map((one) => one.address));
  return [host, laptopName(), ...resolved.map((one) => one.address), ...local];
}
