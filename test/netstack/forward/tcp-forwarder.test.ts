// A forwarded TCP port between real sockets: what passes, what a failure looks like to the client, what is left after it.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import { forwardTcp } from '../../../src/netstack/forward/tcp-forwarder.ts';
import type { Listener } from '../../../src/netstack/listener.ts';
import type { ProxyLogEntry } from '../../../src/netstack/proxy-log.ts';
import { LoopbackDialer } from '../../support/loopback-dialer.ts';
import { echoServer, type Peer, RawClient, tcpServer } from '../../support/peers.ts';

describe('forwardTcp', () => {
  let echo: Peer;
  let dialer: LoopbackDialer;
  let listener: Listener;
  let log: ProxyLogEntry[];
  const target = { host: 'orders', port: 80 };

  const open = (port = 0): Promise<Listener> =>
    forwardTcp({ host: '127.0.0.1', port, target, dialer, setting: 'LOCAL:80', log: (entry) => log.push(entry) });
  const client = async (): Promise<Socket> => {
    const socket = connect({ host: '127.0.0.1', port: listener.port, allowHalfOpen: true });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };

  beforeEach(async () => {
    echo = await echoServer();
    dialer = new LoopbackDialer({ names: { orders: echo.port } });
    log = [];
    listener = await open();
  });
  afterEach(async () => {
    await listener.close();
    await echo.stop();
  });

  test('each connection is dialled at the target; half-close goes through', async () => {
    for (const text of ['one', 'two']) {
      const socket = await client();
      socket.end(text);
      const [answer] = (await once(socket.setEncoding('utf8'), 'data')) as [string];
      expect(answer).toBe(text);
      await once(socket, 'end');
    }
    expect(dialer.dials.map((dial) => dial.target)).toEqual([target, target]);
    expect(log.filter(({ event }) => event === 'opened')).toHaveLength(2);
  });

  test('a server that speaks first is heard by a silent client', async () => {
    const banner = await tcpServer((socket) => socket.end('220 ready'));
    dialer.names['orders'] = banner.port;
    const socket = await client();
    const [answer] = (await once(socket.setEncoding('utf8'), 'data')) as [string];
    expect(answer).toBe('220 ready');
    socket.end();
    await banner.stop();
  });

  test('what is sent, and ended, before the dial is decided arrives after it', async () => {
    let release: () => void = () => undefined;
    dialer.hold = new Promise((resolve) => {
      release = resolve;
    });
    const socket = await client();
    socket.end('early');
    await once(socket, 'finish');
    await dialer.dialled(1);
    // Nothing was sent yet, so a dial whose link is lost is made again.
    expect(dialer.dials[0]?.options.settle).toBe(true);
    release();
    const [answer] = (await once(socket.setEncoding('utf8'), 'data')) as [string];
    expect(answer).toBe('early');
    await once(socket, 'end');
  });

  test('a refused dial resets the client, with the reason in the log, and the next connection is dialled again', async () => {
    dialer.failures['orders'] = new KtError('DIAL_REFUSED', 'orders:80 refused the connection');
    const refused = connect({ host: '127.0.0.1', port: listener.port });
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
    expect(log).toEqual([
      { door: 'forward', event: 'failed', target, code: 'DIAL_REFUSED', reason: 'orders:80 refused the connection' },
    ]);
    delete dialer.failures['orders'];
    const again = await client();
    again.end('back');
    const [answer] = (await once(again.setEncoding('utf8'), 'data')) as [string];
    expect(answer).toBe('back');
  });

  test('a client that goes away during the dial cancels it', async () => {
    dialer.hold = new Promise(() => undefined);
    const socket = await client();
    await dialer.dialled(1);
    const { options } = dialer.dials[0] ?? {};
    const aborted = once(options?.signal as AbortSignal, 'abort');
    socket.resetAndDestroy();
    await aborted;
    expect(options?.signal?.aborted).toBe(true);
  });

  test('a far end that resets is a reset for the client', async () => {
    const abrupt = await tcpServer((socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    });
    dialer.names['orders'] = abrupt.port;
    const socket = connect({ host: '127.0.0.1', port: listener.port });
    socket.write('x');
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
    await abrupt.stop();
  });

  test('a busy port is LISTEN_FAILED and names the way out', async () => {
    const busy = createServer();
    busy.listen(0, '127.0.0.1');
    await once(busy, 'listening');
    const address = busy.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    await expect(open(port)).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: `can not listen on 127.0.0.1:${port}: the port is in use by another program (or by another kt)`,
      hint: 'Choose another port with LOCAL:80 (0 takes any free one).',
    });
    busy.close();
  });

  test('close() ends open connections and frees the port', async () => {
    const raw = new RawClient(listener.port);
    raw.send('x');
    await raw.read(1);
    await listener.close();
    await raw.closed;
    const again = await open(listener.port);
    await again.close();
  });
});
