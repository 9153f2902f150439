// What the cluster's DNS answers, without a network; and the DNS server against bytes of any kind.
import packet from 'dns-packet';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ENDPOINT_SLICES, NAMESPACES, PODS, SERVICES } from '../../src/playground/api/resources.ts';
import { answerQuery } from '../../src/playground/pods/dns-server.ts';
import { ClusterNames } from '../../src/playground/pods/names.ts';
import { Store } from '../../src/playground/store.ts';

const store = new Store();
const put = (
  type: Parameters<Store['create']>[0],
  name: string,
  more: object,
  labels: Record<string, string> = {},
): void => {
  store.create(type, {
    apiVersion: 'v1',
    kind: type.kind,
    metadata: { name, ...(type.namespaced ? { namespace: 'shop' } : {}), labels },
    ...more,
  });
};
put(NAMESPACES, 'shop', {});
put(SERVICES, 'web', {
  spec: {
    clusterIP: '198.19.64.20',
    ports: [
      { name: 'http', port: 80, protocol: 'TCP' },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ],
  },
});
put(SERVICES, 'db', { spec: { clusterIP: 'None', ports: [{ name: 'sql', port: 5432 }] } });
put(SERVICES, 'out', { spec: { type: 'ExternalName', externalName: 'web.shop.svc.cluster.local' } });
put(SERVICES, 'circle', { spec: { type: 'ExternalName', externalName: 'circle.shop.svc.cluster.local' } });
put(PODS, 'db-0', {
  spec: { containers: [], hostname: 'db-0', subdomain: 'db' },
  status: { phase: 'Running', podIP: '198.18.64.30' },
});
put(
  ENDPOINT_SLICES,
  'db-x',
  {
    addressType: 'IPv4',
    ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }],
    endpoints: [
      { addresses: ['198.18.64.30'], conditions: { ready: true }, targetRef: { name: 'db-0' } },
      { addresses: ['198.18.64.31'], conditions: { ready: false }, hostname: 'db-1' },
      { addresses: ['198.18.64.32'], conditions: { ready: true } },
    ],
  },
  { 'kubernetes.io/service-name': 'db' },
);
const names = new ClusterNames(store);
const BASE = 'shop.svc.cluster.local';

/** The data of the records, or what there is instead. */
function answer(name: string, type: Parameters<ClusterNames['resolve']>[1] = 'A'): string[] | 'nxdomain' | 'nodata' {
  const found = names.resolve(name, type);
  if (!found.found) return 'nxdomain';
  return found.records.length === 0 ? 'nodata' : found.records.map((record) => `${record.type} ${record.data}`);
}

describe('the names of the cluster', () => {
  test.each([
    [`web.${BASE}`, 'A', ['A 198.19.64.20']],
    [`WEB.Shop.svc.cluster.local.`, 'A', ['A 198.19.64.20']],
    [`web.${BASE}`, 'AAAA', 'nodata'],
    [`nope.${BASE}`, 'A', 'nxdomain'],
    ['web.nons.svc.cluster.local', 'A', 'nxdomain'],
    [BASE, 'A', 'nodata'],
    ['svc.cluster.local', 'A', 'nodata'],
    ['cluster.local', 'A', 'nodata'],
    ['web.shop.svc', 'A', 'nxdomain'],
    ['example.com', 'A', 'nxdomain'],
    [`db.${BASE}`, 'A', ['A 198.18.64.30', 'A 198.18.64.32']],
    [`db-0.db.${BASE}`, 'A', ['A 198.18.64.30']],
    [`db-1.db.${BASE}`, 'A', 'nxdomain'],
    [`db-0.web.${BASE}`, 'A', 'nxdomain'],
    [`198-18-64-32.db.${BASE}`, 'A', ['A 198.18.64.32']],
    [`a.db-0.db.${BASE}`, 'A', 'nxdomain'],
    [`out.${BASE}`, 'A', [`CNAME web.${BASE}`, 'A 198.19.64.20']],
    [`out.${BASE}`, 'CNAME', [`CNAME web.${BASE}`]],
    [`_http._tcp.web.${BASE}`, 'SRV', [`SRV 0 100 80 web.${BASE}`]],
    [`_dns._udp.web.${BASE}`, 'SRV', [`SRV 0 100 53 web.${BASE}`]],
    [`_http._udp.web.${BASE}`, 'SRV', 'nxdomain'],
    [`web.${BASE}`, 'SRV', [`SRV 0 50 80 web.${BASE}`, `SRV 0 50 53 web.${BASE}`]],
    [`_sql._tcp.db.${BASE}`, 'SRV', [`SRV 0 50 5432 db-0.db.${BASE}`, `SRV 0 50 5432 198-18-64-32.db.${BASE}`]],
    ['198-18-64-99.shop.pod.cluster.local', 'A', ['A 198.18.64.99']],
    ['nonsense.shop.pod.cluster.local', 'A', 'nxdomain'],
    ['20.64.19.198.in-addr.arpa', 'PTR', [`PTR web.${BASE}`]],
    ['198.18.64.30', 'PTR', [`PTR db-0.db.${BASE}`]],
    ['198.18.64.200', 'PTR', 'nxdomain'],
  ] as const)('%s %s', (name, type, expected) => {
    expect(answer(name, type)).toEqual(expected);
  });

  test('aliases that point at each other end', () => {
    expect(answer(`circle.${BASE}`)).toBe('nodata');
  });

  test.each([
    ['web', ['198.19.64.20']],
    ['web.shop', ['198.19.64.20']],
    ['web.shop.svc', ['198.19.64.20']],
    [`web.${BASE}.`, ['198.19.64.20']],
    ['db-0.db', ['198.18.64.30']],
    ['web.', []],
    ['nope', []],
    ['', []],
  ])('the search list of a pod: %s', (name, expected) => {
    expect(names.addresses(name, 'shop')).toEqual(expected);
  });

  test('no name makes it throw', () => {
    const name = fc.oneof(
      fc.string(),
      fc
        .array(fc.constantFrom('web', 'db', 'shop', 'svc', 'cluster', 'local', '_http', '_tcp', 'pod', ''))
        .map((parts) => parts.join('.')),
    );
    fc.assert(
      fc.property(name, fc.constantFrom('A', 'AAAA', 'SRV', 'CNAME', 'PTR'), (text, type) => {
        names.resolve(text, type);
        names.addresses(text, 'shop');
      }),
    );
  });
});

describe('the DNS server', () => {
  const query = (name: string, type: packet.RecordType): Buffer =>
    packet.encode({ type: 'query', id: 7, flags: packet.RECURSION_DESIRED, questions: [{ name, type }] });

  test('answers with the id and the question, NXDOMAIN where there is no name', () => {
    const good = answerQuery(names, query(`db-0.db.${BASE}`, 'A'));
    expect(good).toMatchObject({
      id: 7,
      type: 'response',
      questions: [{ name: `db-0.db.${BASE}`, type: 'A' }],
      answers: [{ type: 'A', data: '198.18.64.30', ttl: 30 }],
    });
    const none = packet.decode(packet.encode(answerQuery(names, query('example.com', 'A')) ?? {}));
    expect((none as { rcode?: string }).rcode).toBe('NXDOMAIN');
    const text = packet.decode(packet.encode(answerQuery(names, query(`web.${BASE}`, 'TXT')) ?? {}));
    expect(text).toMatchObject({ rcode: 'NOERROR', answers: [] });
  });

  test('bytes of any kind are answered or not, and never more', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        answerQuery(names, Buffer.from(bytes));
      }),
    );
    const good = query(`web.${BASE}`, 'A');
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, value) => {
        const broken = Buffer.from(good);
        broken[at] = value;
        answerQuery(names, broken);
      }),
    );
    // An answer is not answered: two servers could talk for ever.
    expect(
      answerQuery(names, packet.encode({ type: 'response', id: 1, questions: [{ name: 'a', type: 'A' }] })),
    ).toBeUndefined();
  });
});
