import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import type { Target } from '../../../src/netstack/dialer.ts';
import type { Listener } from '../../../src/netstack/listener.ts';
import { listenMixedPort } from '../../../src/netstack/mixed-port.ts';
import type { ProxyLogEntry } from '../../../src/netstack/proxy-log.ts';
import { encodeDatagramHeader, parseDatagram } from '../../../src/netstack/socks/socks5.codec.ts';
import { FLOWS_MAX } from '../../../src/netstack/socks/udp-associate.ts';
import { LoopbackDialer } from '../../support/loopback-dialer.ts';
import { RawClient } from '../../support/peers.ts';

const ASSOCIATE = '05 01 00 05 03 00 01 00000000 0000';

describe('UDP ASSOCIATE', () => {
  let dialer: LoopbackDialer;
  let port: Listener;
  let log: ProxyLogEntry[];
  let sockets: Socket[];
  /** Answers with what it got, in capitals. */
  let service: Socket;

  const udp = async (): Promise<Socket> => {
    const socket = createSocket('udp4');
    sockets.push(socket);
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    return socket;
  };
  const associate = async (request = ASSOCIATE): Promise<{ control: RawClient; relay: number }> => {
    const control = new RawClient(port.port).hex(request);
    const reply = (await control.read(12)).subarray(2);
    expect(reply.subarray(0, 8).toString('hex')).toBe('050000017f000001');
    return { control, relay: reply.readUInt16BE(8) };
  };
  const send = (from: Socket, relay: number, target: Target, text: string): void => {
    from.send(Buffer.concat([encodeDatagramHeader(target), Buffer.from(text)]), relay, '127.0.0.1');
  };
  const receive = async (at: Socket): Promise<{ target: Target; text: string }> => {
    const [datagram] = (await once(at, 'message')) as [Buffer];
    const parsed = parseDatagram(datagram);
    if (parsed === undefined) throw new Error('not a SOCKS datagram');
    return { target: parsed.target, text: parsed.data.toString() };
  };

  beforeEach(async () => {
    sockets = [];
    service = await udp();
    service.on('message', (datagram, from) => {
      service.send(datagram.toString().toUpperCase(), from.port, from.address);
    });
    dialer = new LoopbackDialer({ names: { dns: service.address().port, '10.96.0.10': service.address().port } });
    log = [];
    port = await listenMixedPort({ host: '127.0.0.1', port: 0, dialer, log: (_, entry) => log.push(entry) });
  });

  afterEach(async () => {
    await port.close();
    for (const socket of sockets) socket.close();
  });

  test('datagrams to a name and to an address go and come back with the same header', async () => {
    const { control, relay } = await associate();
    const client = await udp();
    for (const target of [
      { host: 'dns', port: 53 },
      { host: '10.96.0.10', port: 53 },
    ]) {
      const answer = receive(client);
      send(client, relay, target, 'question');
      expect(await answer).toEqual({ target, text: 'QUESTION' });
    }
    expect(dialer.flows).toEqual([
      { host: 'dns', port: 53 },
      { host: '10.96.0.10', port: 53 },
    ]);
    control.socket.destroy();
  });

  test('datagrams that come while the flow opens wait for it', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    dialer.hold = promise;
    const { relay } = await associate();
    const client = await udp();
    const answers: string[] = [];
    const both = new Promise<void>((done) => {
      client.on('message', (datagram: Buffer) => {
        answers.push(parseDatagram(datagram)?.data.toString() ?? '');
        if (answers.length === 2) done();
      });
    });
    send(client, relay, { host: 'dns', port: 53 }, 'one');
    send(client, relay, { host: 'dns', port: 53 }, 'two');
    await dialer.flowing(1);
    resolve();
    await both;
    expect(answers).toEqual(['ONE', 'TWO']);
    expect(dialer.flows).toHaveLength(1);
  });

  test('fragments, garbage and strangers are dropped', async () => {
    const { relay } = await associate();
    const [client, stranger] = [await udp(), await udp()];
    const target = { host: 'dns', port: 53 };
    const first = receive(client);
    send(client, relay, target, 'mine');
    await first;
    stranger.on('message', () => expect.unreachable('a stranger got an answer'));
    send(stranger, relay, target, 'not mine');
    client.send(Buffer.from('000001017f000001003561', 'hex'), relay, '127.0.0.1');
    client.send('garbage', relay, '127.0.0.1');
    client.send('', relay, '127.0.0.1');
    const next = receive(client);
    send(client, relay, target, 'still mine');
    expect(await next).toEqual({ target, text: 'STILL MINE' });
    expect(dialer.flows).toHaveLength(1);
  });

  test('only the port that the client announced is heard', async () => {
    const [client, other] = [await udp(), await udp()];
    const announced = client.address().port.toString(16).padStart(4, '0');
    const { relay } = await associate(`05 01 00 05 03 00 01 00000000 ${announced}`);
    send(other, relay, { host: 'dns', port: 53 }, 'other');
    const answer = receive(client);
    send(client, relay, { host: 'dns', port: 53 }, 'client');
    expect((await answer).text).toBe('CLIENT');
  });

  test('ends with the TCP connection, by FIN and by RST, and closes its flows', async () => {
    for (const leave of ['end', 'resetAndDestroy'] as const) {
      const { control, relay } = await associate();
      const client = await udp();
      const answer = receive(client);
      send(client, relay, { host: 'dns', port: 53 }, 'hello');
      await answer;
      expect(dialer.openFlows).toBe(1);
      control.socket[leave]();
      await dialer.flowsClosed();
      expect(dialer.openFlows).toBe(0);
    }
  });

  test('a target that fails is told in the log and not dialled for each datagram', async () => {
    dialer.failures['nowhere'] = new KtError('UNSUPPORTED', 'no UDP without an agent');
    const { relay } = await associate();
    const client = await udp();
    for (let count = 0; count < 20; count += 1) send(client, relay, { host: 'nowhere', port: 53 }, 'x');
    const answer = receive(client);
    send(client, relay, { host: 'dns', port: 53 }, 'after');
    await answer;
    expect(log.filter(({ event }) => event === 'failed')).toEqual([
      {
        door: 'udp',
        event: 'failed',
        target: { host: 'nowhere', port: 53 },
        code: 'UNSUPPORTED',
        reason: 'no UDP without an agent',
      },
    ]);
    expect(dialer.flows.filter(({ host }) => host === 'nowhere')).toHaveLength(1);
  });

  test('flows are bounded: the one idle for longest goes', async () => {
    const { relay } = await associate();
    const client = await udp();
    for (let index = 1; index <= FLOWS_MAX + 10; index += 1) {
      const answer = receive(client);
      send(client, relay, { host: 'dns', port: index }, 'x');
      await answer;
    }
    await dialer.flowsClosed(FLOWS_MAX);
    expect(dialer.openFlows).toBe(FLOWS_MAX);
    expect(dialer.flows).toHaveLength(FLOWS_MAX + 10);
  });
});
