import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SearchResolver } from '../../../src/netstack/dns/search-resolver.ts';
import { DirectDialer } from '../../../src/netstack/route/direct-dialer.ts';
import { type DialerFixture, dialerCompliance } from '../../compliance/dialer.ts';
import { blackhole } from '../../support/blackhole.ts';
import { nameServer } from '../../support/name-server.ts';
import { deadPort, type Peer, tcpServer } from '../../support/peers.ts';

// Windows refuses where a queue is full.
const blackholes = process.platform !== 'win32';
const all = { udp: true, resolve: true, halfClose: true, refused: true, blackhole: blackholes };

dialerCompliance('DirectDialer, names by the system', all, () => loopbackWorld(new DirectDialer(), '127.0.0.1'));

dialerCompliance('DirectDialer, names by the search list', all, async () => {
  const dns = await nameServer({ 'peer.shop.svc.cluster.local': { A: ['127.0.0.1'] } });
  const folder = mkdtempSync(join(tmpdir(), 'kt-test-'));
  const file = join(folder, 'resolv.conf');
  writeFileSync(file, 'search shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n');
  const resolver = new SearchResolver({ file, servers: [dns.address] });
  const fixture = await loopbackWorld(new DirectDialer({ names: 'search-list', resolver }), 'peer');
  return {
    ...fixture,
    known: { name: 'peer', address: '127.0.0.1' },
    unknown: { host: 'nobody', port: 80 },
    close: async () => {
      await fixture.close();
      await dns.stop();
      rmSync(folder, { recursive: true });
    },
  };
});

/** Servers of this machine, dialled as `host`. */
async function loopbackWorld(dialer: DirectDialer, host: string): Promise<DialerFixture> {
  const peers: Peer[] = [];
  const sockets = (): number => process.getActiveResourcesInfo().filter((one) => one === 'TCPSocketWrap').length;
  const before = sockets();
  const keep = (peer: Peer): { host: string; port: number } => {
    peers.push(peer);
    return { host, port: peer.port };
  };
  return {
    dialer,
    serve: async (onSocket) => keep(await tcpServer(onSocket)),
    refusing: async () => ({ host, port: await deadPort() }),
    // A label of 64 bytes (RFC 1035 §2.3.4 allows 63): no resolver asks a network for it, so the test needs none.
    unknown: { host: `${'x'.repeat(64)}.invalid`, port: 80 },
    blackhole: async () => keep(await blackhole()),
    echoDatagrams: async () => keep(await udpEcho()),
    known: { name: host, address: '127.0.0.1' },
    left: () => Math.max(0, sockets() - before),
    close: async () => {
      await Promise.all(peers.map((peer) => peer.stop()));
    },
  };
}

async function udpEcho(): Promise<Peer> {
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, stop: () => new Promise((resolve) => socket.close(() => resolve())) };
}
