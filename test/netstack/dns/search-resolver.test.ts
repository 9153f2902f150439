// Against a real DNS server on the loopback, asked by the real c-ares.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SearchResolver } from '../../../src/netstack/dns/search-resolver.ts';
import { type NameServer, nameServer } from '../../support/name-server.ts';

const SUFFIX = 'shop.svc.cluster.local';
let server: NameServer;
let folder = '';
let resolver: SearchResolver;

beforeEach(async () => {
  server = await nameServer({
    [`gateway.${SUFFIX}`]: {
      A: ['10.96.1.1'],
      SRV: [{ priority: 0, weight: 100, port: 80, target: `gateway.${SUFFIX}` }],
    },
    [`db.${SUFFIX}`]: { A: ['10.244.0.1', '10.244.0.2', '10.244.0.3'] },
    [`six.${SUFFIX}`]: { AAAA: ['fd00::6'] },
    [`partner.${SUFFIX}`]: { CNAME: 'vault.locked.svc.cluster.local' },
    [`outer.${SUFFIX}`]: { CNAME: 'db.example.com' },
    'vault.locked.svc.cluster.local': { A: ['10.96.2.2'] },
    'db.example.com': { A: ['192.0.2.9'] },
    '1.1.96.10.in-addr.arpa': { PTR: `gateway.${SUFFIX}` },
    'broken.shop.svc.cluster.local': 'servfail',
    broken: { A: ['192.0.2.1'] },
    'allbroken.shop.svc.cluster.local': 'servfail',
  });
  folder = mkdtempSync(join(tmpdir(), 'kt-resolver-'));
  const file = join(folder, 'resolv.conf');
  writeFileSync(file, `search ${SUFFIX} svc.cluster.local cluster.local\noptions ndots:5\n`);
  resolver = new SearchResolver({ file, servers: [server.address] });
});
afterEach(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

describe('records', () => {
  test('A with owner and TTL, by a short name', async () => {
    expect(await resolver.resolve('gateway', 'A')).toEqual({
      found: true,
      records: [{ type: 'A', name: `gateway.${SUFFIX}`, ttl: 30, data: '10.96.1.1' }],
    });
  });

  test('AAAA', async () => {
    expect((await resolver.resolve('six', 'AAAA')).records).toEqual([
      { type: 'AAAA', name: `six.${SUFFIX}`, ttl: 30, data: 'fd00::6' },
    ]);
  });

  test('no record of the type is NODATA, not "no such name", and ends the search', async () => {
    expect(await resolver.resolve('gateway', 'AAAA')).toEqual({ found: true, records: [] });
    expect(server.questions).toEqual([`AAAA gateway.${SUFFIX}`]);
  });

  test('SRV, CNAME, PTR', async () => {
    expect((await resolver.resolve('gateway', 'SRV')).records[0]?.data).toBe(`0 100 80 gateway.${SUFFIX}`);
    expect((await resolver.resolve('partner', 'CNAME')).records[0]?.data).toBe('vault.locked.svc.cluster.local');
    expect((await resolver.resolve('10.96.1.1', 'PTR')).records[0]?.data).toBe(`gateway.${SUFFIX}`);
    expect(await resolver.resolve('10.96.9.9', 'PTR')).toEqual({ found: false, records: [] });
    expect(await resolver.resolve('gateway', 'PTR')).toEqual({ found: false, records: [] });
  });

  test('an alias is given with its addresses, under their own name', async () => {
    expect(
      (await resolver.resolve('outer', 'A')).records.map(({ type, name, data }) => `${name} ${type} ${data}`),
    ).toEqual([`outer.${SUFFIX} CNAME db.example.com`, 'db.example.com A 192.0.2.9']);
  });

  test('a name that nobody knows: every candidate was asked', async () => {
    expect(await resolver.resolve('nobody', 'A')).toEqual({ found: false, records: [] });
    expect(server.questions).toEqual([
      `A nobody.${SUFFIX}`,
      'A nobody.svc.cluster.local',
      'A nobody.cluster.local',
      'A nobody',
    ]);
  });

  test('a name that can be no name', async () => {
    for (const name of ['a..b', 'x'.repeat(64), `${'x.'.repeat(130)}y`])
      expect((await resolver.resolve(name, 'A')).found).toBe(false);
  });
});

describe('failures', () => {
  test('a broken domain of the list does not hide the names behind it', async () => {
    expect((await resolver.resolve('broken', 'A')).records[0]?.data).toBe('192.0.2.1');
  });

  test('broken and nowhere else: that is no answer', async () => {
    await expect(resolver.resolve('allbroken', 'A')).rejects.toMatchObject({ code: 'DIAL_FAILED' });
  });

  test('nobody listens', async () => {
    await server.stop();
    await expect(resolver.resolve('gateway', 'A')).rejects.toMatchObject({ code: expect.stringMatching(/^DIAL_/) });
    server = await nameServer({});
  });
});

describe('addresses to dial', () => {
  test('IPv4, else IPv6, else none; an address is itself', async () => {
    expect(await resolver.addresses('gateway')).toEqual(['10.96.1.1']);
    expect(await resolver.addresses('six')).toEqual(['fd00::6']);
    expect(await resolver.addresses('nobody')).toEqual([]);
    expect(await resolver.addresses('10.0.0.1')).toEqual(['10.0.0.1']);
  });

  test('in turns', async () => {
    const firsts = [];
    for (let turn = 0; turn < 3; turn += 1) firsts.push((await resolver.addresses('db'))[0]);
    expect(new Set(firsts)).toEqual(new Set(['10.244.0.1', '10.244.0.2', '10.244.0.3']));
  });

  test('equal questions at once are one question, and a burst asks once', async () => {
    await Promise.all(Array.from({ length: 50 }, () => resolver.addresses('gateway')));
    await resolver.addresses('gateway');
    expect(server.questions).toEqual([`A gateway.${SUFFIX}`]);
  });

  test('after a dial that failed the next one asks again', async () => {
    await resolver.addresses('gateway');
    server.zone[`gateway.${SUFFIX}`] = { A: ['10.96.7.7'] };
    expect(await resolver.addresses('gateway')).toEqual(['10.96.1.1']);
    resolver.doubt('gateway');
    expect(await resolver.addresses('gateway')).toEqual(['10.96.7.7']);
  });

  test('an answer is not kept longer than its TTL, and "no such name" not at all', async () => {
    server.ttl = 0;
    await resolver.addresses('gateway');
    await resolver.addresses('gateway');
    await resolver.addresses('later');
    server.zone[`later.${SUFFIX}`] = { A: ['10.96.8.8'] };
    expect(await resolver.addresses('later')).toEqual(['10.96.8.8']);
    expect(server.questions.filter((one) => one.includes('gateway')).length).toBe(2);
  });

  test('questions at once are bounded', async () => {
    const asked = Array.from({ length: 1_100 }, (_, index) => resolver.addresses(`name-${index}`));
    const results = await Promise.allSettled(asked);
    const refused = results.filter((one) => one.status === 'rejected');
    expect(refused.length).toBeGreaterThanOrEqual(76);
    expect((await resolver.addresses('gateway')).length).toBe(1);
  });
});

test('by the system: getaddrinfo knows the hosts file, and tells a missing family from a missing name', async () => {
  const system = new SearchResolver({ system: true });
  expect((await system.resolve('localhost', 'A')).records[0]?.data).toBe('127.0.0.1');
  expect(await system.resolve('a..b', 'A')).toEqual({ found: false, records: [] });
});
