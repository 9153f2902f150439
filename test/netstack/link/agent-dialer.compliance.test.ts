import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SearchResolver } from '../../../src/netstack/dns/search-resolver.ts';
import { AgentDialer } from '../../../src/netstack/link/agent-dialer.ts';
import { LinkPool } from '../../../src/netstack/link/pool.ts';
import { DirectDialer } from '../../../src/netstack/route/direct-dialer.ts';
import { dialerCompliance } from '../../compliance/dialer.ts';
import { blackhole } from '../../support/blackhole.ts';
import { startAgent } from '../../support/link-world.ts';
import { nameServer } from '../../support/name-server.ts';
import { deadPort, type Peer, tcpServer } from '../../support/peers.ts';

// Windows refuses where a queue is full.
const blackholes = process.platform !== 'win32';
const all = { udp: true, resolve: true, halfClose: true, refused: true, blackhole: blackholes };

dialerCompliance('AgentDialer over a pool of links to an agent', all, async () => {
  const dns = await nameServer({ 'peer.shop.svc.cluster.local': { A: ['127.0.0.1'] } });
  const folder = mkdtempSync(join(tmpdir(), 'kt-test-'));
  const file = join(folder, 'resolv.conf');
  writeFileSync(file, 'search shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n');
  const resolver = new SearchResolver({ file, servers: [dns.address] });
  const agent = await startAgent(new DirectDialer({ names: 'search-list', resolver }));
  const pool = new LinkPool({ connect: agent.connect, parkMs: 5_000 });
  await pool.start();
  const peers: Peer[] = [];
  const keep = (peer: Peer): { host: string; port: number } => {
    peers.push(peer);
    return { host: 'peer', port: peer.port };
  };
  return {
    dialer: new AgentDialer(pool),
    serve: async (onSocket) => keep(await tcpServer(onSocket)),
    refusing: async () => ({ host: 'peer', port: await deadPort() }),
    unknown: { host: 'nobody', port: 80 },
    blackhole: async () => keep(await blackhole()),
    echoDatagrams: async () => keep(await udpEcho()),
    known: { name: 'peer', address: '127.0.0.1' },
    left: () => pool.links.reduce((count, { streamCount }) => count + streamCount, 0),
    close: async () => {
      pool.close();
      agent.server.close();
      await Promise.all(peers.map((peer) => peer.stop()));
      await dns.stop();
      rmSync(folder, { recursive: true });
    },
  };
});

async function udpEcho(): Promise<Peer> {
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, stop: () => new Promise((resolve) => socket.close(() => resolve())) };
}
