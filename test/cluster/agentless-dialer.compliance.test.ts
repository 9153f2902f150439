import { AgentlessDialer } from '../../src/cluster/agentless-dialer.ts';
import { acceptPortForward } from '../../src/playground/api/portforward.ts';
import { PODS } from '../../src/playground/api/resources.ts';
import { parseRoute } from '../../src/playground/api/route.ts';
import { Store } from '../../src/playground/store.ts';
import { dialerCompliance } from '../compliance/dialer.ts';
import { deadPort, type Peer, tcpServer } from '../support/peers.ts';
import { apiFor, startFakeApi } from './support/fake-api.ts';

// The wire of a port-forward has no sign for "connected", none for one direction's end, and carries TCP alone.
const some = { udp: false, resolve: true, halfClose: false, refused: true };

const SERVICE = { metadata: { name: 'peer' }, spec: { clusterIP: 'None', selector: { app: 'peer' } } };
const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'peer-0', namespace: 'shop', labels: { app: 'peer' } },
  spec: { nodeName: 'node', hostname: 'peer-0', subdomain: 'peer', containers: [] },
  status: { phase: 'Running', podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] },
};

dialerCompliance('AgentlessDialer over one port-forward for each connection', some, async () => {
  const store = new Store();
  store.create(PODS, POD);
  const forwards = new Set<unknown>();
  const served = new Set<number>();
  // Where nobody listens it answers in the runtime's words.
  const pods = { routeTo: (_: string, realPort: number) => (served.has(realPort) ? { realPort } : undefined) };
  const fake = await startFakeApi(
    (request, response) => {
      const items = request.url?.endsWith('/services') ? [SERVICE] : [POD];
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ items }));
    },
    {
      upgrade: (request, socket, head) => {
        forwards.add(socket);
        socket.once('close', () => forwards.delete(socket));
        const route = parseRoute('GET', request.url ?? '');
        acceptPortForward(store, pods, route, request, socket, head);
      },
    },
  );
  const dialer = new AgentlessDialer({
    api: apiFor(fake.url),
    namespace: 'shop',
    clusterDomain: 'cluster.local',
  });
  const peers: Peer[] = [];
  const at = (port: number): { host: string; port: number } => ({ host: 'peer-0.peer', port });
  return {
    dialer,
    serve: async (onSocket) => {
      const peer = await tcpServer(onSocket);
      peers.push(peer);
      served.add(peer.port);
      return at(peer.port);
    },
    refusing: async () => at(await deadPort()),
    unknown: { host: 'nobody', port: 80 },
    known: { name: 'peer-0.peer', address: '127.0.0.1' },
    left: () => forwards.size,
    close: async () => {
      await dialer.close();
      fake.close();
      await Promise.all(peers.map((peer) => peer.stop()));
    },
  };
});
