// The handshake: what is sent, what is accepted, what an answer that is no 101 becomes.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { UpgradeError } from '../../../src/netstack/http/ask-upgrade.ts';
import { upgradeToWebSocket } from '../../../src/netstack/websocket/client.ts';
import { dialPeer, startPeer } from './peer.ts';

const REQUEST = {
  path: '/a?b=1',
  host: 'api.test',
  headers: { Authorization: 'Bearer t', 'Impersonate-Group': ['a', 'b'] },
  protocol: 'v4.channel.k8s.io',
};

/** A server that reads a request's head and answers with `answer`. */
async function answering(answer: string | ((socket: Socket, head: string) => void)) {
  const heads: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (heads.length > 0 || !text.includes('\r\n\r\n')) return;
      heads.push(text);
      if (typeof answer === 'string') socket.write(answer);
      else answer(socket, text);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { heads, socket: await dialPeer((server.address() as AddressInfo).port) };
}

const refused = async (socket: Socket): Promise<UpgradeError> => {
  const error: unknown = await upgradeToWebSocket(socket, REQUEST).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(UpgradeError);
  expect(socket.destroyed).toBe(true);
  return error as UpgradeError;
};

test('the request, and nothing after it before the 101', async () => {
  const { heads, socket } = await answering((peer) => peer.end());
  await upgradeToWebSocket(socket, REQUEST).catch(() => undefined);
  const [line, ...fields] = heads[0]?.trimEnd().split('\r\n') ?? [];
  expect(line).toBe('GET /a?b=1 HTTP/1.1');
  expect(fields.map((field) => field.replace(/(Key: ).*/, '$1…'))).toEqual([
    'Host: api.test',
    'Authorization: Bearer t',
    'Impersonate-Group: a',
    'Impersonate-Group: b',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: …',
    'Sec-WebSocket-Protocol: v4.channel.k8s.io',
  ]);
  expect(heads[0]?.endsWith('\r\n\r\n')).toBe(true);
});

test('an independent server agrees', async () => {
  const socket = await dialPeer(await startPeer(() => undefined));
  expect((await upgradeToWebSocket(socket, REQUEST)).length).toBe(0);
  expect(socket.destroyed).toBe(false);
});

describe('refusals', () => {
  test('status and body', async () => {
    const { socket } = await answering('HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\n{"a":1}');
    expect(await refused(socket)).toMatchObject({ status: 403, body: '{"a":1}' });
  });

  test('an empty body', async () => {
    const { socket } = await answering('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
    expect(await refused(socket)).toMatchObject({ status: 403, body: '' });
  });

  test('a body without end is cut', async () => {
    const { socket } = await answering((peer) => {
      peer.write('HTTP/1.1 502 Bad Gateway\r\n\r\n');
      const more = (): void => {
        while (!peer.destroyed && peer.write('x'.repeat(32_768)));
        peer.once('drain', more);
      };
      more();
    });
    expect((await refused(socket)).body).toHaveLength(65_536);
  });

  test.each([
    ['another key', 'Sec-WebSocket-Accept: AAAA', 'belongs to another request'],
    ['no key', 'X: y', 'belongs to another request'],
    [
      'another protocol',
      'Sec-WebSocket-Accept: <right>\r\nSec-WebSocket-Protocol: v5.channel.k8s.io',
      'does not agree to the websocket protocol v4',
    ],
    ['no protocol', 'Sec-WebSocket-Accept: <right>', 'does not agree to the websocket protocol v4'],
    [
      'extensions',
      'Sec-WebSocket-Accept: <right>\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\nSec-WebSocket-Extensions: permessage-deflate',
      'extensions that nobody asked for',
    ],
  ])('a 101 with %s', async (_, fields, message) => {
    const { socket } = await answering((peer, head) => {
      const key = /Sec-WebSocket-Key: (.*)\r/.exec(head)?.[1] ?? '';
      void crypto.subtle.digest('SHA-1', Buffer.from(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)).then((digest) => {
        const right = Buffer.from(digest).toString('base64');
        peer.write(
          `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${fields.replace('<right>', right)}\r\n\r\n`,
        );
      });
    });
    const error = await refused(socket);
    expect(error.status).toBe(101);
    expect(error.message).toContain(message);
  });

  test('a switch to something else', async () => {
    const { socket } = await answering(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n',
    );
    expect((await refused(socket)).message).toContain('not to websocket');
  });
});

describe('broken connections', () => {
  test.each([
    ['closed without an answer', (peer: Socket) => void peer.end(), 'ECONNRESET'],
    ['reset', (peer: Socket) => void peer.resetAndDestroy(), 'ECONNRESET'],
    ['answered with something else', (peer: Socket) => void peer.write('220 hello\r\n'), 'HPE_INVALID_CONSTANT'],
    [
      'answered with endless fields',
      (peer: Socket) => void peer.write(`HTTP/1.1 101 x\r\n${'a: b\r\n'.repeat(20_000)}`),
      'HPE_HEADER_OVERFLOW',
    ],
  ])('%s', async (_, serve, code) => {
    const { socket } = await answering(serve);
    await expect(upgradeToWebSocket(socket, REQUEST)).rejects.toMatchObject({ code });
    expect(socket.destroyed).toBe(true);
  });

  test('a signal ends it', async () => {
    const stop = new AbortController();
    const { socket } = await answering(() => stop.abort());
    await expect(upgradeToWebSocket(socket, { ...REQUEST, signal: stop.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(socket.destroyed).toBe(true);
  });
});
