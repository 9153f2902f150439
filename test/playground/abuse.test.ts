// Strangers and broken objects: the playground answers, ends the connection, or reads over them. It goes on in every case.
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PodChannel } from '../../src/playground/pods/channel.ts';
import { ClusterNames } from '../../src/playground/pods/names.ts';
import { PodNetwork } from '../../src/playground/pods/network.ts';
import { type Playground, startPlayground } from '../../src/playground/start.ts';
import { Store } from '../../src/playground/store.ts';
import { closed, nodePod, PlaygroundClient } from '../support/playground-client.ts';

let playground: Playground;
let client: PlaygroundClient;

beforeAll(async () => {
  playground = await startPlayground({ shop: false });
  client = new PlaygroundClient(playground);
});
afterAll(async () => {
  client.close();
  await playground.close();
});

const port = (): number => Number(new URL(playground.server).port);
const works = async (): Promise<void> => expect((await client.get('/version')).code).toBe(200);

describe('the API server', () => {
  test('bytes that are no TLS, and TLS that is no HTTP', async () => {
    const plain = net.connect(port(), '127.0.0.1');
    const plainEnd = closed(plain);
    plain.write('GET / HTTP/1.1\r\n\r\n');
    await plainEnd;
    const secure = tls.connect({ host: '127.0.0.1', port: port(), ca: client.ca });
    const secureEnd = closed(secure);
    await once(secure, 'secureConnect');
    secure.write('\0\0 nonsense \r\n\r\n');
    await secureEnd;
    await works();
  });

  test('a client that goes in the middle of its body, and of a watch', async () => {
    const path = '/api/v1/namespaces/shop/configmaps';
    const token = client.headers('admin')['Authorization'] ?? '';
    for (const request of [
      `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${token}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"metadata"`,
      `GET ${path}?watch=1 HTTP/1.1\r\nHost: x\r\nAuthorization: ${token}\r\n\r\n`,
    ]) {
      const socket = tls.connect({ host: '127.0.0.1', port: port(), ca: client.ca });
      await once(socket, 'secureConnect');
      const end = closed(socket);
      await new Promise((resolve) => socket.write(request, resolve));
      socket.destroy();
      await end;
    }
    await works();
  });

  const TYPES = ['pods', 'services', 'configmaps', 'secrets', 'endpoints', 'events', 'resourcequotas'].map(
    (name) => `/api/v1/namespaces/shop/${name}`,
  );
  const MORE = ['deployments', 'replicasets', 'statefulsets'].map((name) => `/apis/apps/v1/namespaces/shop/${name}`);
  const SLICES = '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices';

  test('objects of any shape are refused or taken, and the controllers live with them', async () => {
    const anything = fc.jsonValue({ maxDepth: 3 });
    const part = fc.oneof(
      anything,
      fc.record(
        {
          name: fc.oneof(fc.constantFrom('a', 'b'), anything),
          image: fc.constant('none:1'),
          port: fc.oneof(fc.constant(80), anything),
          ports: fc.oneof(fc.constant([{ port: 80, containerPort: 80 }]), anything),
          env: anything,
          replicas: fc.oneof(fc.constant(1), anything),
          selector: fc.oneof(fc.constant({ matchLabels: { a: 'b' } }), fc.constant({ a: 'b' }), anything),
          containers: fc.oneof(fc.constant([{ name: 'c', image: 'none:1' }]), anything),
          template: fc.oneof(
            fc.constant({ metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'none:1' }] } }),
            fc.constant({ metadata: { labels: { a: 'b' } }, spec: null }),
            anything,
          ),
          clusterIP: fc.oneof(fc.constant('None'), anything),
          hard: anything,
        },
        { requiredKeys: [] },
      ),
    );
    const object = fc.record(
      {
        metadata: fc.record({
          generateName: fc.constant('fuzz-'),
          labels: fc.oneof(fc.constant({ a: 'b' }), anything),
        }),
        spec: part,
        data: anything,
        endpoints: anything,
        ports: anything,
        subsets: anything,
      },
      { requiredKeys: ['metadata'] },
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...TYPES, ...MORE, SLICES), object, async (path, body) => {
        const answer = await client.post(path, body);
        expect([201, 400, 403, 422]).toContain(answer.code);
        if (answer.code === 201)
          expect((await client.delete(`${path}/${answer.body.metadata.name}?gracePeriodSeconds=0`)).code).toBe(200);
      }),
      { numRuns: 300 },
    );
    await works();
  });

  test('a field of another type is named', async () => {
    const answer = await client.post('/apis/apps/v1/namespaces/shop/deployments', {
      metadata: { name: 'x' },
      spec: { replicas: 'many' },
    });
    expect(answer.body).toMatchObject({
      code: 400,
      message:
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal "many" into field spec.replicas of type number',
    });
    const deep = JSON.parse(`${'{"a":'.repeat(100)}1${'}'.repeat(100)}`);
    expect(
      (await client.post('/api/v1/namespaces/shop/configmaps', { metadata: { name: 'x' }, deep })).body.message,
    ).toBe('the object is nested too deep');
  });

  test('patches of any shape', async () => {
    await client.post('/api/v1/namespaces/shop/services', {
      metadata: { name: 'patched' },
      spec: { ports: [{ port: 80 }] },
    });
    await fc.assert(
      fc.asyncProperty(
        fc.jsonValue({ maxDepth: 3 }),
        fc.constantFrom('merge-patch+json', 'strategic-merge-patch+json', 'json-patch+json'),
        async (patch, type) => {
          const answer = await client.patch(
            '/api/v1/namespaces/shop/services/patched',
            JSON.stringify(patch),
            `application/${type}`,
          );
          expect([200, 400, 409, 422]).toContain(answer.code);
        },
      ),
      { numRuns: 100 },
    );
    await works();
  });

  test('more pods than the machine shall run wait for a place', async () => {
    const silent = { containers: [{ name: 'm', image: 'none:1' }] };
    for (let index = 0; index < 41; index += 1)
      await client.post('/api/v1/namespaces/shop/pods', nodePod(`many-${index}`, '', silent));
    const waiting = await client.until(
      '/api/v1/namespaces/shop/pods?fieldSelector=metadata.name=many-40',
      (pod) => pod.status.conditions !== undefined,
    );
    expect(waiting.status.conditions[0]).toMatchObject({
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: '0/1 nodes are available: 1 Too many pods.',
    });
    await client.delete('/api/v1/namespaces/shop/pods/many-0?gracePeriodSeconds=0');
    await client.until(
      '/api/v1/namespaces/shop/pods?fieldSelector=metadata.name=many-40',
      (pod) => pod.spec.nodeName === 'playground',
    );
  });
});

describe("the pods' channel", () => {
  async function world(): Promise<{ channel: PodChannel; network: PodNetwork; port: number; token: string }> {
    const store = new Store();
    const network = new PodNetwork(store);
    network.addPod('198.18.64.16');
    const channel = new PodChannel(network, new ClusterNames(store));
    const its = await channel.listen();
    return { channel, network, port: its, token: channel.admit({ ip: '198.18.64.16', namespace: 'shop' }) };
  }

  test('a wrong token, no JSON, a line that does not end: closed', async () => {
    const { channel, port: its, token } = await world();
    for (const text of [
      '{"token":"nope"}\n',
      'hello\n',
      '\n',
      'null\n',
      'x'.repeat(5_000),
      `{"token":"${token}"}\nnot json\n`,
    ]) {
      const socket = net.connect(its, '127.0.0.1');
      const end = closed(socket);
      socket.resume();
      socket.write(text);
      await end;
    }
    await channel.close();
  });

  test('questions of any shape are answered; a dismissed pod is closed out; its listeners end with the connection', async () => {
    const { channel, network, port: its, token } = await world();
    const socket = net.connect(its, '127.0.0.1');
    socket.setEncoding('utf8');
    socket.write(`{"token":"${token}","main":true,"pid":1}\n`);
    let text = '';
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    const questions = [
      { ask: 'lookup' },
      { ask: 'listen', port: 80, realPort: 9 },
      { ask: 'connect', address: 5, port: 'x' },
      { ask: 'source' },
      { ask: 'nope' },
      {},
      { ask: 'unlisten' },
    ];
    socket.write(questions.map((one, id) => `${JSON.stringify({ ...one, id })}\n`).join(''));
    while (text.split('\n').length <= questions.length) await once(socket, 'data');
    const answers = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(answers).toEqual([
      { id: 0, addresses: [] },
      { id: 1, done: true },
      { id: 2, error: 'ENETUNREACH' },
      { id: 3, address: '127.0.0.1' },
      { id: 4, error: 'EINVAL' },
      { id: 5, error: 'EINVAL' },
      { id: 6, done: true },
    ]);
    expect(network.routeLoopback('198.18.64.16', 80)).toEqual({ realPort: 9 });
    const changed = new Promise((resolve) => {
      network.onListenersChanged = resolve;
    });
    socket.destroy();
    expect(await changed).toBe('198.18.64.16');
    expect(network.routeLoopback('198.18.64.16', 80)).toEqual({ error: 'ECONNREFUSED' });
    channel.dismiss(token);
    const late = net.connect(its, '127.0.0.1');
    const end = closed(late);
    late.resume();
    late.write(`{"token":"${token}"}\n`);
    await end;
    await channel.close();
  });
});
