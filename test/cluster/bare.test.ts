// Port-forwards as SPDY without a websocket, and what happens where the way to the cluster has none. The real one is in test/e2e: the second
// link of every session.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { ClusterApi } from '../../src/cluster/rest.ts';
import { openPortForward } from '../../src/cluster/upgrade.ts';
import { dataHeader, FLAG_FIN, SpdyParser } from '../../src/netstack/spdy/frame.codec.ts';
import { configFor, failure, startFakeApi, statusBody } from './support/fake-api.ts';
import { AT } from './support/runtime.ts';

const DATA = 3;

async function apiThat(upgrade: (request: IncomingMessage, socket: Duplex) => void): Promise<ClusterApi> {
  const fake = await startFakeApi(() => undefined, { upgrade });
  const api = new ClusterApi(configFor(fake.url));
  onTestFinished(() => api.close());
  return api;
}

test('is asked for by POST, carries bytes both ways, ends with the stream of data', async () => {
  const asked: IncomingMessage[] = [];
  const api = await apiThat((request, socket) => {
    asked.push(request);
    socket.write('HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n');
    const parser = new SpdyParser({
      data: (id, piece) => {
        if (id !== DATA) return;
        socket.write(dataHeader(DATA, piece.length));
        socket.write(Buffer.from(piece));
        if (piece.includes('bye')) socket.write(dataHeader(DATA, 0, FLAG_FIN));
      },
      end: () => undefined,
      ping: () => undefined,
      goAway: () => undefined,
      violation: () => undefined,
    });
    socket.on('data', (chunk: Buffer) => parser.push(chunk));
  });
  const stream = await openPortForward(api, AT, { tunnel: true, bare: true });
  expect(stream.bare).toBe(true);
  stream.write('hello ');
  stream.write('bye');
  let text = '';
  for await (const chunk of stream as AsyncIterable<Buffer>) text += chunk.toString();
  expect(text).toBe('hello bye');
  expect([asked[0]?.method, asked[0]?.headers['x-stream-protocol-version']]).toEqual(['POST', 'portforward.k8s.io']);
});

test('a connection that breaks is a lost link', async () => {
  const api = await apiThat((_, socket) => {
    socket.write('HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n');
    socket.once('data', () => socket.destroy());
  });
  const stream = await openPortForward(api, AT, { tunnel: true, bare: true });
  const failed = await new Promise((resolve) => stream.once('error', resolve));
  expect(failed).toMatchObject({ code: 'LINK_LOST' });
});

test.each([
  [
    'no right to create',
    `403 x\r\nContent-Length: ${Buffer.byteLength(statusBody(403, 'Forbidden', 'no'))}`,
    statusBody(403, 'Forbidden', 'no'),
  ],
  ['a gateway that knows no such upgrade', '502 x\r\nContent-Length: 0', ''],
  ['another switch', '101 x\r\nConnection: Upgrade\r\nUpgrade: h2c', ''],
])('%s: the tunnel is tried, and bare not again', async (_, head, body) => {
  const asked: unknown[] = [];
  const api = await apiThat((request, socket) => {
    asked.push(request.headers.upgrade);
    if (request.method === 'POST') socket.end(`HTTP/1.1 ${head}\r\n\r\n${body}`);
    else socket.end(`HTTP/1.1 404 x\r\nContent-Length: 2\r\n\r\n{}`);
  });
  await failure(openPortForward(api, AT, { tunnel: true, bare: true }));
  await failure(openPortForward(api, AT, { tunnel: true, bare: true }));
  expect(asked).toEqual(['SPDY/3.1', 'websocket', 'websocket']);
});
