// Plain HTTP through kt's proxy to the company's: requests go in absolute-form, as many company proxies allow CONNECT to port 443 only. The
// company's proxy here is node:http; a real one is in test/e2e/corporate-network.test.ts.
import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { corporateDialer } from '../../../src/netstack/http/corporate-dialer.ts';
import { listenMixedPort } from '../../../src/netstack/mixed-port.ts';
import { DirectDialer } from '../../../src/netstack/route/direct-dialer.ts';
import { type DialRouter, RoutingDialer } from '../../../src/netstack/route/routing-dialer.ts';

interface Seen {
  readonly line: string;
  readonly authorization: string | undefined;
  readonly body: string;
  readonly port: number | undefined;
}

/** A company proxy that connects to nothing and answers requests itself; and kt's proxy in front of it. */
async function world({ status = 200, password = true, scheme = 'Basic' } = {}) {
  const seen: Seen[] = [];
  const connects: string[] = [];
  const company = createServer((incoming, response) => {
    let body = '';
    incoming.on('data', (piece: Buffer) => (body += piece.toString()));
    incoming.on('end', () => {
      seen.push({
        line: `${incoming.method ?? ''} ${incoming.url ?? ''}`,
        authorization: incoming.headers['proxy-authorization'],
        body,
        port: incoming.socket.remotePort,
      });
      response.writeHead(status, {
        'Content-Type': 'text/plain',
        ...(status === 407 ? { 'Proxy-Authenticate': scheme } : {}),
      });
      response.end('from the company');
    });
  });
  company.on('connect', (incoming: IncomingMessage, socket) => {
    connects.push(incoming.url ?? '');
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
  });
  company.listen(0, '127.0.0.1');
  await once(company, 'listening');
  onTestFinished(() => {
    company.closeAllConnections();
    company.close();
  });
  const url = `http://${password ? 'anna:s%20cret@' : ''}127.0.0.1:${(company.address() as AddressInfo).port}`;
  const router: DialRouter = {
    clusterDomain: 'cluster.local',
    route: (host) => ({ via: host === 'direct.test' ? 'direct' : 'corporate', rule: 'test', guess: false }) as never,
    outside: () => ({ via: 'corporate', rule: 'test' }) as never,
    learnAnswer: () => undefined,
  };
  const direct = new DirectDialer();
  const dialer = new RoutingDialer({
    router,
    cluster: direct,
    direct,
    corporate: corporateDialer({ HTTP_PROXY: url }),
  });
  const listener = await listenMixedPort({ host: '127.0.0.1', port: 0, dialer });
  onTestFinished(() => listener.close());
  const ask = async (
    path: string,
    method = 'GET',
    body?: string,
    headers = {},
  ): Promise<{ status: number; text: string; code: string | undefined }> => {
    const out = request({
      host: '127.0.0.1',
      port: listener.port,
      method,
      path,
      headers: { Host: 'x', ...headers },
      agent: false,
    });
    out.end(body);
    const [answer] = (await once(out, 'response')) as [IncomingMessage];
    let text = '';
    for await (const piece of answer as AsyncIterable<Buffer>) text += piece.toString();
    return { status: answer.statusCode ?? 0, text, code: answer.headers['x-kt-error'] as string | undefined };
  };
  return { seen, connects, ask };
}

test('a request goes as it is, in absolute-form, with the password of the URL and not the client’s', async () => {
  const { ask, seen, connects } = await world();
  const answer = await ask('http://intranet.test:8080/a?b=1', 'GET', undefined, {
    'Proxy-Authorization': 'Basic bm86bm8=',
  });
  expect(answer).toMatchObject({ status: 200, text: 'from the company' });
  expect(seen).toMatchObject([
    {
      line: 'GET http://intranet.test:8080/a?b=1',
      authorization: `Basic ${Buffer.from('anna:s cret').toString('base64')}`,
    },
  ]);
  expect(connects).toEqual([]);
});

test('a body passes', async () => {
  const { ask, seen } = await world({ password: false });
  await ask('http://intranet.test/', 'POST', 'hello');
  expect(seen).toMatchObject([{ line: 'POST http://intranet.test/', body: 'hello', authorization: undefined }]);
});

test('safe requests share a connection to the proxy', async () => {
  const { ask, seen } = await world();
  for (const path of ['a', 'b', 'c']) await ask(`http://intranet.test/${path}`);
  expect(new Set(seen.map(({ port }) => port)).size).toBe(1);
});

test('a proxy that refuses the password: 502 with the reason, no 407 that the client would answer', async () => {
  const { ask } = await world({ status: 407 });
  expect(await ask('http://intranet.test/')).toMatchObject({ status: 502, code: 'CORPORATE_PROXY' });
});

test('a proxy that asks for a login that kt does not speak: which, and the way round', async () => {
  const { ask } = await world({ status: 407, password: false, scheme: 'Negotiate' });
  const { status, text } = await ask('http://intranet.test/');
  expect(status).toBe(502);
  expect(text).toContain("the company's proxy asks for a login by Negotiate");
  expect(text).toContain('px, cntlm');
});

test('what goes elsewhere is not handed to it', async () => {
  const { ask, seen } = await world();
  expect((await ask('http://direct.test:1/')).status).toBe(502);
  expect(seen).toEqual([]);
});
