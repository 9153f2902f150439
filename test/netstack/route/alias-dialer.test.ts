// C7: hosts of Ingresses lead to one destination; everything else passes as it was.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ResolveAnswer } from '../../../src/netstack/dialer.ts';
import { AliasDialer } from '../../../src/netstack/route/alias-dialer.ts';
import { DirectDialer } from '../../../src/netstack/route/direct-dialer.ts';
import { HostAliases } from '../../../src/netstack/route/host-aliases.ts';
import { Router } from '../../../src/netstack/route/router.ts';
import { dialerCompliance } from '../../compliance/dialer.ts';
import { LoopbackDialer } from '../../support/loopback-dialer.ts';
import { deadPort, type Peer, tcpServer } from '../../support/peers.ts';

const HOSTS = ['Shop.example', '*.lanes.corp.example'];

function aliases(target: string): HostAliases {
  const made = new HostAliases(target);
  made.set(HOSTS);
  return made;
}

describe('hosts', () => {
  test.each([
    ['shop.example', true],
    ['SHOP.example', true],
    ['www.shop.example', false],
    ['anna.lanes.corp.example', true],
    ['lanes.corp.example', false],
    ['a.anna.lanes.corp.example', false],
    ['.lanes.corp.example', false],
    ['', false],
  ])('%j: %s', (host, has) => expect(aliases('10.0.0.1').has(host)).toBe(has));

  test.each(['', 'a b', 'http://10.0.0.1', '1.2.3'])('no destination: %j', (target) =>
    expect(() => new HostAliases(target)).toThrow(expect.objectContaining({ code: 'USAGE' })),
  );

  test('are forgotten when they go', () => {
    const one = aliases('10.0.0.1');
    one.set(['other.example']);
    expect([one.has('shop.example'), one.has('anna.lanes.corp.example'), one.has('other.example')]).toEqual([
      false,
      false,
      true,
    ]);
  });
});

describe('the dialer', () => {
  let controller: Peer;
  beforeEach(async () => {
    controller = await tcpServer((socket) => socket.end('controller'));
  });
  afterEach(() => controller.stop());

  class Names extends LoopbackDialer {
    override resolve(name: string, type: string): Promise<ResolveAnswer> {
      const records =
        type === 'A' ? [{ type, name: 'ingress.kube.svc.cluster.local', ttl: 5, data: '10.0.0.7' } as const] : [];
      return Promise.resolve(name === 'ingress.kube' ? { found: true, records } : { found: false, records: [] });
    }
  }
  const dialer = (target: string): AliasDialer =>
    new AliasDialer(new Names({ names: { 'ingress.kube': controller.port } }), aliases(target));

  test('dials the destination', async () => {
    const { stream } = await dialer('ingress.kube').dial({ host: 'anna.lanes.corp.example', port: 443 });
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    expect(text).toBe('controller');
  });

  test('answers with its address, in its own family only', async () => {
    const records = (target: string, type: 'A' | 'AAAA'): Promise<unknown> =>
      dialer(target)
        .resolve('shop.example', type)
        .then((answer) => answer.records.map(({ name, data }) => [name, data]));
    expect(await records('10.0.0.7', 'A')).toEqual([['shop.example', '10.0.0.7']]);
    expect(await records('10.0.0.7', 'AAAA')).toEqual([]);
    expect(await records('fd00::7', 'AAAA')).toEqual([['shop.example', 'fd00::7']]);
    expect(await records('ingress.kube', 'A')).toEqual([['shop.example', '10.0.0.7']]);
    expect(await dialer('ingress.kube').resolve('other.example', 'A')).toEqual({ found: false, records: [] });
  });
});

test('the router sends them to the cluster, and says why', () => {
  const router = new Router({
    namespace: 'shop',
    clusterDomain: 'cluster.local',
    includeIps: [],
    excludeIps: [],
    alsoProxy: [],
    aliases: aliases('10.0.0.7'),
    env: {},
    ownHosts: [],
  });
  expect(router.route('anna.lanes.corp.example')).toEqual({
    via: 'cluster',
    rule: 'a host of an Ingress, by --ingressIp 10.0.0.7',
  });
  expect(router.route('lanes.corp.example').rule).not.toContain('Ingress');
  // Shims are told the exact ones: below a wildcard there may be hosts of others.
  expect(router.suffixes()).toContain('shop.example');
  expect(router.suffixes()).not.toContain('lanes.corp.example');
});

dialerCompliance('AliasDialer', { udp: true, resolve: true, halfClose: true, refused: true }, async () => {
  const peers: Peer[] = [];
  const host = 'shop.example';
  return {
    dialer: new AliasDialer(new DirectDialer(), aliases('127.0.0.1')),
    serve: async (onSocket) => {
      const peer = await tcpServer(onSocket);
      peers.push(peer);
      return { host, port: peer.port };
    },
    refusing: async () => ({ host, port: await deadPort() }),
    echoDatagrams: async () => {
      const socket = createSocket('udp4');
      socket.on('message', (message, from) => socket.send(message, from.port, from.address));
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      const { port } = socket.address();
      peers.push({ port, stop: () => new Promise((resolve) => socket.close(() => resolve())) });
      return { host, port };
    },
    unknown: { host: `${'x'.repeat(64)}.invalid`, port: 80 },
    known: { name: host, address: '127.0.0.1' },
    close: async () => {
      await Promise.all(peers.map((peer) => peer.stop()));
    },
  };
});
