// What the API server refuses and how connections fail: each by its cause and with what to do.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { apiFor, certificate, type configFor, failure, fixed, startFakeApi, statusBody } from './support/fake-api.ts';
import { pem } from './support/tls.ts';

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

  test('reset within an answer on a kept connection: its reader is told, and nothing is asked again', async () => {
    const asked: string[] = [];
    const server = await startFakeApi(
      (request, response) => {
        asked.push(request.url ?? '');
        if (request.url !== '/watch') response.end('{}');
        else response.write('{}\n', () => request.socket.resetAndDestroy());
      },
      { plain: true },
    );
    const api = apiFor(server.url);
    await api.request('GET', '/first');
    const stream = await api.open('GET', '/watch');
    const broken = once(stream, 'error');
    stream.resume();
    await broken;
    expect(server.connections()).toBe(1);
    await api.request('GET', '/last');
    expect(asked).toEqual(['/first', '/watch', '/last']);
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
