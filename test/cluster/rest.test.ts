// Requests to an HTTPS server on the loopback interface: what is sent, what comes back, how they end.
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Credentials } from '../../src/cluster/credentials.ts';
import { apiFor, certificate, clientName, failure, fixed, startFakeApi } from './support/fake-api.ts';
import { pem } from './support/tls.ts';

async function readAll(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of request as AsyncIterable<Buffer>) text += piece.toString();
  return text;
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

  test('R2: the server has the clock, whatever this laptop believes', async () => {
    const date = 'Thu, 01 Jan 2026 10:00:00 GMT';
    const server = await startFakeApi((_, response) => response.setHeader('date', date).end('{}'));
    const api = apiFor(server.url);
    expect(Math.abs(api.now() - Date.now())).toBeLessThan(5_000);
    await api.request('GET', '/version');
    expect(Math.abs(api.now() - Date.parse(date))).toBeLessThan(5_000);
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
