// Dialers over real loopback sockets: "cluster", "direct" and "company proxy" each lead to a server that says which one it is.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import type { RecordType, ResolveAnswer, Target } from '../../../src/netstack/dialer.ts';
import { Router } from '../../../src/netstack/route/router.ts';
import { RoutingDialer } from '../../../src/netstack/route/routing-dialer.ts';
import { LoopbackDialer } from '../../support/loopback-dialer.ts';
import { type Peer, tcpServer } from '../../support/peers.ts';

/** Knows names with their owner, as DNS does. Everything that is dialled leads to one server. */
class World extends LoopbackDialer {
  readonly asked: string[] = [];
  readonly answers: Record<string, ResolveAnswer> = {};
  broken: KtError | undefined;
  readonly port: number;

  constructor(port: number) {
    super({ names: new Proxy({}, { get: () => port }) });
    this.port = port;
  }

  has(name: string, owner: string, address: string, type: RecordType = 'A'): this {
    this.answers[`${type} ${name}`] = { found: true, records: [{ type, name: owner, ttl: 5, data: address }] };
    return this;
  }

  override resolve(name: string, type: RecordType): Promise<ResolveAnswer> {
    this.asked.push(`${type} ${name}`);
    if (this.broken) return Promise.reject(this.broken);
    return Promise.resolve(this.answers[`${type} ${name}`] ?? { found: false, records: [] });
  }
}

const DOMAIN = 'svc.cluster.local';
let peers: Peer[];
let cluster: World;
let direct: World;
let corporate: World;
let router: Router;

beforeEach(async () => {
  const says = (text: string): Promise<Peer> => tcpServer((socket) => socket.end(text));
  peers = await Promise.all([says('cluster'), says('direct'), says('corporate')]);
  [cluster, direct, corporate] = peers.map((peer) => new World(peer.port)) as [World, World, World];
  router = routerWith({});
});
afterEach(async () => {
  await Promise.all(peers.map((peer) => peer.stop()));
});

function routerWith(env: NodeJS.ProcessEnv): Router {
  return new Router({
    namespace: 'shop',
    clusterDomain: 'cluster.local',
    includeIps: [],
    excludeIps: [],
    alsoProxy: [],
    env,
    ownHosts: [],
  });
}
const dialer = (withProxy = false): RoutingDialer =>
  new RoutingDialer({ router, cluster, direct, corporate: withProxy ? corporate : undefined });

async function says(dialer: RoutingDialer, target: Target): Promise<string> {
  const { stream } = await dialer.dial(target);
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

describe('dial', () => {
  test('a sure name goes to the cluster without a question', async () => {
    expect(await says(dialer(), { host: 'gateway.shop', port: 80 })).toBe('cluster');
    expect(cluster.asked).toEqual([]);
  });

  test('what is not the cluster goes as without kt', async () => {
    expect(await says(dialer(), { host: 'example.com', port: 443 })).toBe('direct');
    router = routerWith({ HTTPS_PROXY: 'http://p:1' });
    expect(await says(dialer(true), { host: 'example.com', port: 443 })).toBe('corporate');
    expect(await says(dialer(true), { host: 'example.com', port: 80 })).toBe('direct');
    expect(await says(dialer(false), { host: 'example.com', port: 443 })).toBe('direct');
  });

  test('a guess that the cluster knows, asked once', async () => {
    cluster.has('vault.locked', `vault.locked.${DOMAIN}`, '10.96.4.4');
    const at = dialer();
    for (let turn = 0; turn < 3; turn += 1) expect(await says(at, { host: 'vault.locked', port: 80 })).toBe('cluster');
    expect(cluster.asked).toEqual(['A vault.locked']);
    expect(router.route('10.96.4.4').via).toBe('cluster');
  });

  test('a guess with an IPv6 address only', async () => {
    cluster.answers['A six.locked'] = { found: true, records: [] };
    cluster.has('six.locked', `six.locked.${DOMAIN}`, 'fd00::6', 'AAAA');
    expect(await says(dialer(), { host: 'six.locked', port: 80 })).toBe('cluster');
  });

  test('many dials at once ask one question', async () => {
    cluster.has('vault.locked', `vault.locked.${DOMAIN}`, '10.96.4.4');
    const at = dialer();
    await Promise.all(Array.from({ length: 20 }, () => says(at, { host: 'vault.locked', port: 80 })));
    expect(cluster.asked.length).toBe(1);
  });

  test('a guess that the cluster does not know goes outside, by the company proxy where there is one', async () => {
    expect(await says(dialer(), { host: 'intranet', port: 443 })).toBe('direct');
    router = routerWith({ HTTPS_PROXY: 'http://p:1' });
    expect(await says(dialer(true), { host: 'intranet', port: 443 })).toBe('corporate');
  });

  test("a name that the cluster's DNS only forwards is not the cluster's, and its address is not learned", async () => {
    cluster.has('web.dev', 'web.dev', '10.50.1.1');
    expect(await says(dialer(), { host: 'web.dev', port: 443 })).toBe('direct');
    expect(router.route('10.50.1.1').via).toBe('direct');
  });

  test('while the cluster can not be asked: what the laptop knows goes its way, all else fails with the reason', async () => {
    cluster.broken = new KtError('LINK_PARKED', 'no link');
    direct.has('intranet', 'intranet', '192.0.2.7');
    const at = dialer();
    expect(await says(at, { host: 'intranet', port: 80 })).toBe('direct');
    await expect(at.dial({ host: 'vault.locked', port: 80 })).rejects.toMatchObject({ code: 'LINK_PARKED' });
    // What the cluster was known to have is not in doubt.
    cluster.broken = undefined;
    cluster.has('vault.locked', `vault.locked.${DOMAIN}`, '10.96.4.4');
    await says(at, { host: 'vault.locked', port: 80 });
    cluster.broken = new KtError('LINK_PARKED', 'no link');
    expect(await says(at, { host: 'vault.locked', port: 80 })).toBe('cluster');
  });

  test('a guess that proved wrong is asked again', async () => {
    cluster.has('vault.locked', `vault.locked.${DOMAIN}`, '10.96.4.4');
    const at = dialer();
    await says(at, { host: 'vault.locked', port: 80 });
    cluster.failures['vault.locked'] = new KtError('DIAL_NOT_FOUND', 'gone');
    const { opened } = await at.dial({ host: 'vault.locked', port: 80 });
    await expect(opened).rejects.toMatchObject({ code: 'DIAL_NOT_FOUND' });
    delete cluster.answers['A vault.locked'];
    expect(await says(at, { host: 'vault.locked', port: 80 })).toBe('direct');
  });

  test('cancelled while the question is on its way; others who wait for it get their answer', async () => {
    const answer = Promise.withResolvers<ResolveAnswer>();
    cluster.resolve = () => answer.promise;
    const at = dialer();
    const cancel = new AbortController();
    const cancelled = at.dial({ host: 'vault.locked', port: 80 }, { signal: cancel.signal });
    const other = says(at, { host: 'vault.locked', port: 80 });
    cancel.abort();
    await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' });
    answer.resolve({
      found: true,
      records: [{ type: 'A', name: `vault.locked.${DOMAIN}`, ttl: 5, data: '10.96.4.4' }],
    });
    expect(await other).toBe('cluster');
    expect(cluster.dials.length).toBe(1);
  });
});

describe('datagrams', () => {
  test('never by the company proxy, which has no UDP', async () => {
    router = routerWith({ HTTPS_PROXY: 'http://p:1', HTTP_PROXY: 'http://p:1' });
    const at = dialer(true);
    for (const host of ['example.com', 'gateway.shop']) (await at.datagrams({ host, port: 123 })).close();
    expect(direct.flows.map((target) => target.host)).toEqual(['example.com']);
    expect(cluster.flows.map((target) => target.host)).toEqual(['gateway.shop']);
    expect(corporate.flows).toEqual([]);
  });
});

describe('resolve', () => {
  test('by the way that a dial would go', async () => {
    cluster.has('gateway.shop', `gateway.shop.${DOMAIN}`, '10.96.1.1');
    direct.has('example.com', 'example.com', '192.0.2.1').has('intranet', 'intranet', '192.0.2.2');
    const at = dialer();
    const address = async (name: string): Promise<string | undefined> => (await at.resolve(name, 'A')).records[0]?.data;
    expect(await address('gateway.shop')).toBe('10.96.1.1');
    expect(await address('example.com')).toBe('192.0.2.1');
    expect(await address('intranet')).toBe('192.0.2.2');
    expect(router.route('10.96.1.1').via).toBe('cluster');
    expect(router.route('192.0.2.1').via).toBe('direct');
  });

  test('a service record is where its host is', async () => {
    cluster.has('vault.locked', `vault.locked.${DOMAIN}`, '10.96.4.4');
    cluster.has('_http._tcp.vault.locked', `_http._tcp.vault.locked.${DOMAIN}`, '0 100 80 x', 'SRV');
    expect((await dialer().resolve('_http._tcp.vault.locked', 'SRV')).records[0]?.data).toBe('0 100 80 x');
  });
});
