// A forwarded UDP port between real sockets: every sender has its own flow and gets its own answers.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import { forwardUdp, SENDERS_MAX } from '../../../src/netstack/forward/udp-forwarder.ts';
import type { Listener } from '../../../src/netstack/listener.ts';
import type { ProxyLogEntry } from '../../../src/netstack/proxy-log.ts';
import { LoopbackDialer } from '../../support/loopback-dialer.ts';

describe('forwardUdp', () => {
  const target = { host: 'dns', port: 53 };
  let sockets: Socket[];
  let dialer: LoopbackDialer;
  let log: ProxyLogEntry[];
  let listeners: Listener[];
  let onLog: (entry: ProxyLogEntry) => void;

  const udp = async (): Promise<Socket> => {
    const socket = createSocket('udp4');
    sockets.push(socket);
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    return socket;
  };
  const open = async (idleMs?: number, port = 0): Promise<Listener> => {
    const listener = await forwardUdp({
      host: '127.0.0.1',
      port,
      target,
      dialer,
      setting: 'LOCAL:53',
      idleMs,
      log: (entry) => {
        log.push(entry);
        onLog(entry);
      },
    });
    listeners.push(listener);
    return listener;
  };
  const ask = async (from: Socket, port: number, text: string): Promise<string> => {
    const answer = once(from, 'message') as Promise<[Buffer]>;
    from.send(text, port, '127.0.0.1');
    return (await answer)[0].toString();
  };

  beforeEach(async () => {
    sockets = [];
    listeners = [];
    log = [];
    onLog = () => undefined;
    // Answers with what it got and the port it came from.
    const service = await udp();
    service.on('message', (datagram, from) => {
      service.send(`${datagram.toString().toUpperCase()} ${from.port}`, from.port, from.address);
    });
    dialer = new LoopbackDialer({ names: { dns: service.address().port } });
  });
  afterEach(async () => {
    await Promise.all(listeners.map((listener) => listener.close()));
    for (const socket of sockets) socket.close();
  });

  test('each sender has one flow and gets its own answers', async () => {
    const { port } = await open();
    const [one, other] = [await udp(), await udp()];
    const first = await ask(one, port, 'a');
    const second = await ask(other, port, 'b');
    expect(await ask(one, port, 'a')).toBe(first);
    expect(await ask(other, port, 'b')).toBe(second);
    expect(first.split(' ')[1]).not.toBe(second.split(' ')[1]);
    expect(dialer.flows).toEqual([target, target]);
  });

  test('datagrams that come while the flow opens wait for it', async () => {
    let release: () => void = () => undefined;
    dialer.hold = new Promise((resolve) => {
      release = resolve;
    });
    const { port } = await open();
    const client = await udp();
    const texts: string[] = [];
    const both = new Promise<void>((resolve) => {
      client.on('message', (datagram) => {
        texts.push(datagram.toString().split(' ')[0] ?? '');
        if (texts.length === 2) resolve();
      });
    });
    client.send('one', port, '127.0.0.1');
    client.send('two', port, '127.0.0.1');
    await dialer.flowing(1);
    release();
    await both;
    expect(texts.toSorted()).toEqual(['ONE', 'TWO']);
    expect(dialer.flows).toHaveLength(1);
  });

  test('a flow that can not be opened is logged and is not tried again at once', async () => {
    dialer.failures['dns'] = new KtError('DIAL_NOT_FOUND', 'no such name: dns');
    const failed = new Promise<void>((resolve) => {
      onLog = () => resolve();
    });
    const { port } = await open();
    const client = await udp();
    client.send('a', port, '127.0.0.1');
    await failed;
    expect(log).toEqual([
      { door: 'forward', event: 'failed', target, code: 'DIAL_NOT_FOUND', reason: 'no such name: dns' },
    ]);
    client.send('b', port, '127.0.0.1');
    // Another sender's answer is the sign that the second datagram was seen.
    delete dialer.failures['dns'];
    const other = await udp();
    await ask(other, port, 'c');
    expect(dialer.flows).toHaveLength(2);
  });

  test('an idle sender loses its flow and gets another one', async () => {
    const { port } = await open(40);
    const client = await udp();
    await ask(client, port, 'a');
    await dialer.flowsClosed();
    await ask(client, port, 'b');
    expect(dialer.flows).toHaveLength(2);
  });

  test('beyond the limit the sender that was idle for longest goes', async () => {
    const listener = await open();
    const first = await udp();
    await ask(first, listener.port, 'first');
    for (let index = 0; index < SENDERS_MAX; index += 1) await ask(await udp(), listener.port, 'x');
    expect(listener.connections).toBe(SENDERS_MAX);
    await dialer.flowsClosed(SENDERS_MAX);
    expect(dialer.flows).toHaveLength(SENDERS_MAX + 1);
  });

  test('a busy port is LISTEN_FAILED; close() ends every flow and frees the port', async () => {
    const listener = await open();
    await expect(open(undefined, listener.port)).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: `can not listen on 127.0.0.1:${listener.port}: the port is in use by another program (or by another kt)`,
    });
    await ask(await udp(), listener.port, 'a');
    await listener.close();
    await dialer.flowsClosed();
    await listener.close();
    const again = await open(undefined, listener.port);
    expect(again.port).toBe(listener.port);
  });
});
