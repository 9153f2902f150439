// Port-forwards that are not opened: rights, subprotocol, pod, credentials and gateways are told apart.
import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { portForwardError } from '../../src/cluster/port-forward-errors.ts';
import { ClusterApi } from '../../src/cluster/rest.ts';
import { openPortForward } from '../../src/cluster/upgrade.ts';
import { clientName, configFor, failure, startFakeApi, statusBody } from './support/fake-api.ts';
import { AT, cluster } from './support/runtime.ts';
import { pem } from './support/tls.ts';

describe('refusals', () => {
  const answering = async (code: number, body: string, type = 'application/json') => {
    const text = `HTTP/1.1 ${code} x\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
    const fake = await startFakeApi(() => undefined, { upgrade: (_, socket) => socket.write(text) });
    const api = new ClusterApi(configFor(fake.url));
    onTestFinished(() => api.close());
    return failure(openPortForward(api, AT));
  };

  test('403 with an empty body: the subprotocol, not the rights', async () => {
    expect(await answering(403, '')).toMatchObject({
      code: 'UPGRADE_REFUSED',
      message: 'the cluster does not know the port-forward protocol v4.channel.k8s.io',
    });
  });

  test.each(['get', 'create'])('403 with a Status: the right to %s pods/portforward', async (verb) => {
    const message = `pods "orders-0" is forbidden: User "reader" cannot ${verb} resource "pods/portforward" in API group "" in the namespace "shop"`;
    expect(await answering(403, statusBody(403, 'Forbidden', message))).toMatchObject({
      code: 'RIGHTS_MISSING',
      message: `the user 'reader' may not ${verb} pods/portforward in the namespace 'shop'`,
    });
  });

  test('404: the pod is gone', async () => {
    expect(await answering(404, statusBody(404, 'NotFound', 'pods "orders-0" not found'))).toMatchObject({
      code: 'API_STATUS',
      message: 'pods "orders-0" not found',
      cause: { code: 404 },
    });
  });

  test('401', async () => {
    expect((await answering(401, statusBody(401, 'Unauthorized', 'Unauthorized'))).code).toBe('CREDENTIALS_REJECTED');
  });

  test('the kubelet or the runtime says why it can not', async () => {
    const text = 'unable to do port forwarding: pod is not running. Current status=Pending';
    expect(await answering(500, statusBody(500, 'InternalError', text))).toMatchObject({
      code: 'API_STATUS',
      message: text,
    });
    const kubelet = await answering(
      500,
      'error dialing backend: dial tcp 10.0.0.1:10250: connect: connection refused',
      'text/plain',
    );
    expect(kubelet.message).toContain('error dialing backend: dial tcp 10.0.0.1:10250: connect: connection refused');
  });

  test('a gateway in between', async () => {
    expect(await answering(502, '<html><h1>502 Bad Gateway</h1></html>', 'text/html')).toMatchObject({
      code: 'API_UNREACHABLE',
      message: expect.stringContaining('502 Bad Gateway') as string,
    });
  });

  test('something that ignores the upgrade', async () => {
    expect(await answering(200, '{}')).toMatchObject({
      code: 'UPGRADE_REFUSED',
      hint: 'a proxy on the way may not let websockets pass',
    });
  });

  test('401, then better credentials', async () => {
    const names: unknown[] = [];
    const server = new WebSocketServer({ noServer: true, handleProtocols: () => 'v4.channel.k8s.io' });
    const fake = await startFakeApi(() => undefined, {
      upgrade: (request, socket, head) => {
        names.push(clientName(request));
        if (names.length === 1) socket.write('HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n');
        else server.handleUpgrade(request, socket, head, () => undefined);
      },
    });
    let name = 'client';
    const credentials = {
      current: () => Promise.resolve({ headers: {}, certificate: pem(`${name}.pem`), key: pem(`${name}.key`) }),
      rejected: () => {
        name = 'client-2';
        return true;
      },
    };
    const api = new ClusterApi(configFor(fake.url, { credentials }));
    onTestFinished(() => api.close());
    (await openPortForward(api, AT)).destroy();
    expect(names).toEqual(['client', 'client-2']);
  });

  test('a signal counts for the opening only', async () => {
    const stop = new AbortController();
    const { api } = await cluster(({ socket }) => socket.on('message', (message) => socket.send(message as Buffer)));
    const stream = await openPortForward(api, AT, { signal: stop.signal });
    stop.abort();
    stream.write('still here');
    expect(((await once(stream, 'data')) as [Buffer])[0].toString()).toBe('still here');
    stream.destroy();
  });

  test('a signal ends the opening', async () => {
    const stop = new AbortController();
    const fake = await startFakeApi(() => undefined, { upgrade: () => stop.abort() });
    const api = new ClusterApi(configFor(fake.url));
    onTestFinished(() => api.close());
    expect((await failure(openPortForward(api, AT, { signal: stop.signal }))).code).toBe('CANCELLED');
    expect((await failure(openPortForward(api, AT, { signal: AbortSignal.abort() }))).code).toBe('CANCELLED');
  });
});

describe('portForwardError', () => {
  test.each([
    [
      'IPv4: dial tcp4 127.0.0.1:9: connect: connection refused IPv6 dial tcp6: address localhost: no suitable address found',
      'DIAL_REFUSED',
    ],
    ['read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer', 'STREAM_RESET'],
    ['dial tcp4 127.0.0.1:9: i/o timeout', 'DIAL_TIMEOUT'],
    ['connect: no route to host', 'DIAL_UNREACHABLE'],
    ['container "abc" not running', 'DIAL_NOT_FOUND'],
    ['failed to find sandbox "abc" in store: not found', 'DIAL_NOT_FOUND'],
    ['something new\nwith lines', 'DIAL_FAILED'],
  ])('%s', (text, code) => {
    const failed = portForwardError(text, 'shop/a:9');
    expect(failed.code).toBe(code);
    expect(failed.message).toContain('shop/a:9');
    expect(failed.message).not.toContain('\n');
  });
});
