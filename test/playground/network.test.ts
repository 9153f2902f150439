// The virtual network's decisions, without a socket.
import { describe, expect, test } from 'vitest';
import { ENDPOINT_SLICES, SERVICES } from '../../src/playground/api/resources.ts';
import { AddressPool, inCidr, POD_CIDR, SERVICE_CIDR } from '../../src/playground/pods/addresses.ts';
import { PodNetwork } from '../../src/playground/pods/network.ts';
import { Store } from '../../src/playground/store.ts';

const A = '198.18.64.16';
const B = '198.18.64.17';
const SERVICE = '198.19.64.20';

function world(): { network: PodNetwork; store: Store } {
  const store = new Store();
  const network = new PodNetwork(store);
  network.addPod(A);
  network.addPod(B);
  return { network, store };
}

const tcp = (
  port: number,
  scope: 'any' | 'loopback' | 'pod',
  realPort: number,
  owner: object = {},
): Parameters<PodNetwork['listen']>[1] => ({
  protocol: 'tcp',
  port,
  scope,
  realPort,
  owner,
});

describe('listening', () => {
  test('a port once, or once on loopback and once on the address of the pod', () => {
    const { network } = world();
    expect(network.listen(A, tcp(80, 'loopback', 1001))).toBe(true);
    expect(network.listen(A, tcp(80, 'pod', 1002))).toBe(true);
    expect(network.listen(A, tcp(80, 'any', 1003))).toBe(false);
    expect(network.listen(A, { ...tcp(80, 'any', 1004), protocol: 'udp' })).toBe(true);
    expect(network.listen(B, tcp(80, 'any', 1005))).toBe(true);
    expect(network.listen('198.18.64.99', tcp(80, 'any', 1006))).toBe(false);
    expect(network.route(A, 'tcp', '127.0.0.1', 80)).toEqual({ realPort: 1001 });
    expect(network.route(A, 'tcp', '::1', 80)).toEqual({ realPort: 1001 });
    expect(network.route(A, 'tcp', A, 80)).toEqual({ realPort: 1002 });
    expect(network.route(B, 'tcp', A, 80)).toEqual({ realPort: 1002 });
    expect(network.route(B, 'tcp', `::ffff:${A}`, 80)).toEqual({ realPort: 1002 });
    expect(network.route(B, 'udp', A, 80)).toEqual({ realPort: 1004 });
    expect(network.routeLoopback(A, 80)).toEqual({ realPort: 1001 });
    expect(network.routeLoopback(B, 80)).toEqual({ realPort: 1005 });
  });

  test('ends with the process that listens, and changes are told', () => {
    const { network } = world();
    const changed: string[] = [];
    network.onListenersChanged = (ip) => changed.push(ip);
    const owner = {};
    network.listen(A, tcp(80, 'any', 1001, owner));
    network.listen(A, tcp(81, 'any', 1002, owner));
    network.unlisten(A, {});
    network.unlisten(A, owner, { protocol: 'tcp', realPort: 1001 });
    expect(network.routeLoopback(A, 80)).toEqual({ error: 'ECONNREFUSED' });
    expect(network.routeLoopback(A, 81)).toEqual({ realPort: 1002 });
    network.unlisten(A, owner);
    expect(network.routeLoopback(A, 81)).toEqual({ error: 'ECONNREFUSED' });
    expect(changed).toEqual([A, A, A, A]);
  });

  test('is limited', () => {
    const { network } = world();
    for (let port = 1; port <= 1_000; port += 1) expect(network.listen(A, tcp(port, 'any', port))).toBe(true);
    expect(network.listen(A, tcp(2_000, 'any', 2_000))).toBe(false);
  });
});

describe('ways', () => {
  test('a Service leads to its ready endpoints in turn, by the name of the port', () => {
    const { network, store } = world();
    for (const [ip, real] of [
      [A, 1001],
      [B, 1002],
    ] as const)
      network.listen(ip, tcp(8080, 'any', real));
    network.listen(A, tcp(9090, 'any', 1003));
    store.create(SERVICES, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'shop' },
      spec: {
        clusterIP: SERVICE,
        ports: [
          { name: 'http', port: 80 },
          { name: 'admin', port: 81 },
        ],
      },
    });
    expect(network.route(B, 'tcp', SERVICE, 80)).toEqual({ error: 'ECONNREFUSED' });
    store.create(ENDPOINT_SLICES, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      ports: [
        { name: 'http', port: 8080 },
        { name: 'admin', port: 9090 },
      ],
      endpoints: [
        { addresses: [A] },
        { addresses: [B], conditions: { ready: true } },
        { addresses: ['198.18.64.50'], conditions: { ready: false } },
      ],
    });
    const ways = Array.from({ length: 4 }, () => network.route(B, 'tcp', SERVICE, 80));
    expect(ways).toEqual([{ realPort: 1001 }, { realPort: 1002 }, { realPort: 1001 }, { realPort: 1002 }]);
    expect(network.route(B, 'tcp', SERVICE, 81)).toEqual({ realPort: 1003 });
    expect(network.route(B, 'tcp', SERVICE, 82)).toEqual({ error: 'ECONNREFUSED' });
    expect(network.route(B, 'udp', SERVICE, 80)).toEqual({ error: 'ECONNREFUSED' });
  });

  test('an address that nobody has, and addresses outside', () => {
    const { network } = world();
    expect(network.route(A, 'tcp', '198.18.65.1', 80)).toEqual({ error: 'EHOSTUNREACH' });
    expect(network.route(A, 'tcp', '198.19.65.1', 80)).toEqual({ error: 'EHOSTUNREACH' });
    for (const outside of ['192.168.1.1', '198.18.80.1', '8.8.8.8', '2001:db8::1', 'nonsense'])
      expect(network.route(A, 'tcp', outside, 80)).toEqual({ error: 'ENETUNREACH' });
  });

  test('an endpoint that is another Service leads nowhere (it could lead to itself)', () => {
    const { network, store } = world();
    store.create(SERVICES, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'loop', namespace: 'shop' },
      spec: { clusterIP: SERVICE, ports: [{ port: 80 }] },
    });
    store.create(ENDPOINT_SLICES, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'loop-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'loop' } },
      addressType: 'IPv4',
      ports: [{ port: 80 }],
      endpoints: [{ addresses: [SERVICE] }],
    });
    expect(network.route(A, 'tcp', SERVICE, 80)).toEqual({ error: 'ECONNREFUSED' });
  });

  test('who connects is told once, and the list is bounded', () => {
    const { network } = world();
    network.noteSource(5000, A);
    expect(network.takeSource(5000)).toBe(A);
    expect(network.takeSource(5000)).toBeUndefined();
    for (let port = 1; port <= 5_000; port += 1) network.noteSource(port, B);
    expect(network.takeSource(1)).toBeUndefined();
    expect(network.takeSource(5_000)).toBe(B);
  });
});

describe('addresses', () => {
  test('are handed out in turn, and again only after a round', () => {
    const pool = new AddressPool(POD_CIDR, 16);
    expect([pool.take(), pool.take()]).toEqual(['198.18.64.16', '198.18.64.17']);
    pool.free('198.18.64.16');
    expect(pool.take()).toBe('198.18.64.18');
    const rest = new Set<string>();
    for (let taken = 2; taken < 4_079; taken += 1) rest.add(pool.take());
    expect(rest.has('198.18.64.16')).toBe(true);
    expect(rest.has('198.18.79.254')).toBe(true);
    expect(() => pool.take()).toThrow('no address is free');
  });

  test('the ranges', () => {
    expect(['198.18.64.0', '198.18.79.255', '198.18.80.0', '198.18.63.255'].map((ip) => inCidr(ip, POD_CIDR))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(inCidr('198.19.64.10', SERVICE_CIDR)).toBe(true);
  });
});
