// A reset is a reset at any moment of a socket's life: also in the turn in which its FIN is being sent, where Node's own
// resetAndDestroy() would leak the socket.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { reset } from '../../../src/netstack/stream/reset.ts';
import { type Peer, tcpServer } from '../../support/peers.ts';

let server: Peer;
/** How the server saw its connection end. */
let ending: Promise<string>;
let peer: Promise<Socket>;

beforeEach(async () => {
  let over: (how: string) => void = () => undefined;
  let came: (socket: Socket) => void = () => undefined;
  ending = new Promise((resolve) => {
    over = resolve;
  });
  peer = new Promise((resolve) => {
    came = resolve;
  });
  server = await tcpServer((socket) => {
    came(socket);
    socket.resume();
    socket.on('error', (error: NodeJS.ErrnoException) => over(error.code ?? error.message));
    socket.on('close', () => over('closed without an error'));
  });
});
afterEach(() => server.stop());

async function socket(): Promise<Socket> {
  const made = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
  made.on('error', () => undefined);
  await once(made, 'connect');
  return made;
}

test.each<[string, (made: Socket) => void]>([
  ['an idle socket', () => undefined],
  ['bytes under way', (made) => made.write(Buffer.alloc(1_000_000))],
  ['bytes under way and an end behind them', (made) => made.end(Buffer.alloc(10_000_000))],
])('%s: the peer sees RST, and the socket closes', async (_, prepare) => {
  const made = await socket();
  const closed = once(made, 'close');
  prepare(made);
  reset(made);
  await closed;
  expect(await ending).toBe('ECONNRESET');
});

test.each<[string, (made: Socket) => unknown]>([
  ['being sent', (made) => made.end()],
  ['being sent behind a last byte', (made) => made.end('x')],
  ['sent', (made) => once(made.end(), 'finish')],
])('a FIN that is %s: the socket closes, and what the peer still sends is refused', async (_, prepare) => {
  const made = await socket();
  const closed = once(made, 'close');
  await Promise.resolve(prepare(made));
  reset(made);
  await closed;
  const far = await peer;
  const nextByte = (): void => void far.write('x', (error) => error ?? setImmediate(nextByte));
  nextByte();
  expect(await ending).toMatch(/^(ECONNRESET|EPIPE)$/);
});

test('twice is once, and before the connect it is a destroy', async () => {
  const made = await socket();
  reset(made);
  reset(made);
  const early = connect(server.port, '127.0.0.1');
  reset(early);
  expect([made.destroyed, early.destroyed]).toEqual([true, true]);
});

test('a local socket, which knows no reset, is destroyed with the error', async () => {
  const path =
    process.platform === 'win32' ? `\\\\.\\pipe\\kt-${process.pid}` : join(tmpdir(), `kt-${process.pid}.sock`);
  const local = createServer((far) => far.on('error', () => undefined).resume()).listen(path);
  await once(local, 'listening');
  const made = connect(path);
  const error = once(made, 'error');
  await once(made, 'connect');
  reset(made, new Error('why'));
  expect((await error)[0]).toEqual(new Error('why'));
  local.close();
});

test('another stream is destroyed with the error', async () => {
  const stream = new PassThrough();
  const error = once(stream, 'error');
  reset(stream, new Error('why'));
  expect((await error)[0]).toEqual(new Error('why'));
});
