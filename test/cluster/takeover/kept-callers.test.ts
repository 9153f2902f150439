// Who keeps connections to the original pods: read from the pods' own tables, against a cluster whose exec gives tables of the test's.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { ClusterApi } from '../../../src/cluster/rest.ts';
import { keptCallers } from '../../../src/cluster/takeover/kept-callers.ts';
import { configFor, startFakeApi } from '../support/fake-api.ts';

const ORIGINALS = { service: 'orders', selector: { app: 'orders' }, ports: [8080] };
const HEADING = '  sl  local_address rem_address   st tx_queue\n';

const hex = (address: string): string =>
  address
    .split('.')
    .reverse()
    .map((byte) => Number(byte).toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase();
const port = (value: number): string => value.toString(16).toUpperCase().padStart(4, '0');
/** `10.0.0.9:4000` connected to the pod's port; 01 is ESTABLISHED. */
const row = (remote: string, local = 8080, state = '01'): string => {
  const [address = '', from] = remote.split(':');
  return `   0: ${hex('10.0.0.1')}:${port(local)} ${hex(address)}:${port(Number(from))} ${state} 00000000:00000000\n`;
};

const pod = (name: string, podIP: string, labels: Record<string, string>, containers = ['app']): object => ({
  metadata: { name, labels },
  spec: { containers: containers.map((one) => ({ name: one })) },
  status: { podIP, conditions: [{ type: 'Ready', status: 'True' }] },
});

interface Look {
  readonly pod: string;
  readonly container: string;
  readonly count: number;
}

/** `tables` gives what a pod's `cat` writes; undefined where there is no such program. */
async function cluster(
  pods: readonly object[],
  tables: (look: Look) => string | undefined,
  mayExec = true,
): Promise<ClusterApi> {
  const counts = new Map<string, number>();
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
    request.resume();
    if (pathname.endsWith('selfsubjectaccessreviews')) response.end(JSON.stringify({ status: { allowed: mayExec } }));
    else if (pathname === '/version') response.end(JSON.stringify({ major: '1', minor: '34' }));
    else {
      const wanted =
        searchParams.get('labelSelector') === null
          ? pods
          : pods.filter((one) => JSON.stringify(one).includes('"app":"orders"'));
      response.end(JSON.stringify({ items: wanted }));
    }
  };
  const server = new WebSocketServer({ noServer: true, handleProtocols: () => 'v4.channel.k8s.io' });
  const fake = await startFakeApi(answer, {
    upgrade: (request, socket, head) =>
      server.handleUpgrade(request, socket, head, (websocket) => {
        const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
        const name = pathname.split('/').at(-2) ?? '';
        const count = (counts.get(name) ?? 0) + 1;
        counts.set(name, count);
        const text = tables({ pod: name, container: searchParams.get('container') ?? '', count });
        const send = (channel: number, said: string): void =>
          websocket.send(Buffer.concat([Buffer.from([channel]), Buffer.from(said)]));
        if (text === undefined)
          send(3, JSON.stringify({ kind: 'Status', status: 'Failure', message: 'exec: "cat": not found' }));
        else {
          send(1, HEADING + text);
          send(3, JSON.stringify({ status: 'Success' }));
        }
        websocket.close(1000);
      }),
  });
  const api = new ClusterApi(configFor(fake.url));
  onTestFinished(() => api.close());
  return api;
}

const ORDERS = [pod('orders-1', '10.0.0.1', { app: 'orders' }), pod('orders-2', '10.0.0.2', { app: 'orders' })];
const GATEWAY = pod('gateway-1', '10.0.0.9', { app: 'gateway' });
const AGENT = pod('orders-kt-ingress-1', '10.0.0.8', { 'kt/role': 'ingress', 'kt/service': 'orders' });
const look = (api: ClusterApi) => keptCallers(api, 'shop', ORIGINALS, new AbortController().signal);

test('by pod, those with most first; not the agent, other ports, or connections that are over', async () => {
  const api = await cluster([...ORDERS, GATEWAY, AGENT], ({ pod: name }) =>
    name === 'orders-1'
      ? row('10.0.0.9:4000') + row('10.0.0.9:4001') + row('192.0.2.7:99') + row('10.0.0.8:5000')
      : row('10.0.0.9:4002') + row('10.0.0.9:4003', 9090) + row('10.0.0.9:4004', 8080, '06'),
  );
  expect(await look(api)).toEqual({
    callers: [
      { caller: 'gateway-1', connections: 3, pods: ['orders-1', 'orders-2'] },
      { caller: '192.0.2.7', connections: 1, pods: ['orders-1'] },
    ],
    unknown: [],
    reason: null,
  });
});

test('a connection that is gone at the second look was not kept', async () => {
  const api = await cluster(
    [...ORDERS, GATEWAY],
    ({ count }) => row('10.0.0.9:4000') + row(`10.0.0.9:${4100 + count}`),
  );
  expect((await look(api)).callers).toEqual([
    { caller: 'gateway-1', connections: 2, pods: expect.any(Array) as string[] },
  ]);
});

test('the first container that has `cat` is enough; a pod without any is named as unknown, with the reason', async () => {
  const both = pod('orders-1', '10.0.0.1', { app: 'orders' }, ['proxy', 'app']);
  const api = await cluster([both, ORDERS[1] as object, GATEWAY], ({ pod: name, container }) =>
    name === 'orders-1' && container === 'app' ? row('10.0.0.9:4000') : undefined,
  );
  expect(await look(api)).toEqual({
    callers: [{ caller: 'gateway-1', connections: 1, pods: ['orders-1'] }],
    unknown: ['orders-2'],
    reason: 'orders-2: exec: "cat": not found',
  });
});

test('without the right nobody is asked, and it says so', async () => {
  const api = await cluster(ORDERS, () => undefined, false);
  expect(await look(api)).toEqual({
    callers: [],
    unknown: ['orders-1', 'orders-2'],
    reason: "you may not get pods/exec in the namespace 'shop'",
  });
});
