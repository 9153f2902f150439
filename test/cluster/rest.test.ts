// Requests to an HTTPS server on the loopback interface: what is sent, what comes back, how each failure is named.
import type { IncomingMessage } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Credentials } from '../../src/cluster/credentials.ts';
import { ClusterApi } from '../../src/cluster/rest.ts';
import { clientName, configFor, failure, startFakeApi, statusBody } from './support/fake-api.ts';
import { pem } from './support/tls.ts';

const apiFor = (...args: Parameters<typeof configFor>): ClusterApi => {
  const api = new ClusterApi(configFor(...args));
  onTestFinished(() => api.close());
  return api;
};
const fixed = (credentials: Credentials) => ({
  credentials: { current: () => Promise.resolve(credentials), rejected: () => false },
});
const certificate = (name: string): Credentials => ({
  headers: {},
  certificate: pem(`${name}.pem`),
  key: pem(`${name}.key`),
});

async function readAll(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of request as AsyncIterable<Buffer>) text += piece.toString();
  return text;
}

/** A TCP server that hands each connection to `serve`. */
async function tcpServer(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

describe('requests', () => {
  test('path prefix, query, body, fields', async () => {
    const server = await startFakeApi(async (request, response) => {
      const { method, url, headers } = request;
      response.end(JSON.stringify({ method, url, headers, body: await readAll(request) }));
    });
    const api = apiFor(
      `${server.url}/k8s/c-1`,
      fixed({ headers: { Authorization: 'Bearer t', 'Impersonate-Group': ['a', 'b'] } }),
    );
    const seen = await api.request<{ headers: Record<string, string> }>('PATCH', '/api/v1/x?a=1', {
      body: { b: 2 },
      query: { labelSelector: 'a=b,c', limit: 5, none: undefined },
      contentType: 'application/merge-patch+json',
    });
    expect(seen).toMatchObject({
      method: 'PATCH',
      url: '/k8s/c-1/api/v1/x?a=1&labelSelector=a%3Db%2Cc&limit=5',
      body: '{"b":2}',
    });
    expect(seen.headers).toMatchObject({
      authorization: 'Bearer t',
      'impersonate-group': 'a, b',
      'content-type': 'application/merge-patch+json',
      'content-length': '7',
      accept: 'application/json',
      host: `127.0.0.1:${server.port}`,
    });
  });

  test('an empty answer is undefined', async () => {
    const server = await startFakeApi((_, response) => response.writeHead(200).end());
    expect(await apiFor(server.url).request('DELETE', '/x')).toBeUndefined();
  });

  test('http:// servers', async () => {
    const server = await startFakeApi((_, response) => response.end('{"plain":true}'), { plain: true });
    expect(await apiFor(server.url).request('GET', '/')).toEqual({ plain: true });
  });

  test('one after the other share a connection, at once they do not wait for each other', async () => {
    const waiting: (() => void)[] = [];
    const server = await startFakeApi((request, response) => {
      if (request.url !== '/together') return response.end('{}');
      waiting.push(() => response.end('{}'));
      if (waiting.length === 3) for (const go of waiting) go();
      return undefined;
    });
    const api = apiFor(server.url);
    for (let count = 0; count < 3; count += 1) await api.request('GET', '/');
    expect(server.connections()).toBe(1);
    await Promise.all(Array.from({ length: 3 }, () => api.request('GET', '/together')));
    expect(server.connections()).toBe(3);
  });

  test('a kept connection that the server closed costs no request', async () => {
    let serve = (socket: Socket): void => void socket;
    const server = await startFakeApi((request, response) => {
      response.end('{}');
      serve(request.socket);
    });
    const api = apiFor(server.url);
    await api.request('GET', '/');
    serve = (): void => undefined;
    for (const socket of server.sockets) socket.destroy();
    expect(await api.request('GET', '/')).toEqual({});
    expect(server.connections()).toBe(2);
  });

  test('open gives a stream, which ends with its signal', async () => {
    const server = await startFakeApi((_, response) => void response.write('first'));
    const stop = new AbortController();
    const stream = await apiFor(server.url).open('GET', '/', { signal: stop.signal });
    const pieces: string[] = [];
    const read = (async () => {
      for await (const piece of stream as AsyncIterable<Buffer>) {
        pieces.push(piece.toString());
        stop.abort();
      }
    })();
    expect((await failure(read)).code).toBe('CANCELLED');
    expect(pieces).toEqual(['first']);
  });
});

describe('client certificates', () => {
  test('are shown, and a new one means a new connection', async () => {
    const server = await startFakeApi((request, response) => response.end(JSON.stringify(clientName(request))));
    let current = certificate('client');
    const api = apiFor(server.url, { credentials: { current: () => Promise.resolve(current), rejected: () => false } });
    expect([await api.request('GET', '/'), await api.request('GET', '/')]).toEqual(['client', 'client']);
    expect(server.connections()).toBe(1);
    current = certificate('client-2');
    expect(await api.request('GET', '/')).toBe('client-2');
  });

  test('that do not fit together are a kubeconfig error', async () => {
    const server = await startFakeApi((_, response) => response.end('{}'));
    const api = apiFor(server.url, fixed({ headers: {}, certificate: pem('client.pem'), key: pem('client-2.key') }));
    expect((await failure(api.request('GET', '/'))).code).toBe('KUBECONFIG_INVALID');
  });
});

describe('refusals', () => {
  const answering = async (
    code: number,
    body: string,
    changes: Parameters<typeof configFor>[1] = {},
    method = 'GET',
  ) => {
    const server = await startFakeApi((_, response) => response.writeHead(code).end(body));
    return failure(apiFor(server.url, changes).request(method, '/api/v1/namespaces/shop/pods'));
  };

  test('401 with an expired certificate says so', async () => {
    const refused = await answering(
      401,
      statusBody(401, 'Unauthorized', 'Unauthorized'),
      fixed(certificate('client-expired')),
    );
    expect(refused).toMatchObject({
      code: 'CREDENTIALS_REJECTED',
      message:
        "the API server does not accept the credentials of the user 'tester': the client certificate expired at 2020-01-02T00:00:00.000Z",
    });
  });

  test('401 asks once more where there may be better credentials', async () => {
    const seen: unknown[] = [];
    const server = await startFakeApi((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(seen.length > 1 ? 200 : 401).end('{}');
    });
    let token = 'old';
    const credentials = {
      current: () => Promise.resolve({ headers: { Authorization: `Bearer ${token}` } }),
      rejected: () => {
        token = 'new';
        return true;
      },
    };
    expect(await apiFor(server.url, { credentials }).request('POST', '/', { body: {} })).toEqual({});
    expect(seen).toEqual(['Bearer old', 'Bearer new']);
  });

  test('401 for ever is asked twice only', async () => {
    let count = 0;
    const server = await startFakeApi((_, response) => {
      count += 1;
      response.writeHead(401).end();
    });
    const credentials = { current: () => Promise.resolve({ headers: {} }), rejected: () => true };
    expect((await failure(apiFor(server.url, { credentials }).request('GET', '/'))).code).toBe('CREDENTIALS_REJECTED');
    expect(count).toBe(2);
  });

  test('403 names the missing right and the Role', async () => {
    const message =
      'pods "x" is forbidden: User "reader" cannot get resource "pods/portforward" in API group "" in the namespace "shop"';
    expect(await answering(403, statusBody(403, 'Forbidden', message))).toMatchObject({
      code: 'RIGHTS_MISSING',
      message: "the user 'reader' may not get pods/portforward in the namespace 'shop'",
      hint: 'ask who runs the cluster for a Role in \'shop\' with: {apiGroups: [""], resources: [pods/portforward], verbs: [get]}',
      cause: { code: 403, message },
    });
  });

  test('403 without a namespace is a ClusterRole', async () => {
    const message =
      'nodes is forbidden: User "dev" cannot list resource "nodes" in API group "metrics.k8s.io" at the cluster scope';
    const refused = await answering(403, statusBody(403, 'Forbidden', message));
    expect(refused.message).toBe("the user 'dev' may not list nodes in the cluster");
    expect(refused.hint).toContain('a ClusterRole with: {apiGroups: ["metrics.k8s.io"]');
  });

  test('403 as nobody is a matter of credentials', async () => {
    const message =
      'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "shop"';
    expect(await answering(403, statusBody(403, 'Forbidden', message))).toMatchObject({
      code: 'CREDENTIALS_REJECTED',
      message: "the API server sees no credentials of the user 'tester'",
    });
  });

  test('403 of admission to a write is no matter of rights; to a read everything is', async () => {
    const message = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true';
    expect(await answering(403, statusBody(403, 'Forbidden', message), {}, 'POST')).toMatchObject({
      code: 'API_STATUS',
      message,
    });
    expect(await answering(403, 'Blocked by policy', {}, 'GET')).toMatchObject({
      code: 'RIGHTS_MISSING',
      message: 'Blocked by policy',
    });
  });

  test('other Status answers keep the text and the Status', async () => {
    expect(await answering(404, statusBody(404, 'NotFound', 'pods "x" not found'))).toMatchObject({
      code: 'API_STATUS',
      message: 'pods "x" not found',
      cause: { code: 404, reason: 'NotFound' },
    });
  });

  test('a gateway in between that answers 503 with a page', async () => {
    const refused = await answering(
      503,
      '<html><head><style>a{}</style><title>x</title></head><body><h1>Service  Unavailable</h1>\n<p>No backend.</p></body></html>',
    );
    expect(refused.code).toBe('API_UNREACHABLE');
    expect(refused.message).toMatch(/something answered 503: Service Unavailable No backend\.$/);
  });

  test('a page instead of JSON', async () => {
    expect(await answering(200, '<html>Log in</html>')).toMatchObject({
      code: 'API_STATUS',
      message: 'the API server answered with something that is not JSON',
    });
    expect((await answering(302, '')).message).toBe(
      'GET /api/v1/namespaces/shop/pods was answered with 302: HTTP 302 without a text',
    );
  });

  test('a busy server is asked again when it says', async () => {
    let count = 0;
    const server = await startFakeApi((_, response) => {
      count += 1;
      if (count < 3) response.writeHead(429, { 'Retry-After': '0' }).end(statusBody(429, 'TooManyRequests', 'wait'));
      else response.end('{"ok":true}');
    });
    expect(await apiFor(server.url).request('POST', '/', { body: {} })).toEqual({ ok: true });
    count = -100;
    expect(await failure(apiFor(server.url).request('GET', '/'))).toMatchObject({
      code: 'API_STATUS',
      message: 'wait',
    });
    expect(count).toBe(-96);
  });

  test('an answer without end is cut off', async () => {
    const block = Buffer.alloc(1024 * 1024, ' ');
    const server = await startFakeApi((_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(block));
        response.once('drain', more);
      };
      more();
    });
    const { code, message } = await failure(apiFor(server.url).request('GET', '/'));
    expect([code, message]).toEqual(['API_STATUS', "the API server's answer is larger than 65536 KiB"]);
  });
});

describe('connections that fail', () => {
  const closedPort = async (): Promise<number> => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return port;
  };

  test('refused', async () => {
    const { code, message } = await failure(apiFor(`https://127.0.0.1:${await closedPort()}`).request('GET', '/'));
    expect(code).toBe('API_UNREACHABLE');
    expect(message).toMatch(/^can't reach the API server https:\/\/127\.0\.0\.1:\d+: the connection was refused$/);
  });

  test('reset during TLS and during the answer', async () => {
    const port = await tcpServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
    expect((await failure(apiFor(`https://127.0.0.1:${port}`).request('GET', '/'))).message).toContain(
      'the connection was reset',
    );
    const server = await startFakeApi((request) => request.socket.destroy());
    expect(await failure(apiFor(server.url).request('GET', '/'))).toMatchObject({ code: 'API_UNREACHABLE' });
  });

  test('silence ends in time', async () => {
    const port = await tcpServer(() => undefined);
    const { code, message } = await failure(apiFor(`https://127.0.0.1:${port}`).request('GET', '/', { timeoutMs: 50 }));
    expect(code).toBe('API_UNREACHABLE');
    expect(message).toContain('no answer in time');
    const server = await startFakeApi(() => undefined);
    expect((await failure(apiFor(server.url).request('GET', '/', { timeoutMs: 50 }))).message).toContain(
      'no answer in time',
    );
  });

  test('an authority that is not trusted, and a name that does not fit', async () => {
    const server = await startFakeApi((_, response) => response.end('{}'));
    const untrusted = await failure(
      apiFor(server.url, { tls: { ca: pem('client.pem'), serverName: undefined, insecure: false } }).request(
        'GET',
        '/',
      ),
    );
    expect(untrusted).toMatchObject({ code: 'API_TLS' });
    expect(untrusted.hint).toContain('certificate-authority');
    const wrong = await failure(
      apiFor(server.url, { tls: { ca: pem('ca.pem'), serverName: 'other.test', insecure: false } }).request('GET', '/'),
    );
    expect(wrong.code).toBe('API_TLS');
    expect(wrong.message).toContain('other.test');
  });

  test('tls-server-name that fits, and no check at all', async () => {
    const server = await startFakeApi((_, response) => response.end('{}'));
    expect(
      await apiFor(server.url, { tls: { ca: pem('ca.pem'), serverName: 'api.test', insecure: false } }).request(
        'GET',
        '/',
      ),
    ).toEqual({});
    expect(
      await apiFor(server.url, { tls: { ca: undefined, serverName: undefined, insecure: true } }).request('GET', '/'),
    ).toEqual({});
  });

  test('a server that does not speak TLS', async () => {
    const server = await startFakeApi((_, response) => response.end('{}'), { plain: true });
    const { code, message } = await failure(apiFor(server.url.replace('http:', 'https:')).request('GET', '/'));
    expect([code, message.replace(/:\d+:/, ':')]).toEqual([
      'API_TLS',
      'no TLS with the API server https://127.0.0.1: what answers there does not speak TLS',
    ]);
  });
});

describe('ending', () => {
  test('a signal cancels, before and during the request', async () => {
    const started = Promise.withResolvers<void>();
    const server = await startFakeApi(() => started.resolve());
    const api = apiFor(server.url);
    expect((await failure(api.request('GET', '/', { signal: AbortSignal.abort() }))).code).toBe('CANCELLED');
    const stop = new AbortController();
    const request = failure(api.request('GET', '/', { signal: stop.signal }));
    await started.promise;
    stop.abort();
    expect((await request).code).toBe('CANCELLED');
  });

  test('close cancels what is under way and refuses what comes later', async () => {
    const started = Promise.withResolvers<void>();
    const server = await startFakeApi(() => started.resolve());
    const api = apiFor(server.url);
    const request = failure(api.request('GET', '/'));
    await started.promise;
    api.close();
    expect((await request).code).toBe('CANCELLED');
    expect((await failure(api.request('GET', '/'))).code).toBe('CANCELLED');
    expect((await failure(api.connect())).code).toBe('CANCELLED');
  });

  test('credentials that take longer than the request may are waited for', async () => {
    const server = await startFakeApi((_, response) => response.end('{}'));
    const asked = Promise.withResolvers<void>();
    const given = Promise.withResolvers<Credentials>();
    const credentials = {
      current: () => {
        asked.resolve();
        return given.promise;
      },
      rejected: () => false,
    };
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const request = apiFor(server.url, { credentials }).request('GET', '/', { timeoutMs: 1_000 });
    await asked.promise;
    vi.advanceTimersByTime(60_000);
    vi.useRealTimers();
    given.resolve({ headers: {} });
    expect(await request).toEqual({});
  });
});
