// Peers: node:dns (c-ares) as a program's resolver, dns-packet for what c-ares would never send.
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { encode } from 'dns-packet';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import type { ResolveAnswer } from '../../../src/netstack/dialer.ts';
import { ask, type DnsWorld, dnsWorld, rcodeOf } from '../../support/dns-world.ts';
import { deadPort } from '../../support/peers.ts';

const SHOP = 'shop.svc.cluster.local';
const PODS = Array.from({ length: 200 }, (_, index) => `10.244.${index >> 8}.${index & 255}`);
let world: DnsWorld;
let port = 0;
let resolver: Resolver;

beforeEach(async () => {
  world = await dnsWorld(
    {
      [`gateway.${SHOP}`]: {
        A: ['10.96.1.1'],
        SRV: [{ priority: 0, weight: 100, port: 80, target: `gateway.${SHOP}` }],
      },
      [`_http._tcp.gateway.${SHOP}`]: { SRV: [{ priority: 1, weight: 2, port: 80, target: `gateway.${SHOP}` }] },
      [`db.${SHOP}`]: { A: PODS },
      [`db-0.db.${SHOP}`]: { A: ['10.244.0.1'] },
      [`six.${SHOP}`]: { AAAA: ['fd00::6'] },
      [`partner.${SHOP}`]: { CNAME: 'vault.locked.svc.cluster.local' },
      'vault.locked.svc.cluster.local': { A: ['10.96.4.4'] },
      '1.1.96.10.in-addr.arpa': { PTR: `gateway.${SHOP}` },
      // The cluster's DNS forwards what is not its own.
      'web.dev': { A: ['203.0.113.99'] },
    },
    {
      'example.com': { A: ['192.0.2.1'], AAAA: ['2001:db8::1'], TXT: 'as it is' },
      'www.example.com': { CNAME: 'example.com' },
      'many.example.com': { A: PODS },
      'web.dev': { A: ['203.0.113.1'] },
      intranet: { A: ['192.0.2.7'] },
      '1.2.0.192.in-addr.arpa': { PTR: 'example.com' },
    },
  );
  ({ port } = await world.start());
  resolver = new Resolver({ timeout: 2_000, tries: 2 });
  resolver.setServers([`127.0.0.1:${port}`]);
});
afterEach(() => world.stop());

describe('names of the cluster', () => {
  for (const name of ['gateway', 'gateway.shop', 'gateway.shop.svc', `gateway.${SHOP}`, 'GateWay.Shop'])
    test(name, async () => expect(await resolver.resolve4(name)).toEqual(['10.96.1.1']));

  test('a pod of a StatefulSet, a Service of another namespace, an alias', async () => {
    expect(await resolver.resolve4('db-0.db')).toEqual(['10.244.0.1']);
    expect(await resolver.resolve4('vault.locked')).toEqual(['10.96.4.4']);
    expect(await resolver.resolve4('partner')).toEqual(['10.96.4.4']);
    expect(await resolver.resolveCname('partner')).toEqual(['vault.locked.svc.cluster.local']);
  });

  test('SRV, also by port and protocol; PTR', async () => {
    expect(await resolver.resolveSrv('gateway')).toEqual([
      { name: `gateway.${SHOP}`, port: 80, priority: 0, weight: 100, type: 'SRV' },
    ]);
    expect((await resolver.resolveSrv('_http._tcp.gateway'))[0]?.weight).toBe(2);
    world.router.learn('10.96.1.1');
    expect(await resolver.reverse('10.96.1.1')).toEqual([`gateway.${SHOP}`]);
  });

  test('a type that it does not have is NODATA, never "no such name": resolvers would give up on A', async () => {
    await expect(resolver.resolve6('gateway')).rejects.toMatchObject({ code: 'ENODATA' });
    await expect(resolver.resolveTxt('gateway.shop')).rejects.toMatchObject({ code: 'ENODATA' });
    await expect(resolver.resolveMx('gateway.shop')).rejects.toMatchObject({ code: 'ENODATA' });
    await expect(resolver.resolve4('six')).rejects.toMatchObject({ code: 'ENODATA' });
    expect(await resolver.resolve6('six')).toEqual(['fd00::6']);
    // HTTPS (65), which browsers ask for before anything else.
    const https = await ask(port, { questions: [{ type: 'UNKNOWN_65' as 'A', name: 'gateway.shop' }] });
    expect([rcodeOf(https), https.answers]).toEqual([0, []]);
  });

  test('no such name', async () => {
    await expect(resolver.resolve4('nobody.shop')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    expect(world.laptop.questions).toEqual([]);
  });

  test('the addresses that were given out are the cluster', async () => {
    await resolver.resolve4('gateway');
    expect(world.router.route('10.96.1.1').via).toBe('cluster');
  });

  test('many programs that ask the same are one question', async () => {
    await Promise.all(
      Array.from({ length: 50 }, () => ask(port, { questions: [{ type: 'A', name: 'gateway.shop' }] })),
    );
    expect(world.cluster.questions.filter((one) => one.startsWith('A gateway')).length).toBeLessThanOrEqual(2);
  });

  test('an answer that UDP does not hold comes over TCP', async () => {
    expect((await resolver.resolve4('db')).length).toBe(PODS.length);
    const cut = await ask(port, { questions: [{ type: 'A', name: 'db' }] });
    expect([cut.flag_tc, cut.answers?.length, cut.bytes <= 512]).toEqual([true, 0, true]);
  });
});

describe('everything else', () => {
  test('is answered by the servers of the laptop, as it is', async () => {
    expect(await resolver.resolve4('example.com')).toEqual(['192.0.2.1']);
    expect(await resolver.resolve6('example.com')).toEqual(['2001:db8::1']);
    expect(await resolver.resolveTxt('example.com')).toEqual([['as it is']]);
    expect(await resolver.resolveCname('www.example.com')).toEqual(['example.com']);
    expect(await resolver.reverse('192.0.2.1')).toEqual(['example.com']);
    await expect(resolver.resolve4('nobody.example.com')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    expect(world.cluster.questions).toEqual([]);
  });

  test('also where it is long: truncated over UDP, whole over TCP', async () => {
    world.laptop.udpBytes = 512;
    expect((await resolver.resolve4('many.example.com')).length).toBe(PODS.length);
    expect(world.laptop.questions).toContain('tcp A many.example.com');
  });

  test('a guess that the cluster does not know, or only forwards', async () => {
    expect(await resolver.resolve4('intranet')).toEqual(['192.0.2.7']);
    expect(await resolver.resolve4('web.dev')).toEqual(['203.0.113.1']);
  });

  test('the next server where one is dead or gives nothing of use', async () => {
    const broken = await world.start({ upstreams: [`127.0.0.1:${await deadPort()}`, world.laptop.address] });
    resolver.setServers([`127.0.0.1:${broken.port}`]);
    expect(await resolver.resolve4('example.com')).toEqual(['192.0.2.1']);
  });

  test('servers that change while kt runs; none at all', async () => {
    let upstreams: string[] = [];
    const changing = await world.start({ upstreams: () => upstreams });
    expect(rcodeOf(await ask(changing.port, { questions: [{ type: 'A', name: 'example.com' }] }))).toBe(2);
    upstreams = [world.laptop.address];
    expect(rcodeOf(await ask(changing.port, { questions: [{ type: 'A', name: 'example.com' }] }))).toBe(0);
  });

  test('refuseForeign: REFUSED, so that a JVM asks its next server; the cluster as ever', async () => {
    const { port: strict } = await world.start({ refuseForeign: true });
    const rcode = async (name: string, type: 'A' | 'PTR' = 'A'): Promise<number> =>
      rcodeOf(await ask(strict, { questions: [{ type, name }] }));
    expect(await rcode('example.com')).toBe(5);
    expect(await rcode('intranet')).toBe(5);
    expect(await rcode('web.dev')).toBe(5);
    expect(await rcode('1.2.0.192.in-addr.arpa', 'PTR')).toBe(5);
    expect(await rcode('gateway')).toBe(0);
    expect(await rcode('nobody.shop')).toBe(3);
    expect(world.laptop.questions).toEqual([]);
  });
});

describe('while the cluster can not be asked', () => {
  test('its names are SERVFAIL; what the laptop knows is answered; "no such name" would be a lie', async () => {
    const reject = (): Promise<never> => Promise.reject(new KtError('LINK_PARKED', 'no link'));
    const { port: cut } = await world.start({ dialer: { dial: reject, resolve: reject, datagrams: reject } });
    const rcode = async (name: string): Promise<number> =>
      rcodeOf(await ask(cut, { questions: [{ type: 'A', name }] }));
    expect(await rcode('gateway.shop')).toBe(2);
    expect(await rcode('vault.locked')).toBe(2);
    expect(await rcode('intranet')).toBe(0);
    expect(await rcode('example.com')).toBe(0);
  });

  test('questions that wait do not hold up others, and each asker has a share of its own', async () => {
    const waiting: ((answer: ResolveAnswer) => void)[] = [];
    const reject = (): Promise<never> => Promise.reject(new KtError('LINK_PARKED', 'no link'));
    const { port: slow } = await world.start({
      dialer: {
        dial: reject,
        datagrams: reject,
        resolve: (name) =>
          name.startsWith('slow')
            ? new Promise((resolve) => waiting.push(resolve))
            : Promise.resolve({ found: true, records: [{ type: 'A', name, ttl: 5, data: '10.96.0.9' }] }),
      },
    });
    const greedy = createSocket('udp4');
    const question = (id: number): Buffer =>
      encode({ type: 'query', id, questions: [{ type: 'A', name: `slow-${id}.shop` }] });
    await Promise.all(
      Array.from({ length: 128 }, (_, id) => new Promise((sent) => greedy.send(question(id), slow, '127.0.0.1', sent))),
    );
    // Comes after those: one queue in the kernel.
    expect(rcodeOf(await ask(slow, { questions: [{ type: 'A', name: 'quick.shop' }] }))).toBe(0);
    expect(waiting.length).toBe(64);
    const reply = once(greedy, 'message');
    for (const answer of waiting.splice(0)) answer({ found: false, records: [] });
    await reply;
    greedy.send(question(128), slow, '127.0.0.1');
    while (waiting.length === 0) await ask(slow, { questions: [{ type: 'A', name: 'quick.shop' }] });
    waiting[0]?.({ found: false, records: [] });
    greedy.close();
  });
});

describe('the port', () => {
  test('taken by another program: LISTEN_FAILED with a hint, for UDP and for TCP', async () => {
    await expect(world.start({ port })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      hint: expect.stringContaining('--dnsPort'),
    });
    const tcp = createServer().listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    const { port: taken } = tcp.address() as { port: number };
    await expect(world.start({ port: taken })).rejects.toMatchObject({ code: 'LISTEN_FAILED' });
    tcp.close();
  });

  test('an address that is not this machine', async () => {
    await expect(world.start({ host: '192.0.2.1' })).rejects.toMatchObject({ code: 'LISTEN_FAILED' });
  });

  test('close: twice is once; the port is free at once', async () => {
    const server = await world.start();
    await Promise.all([server.close(), server.close()]);
    await (await world.start({ port: server.port })).close();
  });
});
