// kt's DNS server between a "cluster" and a "laptop", each with a DNS server of its own on the loopback: questions go through the real
// router, the real search list and the real c-ares.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode, encode, type Packet } from 'dns-packet';
import type { Dialer } from '../../src/netstack/dialer.ts';
import { SearchResolver } from '../../src/netstack/dns/search-resolver.ts';
import { type DnsServer, type DnsServerOptions, startDnsServer } from '../../src/netstack/dns/server.ts';
import { DirectDialer } from '../../src/netstack/route/direct-dialer.ts';
import { Router } from '../../src/netstack/route/router.ts';
import { type NameServer, nameServer, type Zone } from './name-server.ts';

export interface DnsWorld {
  readonly cluster: NameServer;
  readonly laptop: NameServer;
  readonly router: Router;
  /** Asks the cluster as the agent does. */
  readonly dialer: Dialer;
  /** Starts kt's server; ended by `stop`. */
  start(options?: Partial<DnsServerOptions>): Promise<DnsServer>;
  stop(): Promise<void>;
}

export async function dnsWorld(cluster: Zone, laptop: Zone): Promise<DnsWorld> {
  const [inside, outside] = await Promise.all([nameServer(cluster), nameServer(laptop)]);
  const folder = mkdtempSync(join(tmpdir(), 'kt-dns-'));
  const file = join(folder, 'resolv.conf');
  writeFileSync(file, 'search shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n');
  const resolver = new SearchResolver({ file, servers: [inside.address] });
  const dialer = new DirectDialer({ names: 'search-list', resolver });
  const router = new Router({
    namespace: 'shop',
    clusterDomain: 'cluster.local',
    includeIps: [],
    excludeIps: [],
    alsoProxy: [],
    env: {},
    ownHosts: [],
  });
  const started: DnsServer[] = [];
  return {
    cluster: inside,
    laptop: outside,
    router,
    dialer,
    start: async (options = {}) => {
      const server = await startDnsServer({
        host: '127.0.0.1',
        port: 0,
        dialer,
        router,
        upstreams: [outside.address],
        ...options,
      });
      started.push(server);
      return server;
    },
    stop: async () => {
      await Promise.all(started.map((server) => server.close()));
      await Promise.all([inside.stop(), outside.stop()]);
      rmSync(folder, { recursive: true });
    },
  };
}

/** Sends one datagram as it is, and gives the reply as it is. */
export async function exchange(port: number, message: Uint8Array): Promise<Buffer> {
  const socket = createSocket('udp4');
  try {
    socket.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const reply = once(socket, 'message');
    socket.send(message);
    const [datagram] = (await reply) as [Buffer];
    return datagram;
  } finally {
    socket.close();
  }
}

/** Asks over UDP by dns-packet. */
export async function ask(port: number, packet: Packet): Promise<ReturnType<typeof decode> & { bytes: number }> {
  const reply = await exchange(port, encode({ type: 'query', id: 0x4b54, ...packet }));
  return { ...decode(reply), bytes: reply.length };
}

/** RCODE of a decoded reply. */
export const rcodeOf = (packet: { flags?: number | undefined }): number => (packet.flags ?? 0) & 0x0f;
