// The dialer that records: still a dialer by every rule while somebody looks, and what its records say. Real peers on the loopback.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, test, vi } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import type { Dialer } from '../../../src/netstack/dialer.ts';
import { DirectDialer } from '../../../src/netstack/route/direct-dialer.ts';
import { TrafficJournal } from '../../../src/session/traffic/journal.ts';
import { RecordingDialer } from '../../../src/session/traffic/recording-dialer.ts';
import type { OutboundRecord } from '../../../src/session/traffic/types.ts';
import { dialerCompliance } from '../../compliance/dialer.ts';
import { deadPort, type Peer, tcpServer } from '../../support/peers.ts';

interface Watched {
  readonly dialer: RecordingDialer;
  readonly journal: TrafficJournal;
  readonly records: () => OutboundRecord[];
}

function watched(inner: Dialer, look = true): Watched {
  const records = new Map<number, OutboundRecord>();
  const journal = new TrafficJournal({
    emit: (event) => {
      if (event.type === 'traffic') for (const one of event.records) records.set(one.id, one as OutboundRecord);
    },
    whileWatched: (start) => (look ? start() : () => undefined),
  });
  const asked = { by: { door: 'shim', runtime: 'node', pid: 4711 }, via: 'cluster', reason: 'a rule' } as const;
  const dialer = new RecordingDialer(inner, journal, () => asked);
  return { dialer, journal, records: () => [...records.values()] };
}

const capabilities = { udp: true, resolve: true, halfClose: true, refused: true, blackhole: false };
dialerCompliance('RecordingDialer, while somebody looks', capabilities, async () => {
  const peers: Peer[] = [];
  return {
    dialer: watched(new DirectDialer()).dialer,
    serve: async (onSocket) => {
      const peer = await tcpServer(onSocket);
      peers.push(peer);
      return { host: '127.0.0.1', port: peer.port };
    },
    refusing: async () => ({ host: '127.0.0.1', port: await deadPort() }),
    echoDatagrams: async () => {
      const socket = createSocket('udp4');
      socket.on('message', (message, from) => socket.send(message, from.port, from.address));
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      const { port } = socket.address();
      peers.push({ port, stop: () => new Promise((resolve) => socket.close(() => resolve())) });
      return { host: '127.0.0.1', port };
    },
    unknown: { host: `${'x'.repeat(64)}.invalid`, port: 80 },
    known: { name: '127.0.0.1', address: '127.0.0.1' },
    close: async () => {
      await Promise.all(peers.map((peer) => peer.stop()));
    },
  };
});

test('a connection: who asked, the way, times and bytes', async () => {
  const peer = await tcpServer((socket) => socket.once('data', () => socket.end('answer')));
  const { dialer, records } = watched(new DirectDialer());
  const { stream, opened } = await dialer.dial({ host: '127.0.0.1', port: peer.port });
  await opened;
  stream.end('question!');
  stream.resume();
  await once(stream, 'close');
  await vi.waitFor(() => expect(records()[0]?.state).toBe('done'));
  expect(records()).toMatchObject([
    {
      direction: 'out',
      by: { door: 'shim', runtime: 'node', pid: 4711 },
      host: '127.0.0.1',
      port: peer.port,
      protocol: 'tcp',
      via: 'cluster',
      reason: 'a rule',
      received: 6,
      sent: 9,
      code: null,
      error: null,
    },
  ]);
  expect(records()[0]?.openedMs).toBeGreaterThan(0);
  await peer.stop();
});

test('a refused one: its code; the way as the dialer below decides it', async () => {
  const inner: Dialer = {
    dial: (_, options) => {
      options?.onRoute?.({ via: 'corporate', rule: 'outside' });
      return Promise.reject(new KtError('DIAL_DENIED', 'not there'));
    },
    resolve: () =>
      Promise.resolve({ found: true, records: [{ type: 'A', name: 'stock.shop', ttl: 1, data: '198.18.0.9' }] }),
    datagrams: () => Promise.reject(new KtError('UNSUPPORTED', 'no UDP')),
  };
  const { dialer, records } = watched(inner);
  // As shims ask: the name first, then its address.
  await dialer.resolve('stock', 'A');
  await expect(dialer.dial({ host: '198.18.0.9', port: 80 })).rejects.toMatchObject({ code: 'DIAL_DENIED' });
  await expect(dialer.datagrams({ host: 'dns', port: 53 })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  await vi.waitFor(() => expect(records()).toHaveLength(2));
  expect(records()).toMatchObject([
    {
      host: 'stock',
      state: 'failed',
      code: 'DIAL_DENIED',
      error: 'not there',
      via: 'corporate',
      reason: 'outside',
      openedMs: null,
    },
    { host: 'dns', protocol: 'udp', state: 'failed', code: 'UNSUPPORTED' },
  ]);
});

test('nobody looks: no record, the very connection of the dialer below', async () => {
  const connection = { stream: new (await import('node:stream')).PassThrough(), opened: Promise.resolve() };
  const inner = { dial: () => Promise.resolve(connection) } as unknown as Dialer;
  const { dialer, journal, records } = watched(inner, false);
  expect(await dialer.dial({ host: 'a', port: 1 })).toBe(connection);
  expect(journal.entry(1)).toBeUndefined();
  expect(records()).toEqual([]);
});
