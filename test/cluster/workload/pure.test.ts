// The parts of a workload's environment that ask nobody: `$(NAME)`, quantities, service links, names on the command line.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Service } from '../../../src/cluster/services.ts';
import { expand, references } from '../../../src/cluster/workload/expand.codec.ts';
import { fieldValue, resourceValue } from '../../../src/cluster/workload/fields.ts';
import { parseWorkload } from '../../../src/cluster/workload/find.ts';
import { inUnits, parseQuantity } from '../../../src/cluster/workload/quantity.codec.ts';
import { serviceLinks } from '../../../src/cluster/workload/service-links.ts';

describe('$(NAME)', () => {
  // From the table of the kubelet's own tests (third_party/forked/golang/expansion).
  test.each([
    ['$(VAR_A)', 'A'],
    ['___$(VAR_B)___', '___B___'],
    ['$(VAR_DNE)', '$(VAR_DNE)'],
    ['$$(VAR_A)', '$(VAR_A)'],
    ['$$$(VAR_A)', '$A'],
    ['foo$$bar', 'foo$bar'],
    ['$$$$$$$(VAR_A)', '$$$A'],
    ['$(VAR_A)$(VAR_B)', 'AB'],
    ['$(VAR_A', '$(VAR_A'],
    ['$VAR_A', '$VAR_A'],
    ['$?_boo_$!', '$?_boo_$!'],
    ['$($(VAR_A)--', '$($(VAR_A)--'],
    ['$()', '$()'],
    ['$', '$'],
    ['', ''],
  ])('%s → %s', (text, expected) => {
    const known = new Map(Object.entries({ VAR_A: 'A', VAR_B: 'B' }));
    expect(expand(text, (name) => known.get(name))).toBe(expected);
  });

  test('a text without a dollar sign is itself, and a value is not expanded again', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (text, value) => {
        const plain = text.replaceAll('$', '');
        expect(expand(plain, () => 'x')).toBe(plain);
        expect(expand('<$(A)>', () => value)).toBe(`<${value}>`);
      }),
    );
  });

  test('the names in a text', () => {
    expect(references('$(A) $$(B) $(C_D)-$(A')).toEqual(['A', 'C_D']);
  });
});

describe('quantities', () => {
  test.each([
    ['128Mi', 134_217_728],
    ['1.5Gi', 1_610_612_736],
    ['500m', 0.5],
    ['2', 2],
    ['1e3', 1000],
    ['1k', 1000],
    [7, 7],
  ])('%s is %d', (text, value) => expect(parseQuantity(text)).toBe(value));

  test('what is none', () => {
    for (const text of ['', 'Mi', '1 Mi', '1Mi2', '1e', '-', '1mi']) expect(parseQuantity(text)).toBeUndefined();
  });

  test.each([
    ['500m', undefined, '1'],
    ['500m', '1m', '500'],
    ['128Mi', '1Mi', '128'],
    ['1G', '1Mi', '954'],
    ['0.1', '1m', '100'],
  ])('%s in units of %s is %s', (quantity, divisor, text) => expect(inUnits(quantity, divisor)).toBe(text));

  test('a whole number of units is itself', () => {
    const unit = fc.constantFrom('1', '1k', '1M', '1Ki', '1Mi', '1m');
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000 }), unit, (count, one) => {
        expect(inUnits(`${count}${one.slice(1)}`, one)).toBe(String(count));
      }),
    );
  });
});

test('service links, as in the documentation of Kubernetes', () => {
  const service = (name: string, clusterIP: string, ports: object[]): Service =>
    ({ metadata: { name }, spec: { clusterIP, ports } }) as Service;
  const links = serviceLinks([
    service('redis-primary', '10.0.0.11', [{ port: 6379 }]),
    service('dns', 'fd00::7', [
      { name: 'dns-udp', port: 53, protocol: 'UDP' },
      { name: 'dns-tcp', port: 53, protocol: 'TCP' },
    ]),
    service('headless', 'None', [{ port: 80 }]),
    service('external', '', [{ port: 80 }]),
    service('without-ports', '10.0.0.12', []),
  ]);
  expect(Object.fromEntries(links)).toEqual({
    REDIS_PRIMARY_SERVICE_HOST: '10.0.0.11',
    REDIS_PRIMARY_SERVICE_PORT: '6379',
    REDIS_PRIMARY_PORT: 'tcp://10.0.0.11:6379',
    REDIS_PRIMARY_PORT_6379_TCP: 'tcp://10.0.0.11:6379',
    REDIS_PRIMARY_PORT_6379_TCP_PROTO: 'tcp',
    REDIS_PRIMARY_PORT_6379_TCP_PORT: '6379',
    REDIS_PRIMARY_PORT_6379_TCP_ADDR: '10.0.0.11',
    DNS_SERVICE_HOST: 'fd00::7',
    DNS_SERVICE_PORT: '53',
    DNS_SERVICE_PORT_DNS_UDP: '53',
    DNS_SERVICE_PORT_DNS_TCP: '53',
    DNS_PORT: 'udp://[fd00::7]:53',
    DNS_PORT_53_UDP: 'udp://[fd00::7]:53',
    DNS_PORT_53_UDP_PROTO: 'udp',
    DNS_PORT_53_UDP_PORT: '53',
    DNS_PORT_53_UDP_ADDR: 'fd00::7',
    DNS_PORT_53_TCP: 'tcp://[fd00::7]:53',
    DNS_PORT_53_TCP_PROTO: 'tcp',
    DNS_PORT_53_TCP_PORT: '53',
    DNS_PORT_53_TCP_ADDR: 'fd00::7',
  });
});

describe('the names of workloads', () => {
  test.each([
    ['orders', 'deploy/orders', 'deployments'],
    ['Deployment/orders', 'deploy/orders', 'deployments'],
    ['sts/db', 'sts/db', 'statefulsets'],
    ['cj/nightly', 'cronjob/nightly', 'cronjobs'],
    ['pod/db-0', 'pod/db-0', 'pods'],
  ])('%s is %s', (text, name, resource) => {
    expect(parseWorkload(text, 'env-from')).toMatchObject({ text: name, resource });
  });

  test.each(['', 'deploy/', '/orders', 'svc/orders', 'deploy/orders/main'])("'%s' is refused", (text) => {
    expect(() => parseWorkload(text, 'env-from')).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('the downward API', () => {
  const pod = { namespace: 'shop', name: 'orders-kt-anna', uid: 'u-1', nodeName: 'node-1', hostIp: '10.1.2.3' };
  const template = {
    metadata: { labels: { app: 'orders', tier: 'a "b"' }, annotations: { team: 'x' } },
    spec: { serviceAccountName: 'robot' },
  };

  test.each([
    ['metadata.name', 'orders-kt-anna'],
    ['metadata.namespace', 'shop'],
    ['metadata.uid', 'u-1'],
    ["metadata.labels['app']", 'orders'],
    ["metadata.annotations['none']", ''],
    ['metadata.labels', 'app="orders"\ntier="a \\"b\\""'],
    ['spec.serviceAccountName', 'robot'],
    ['spec.nodeName', 'node-1'],
    ['status.hostIP', '10.1.2.3'],
    ['status.podIP', '127.0.0.1'],
    ['status.somethingNew', undefined],
  ])('%s is %s', (path, value) => expect(fieldValue(path, template, pod)).toBe(value));

  test('limits, and requests that are not set', () => {
    const container = { name: 'main', resources: { limits: { memory: '1Gi' }, requests: { cpu: '250m' } } };
    expect(resourceValue({ resource: 'limits.memory', divisor: '1Mi' }, container)).toBe('1024');
    expect(resourceValue({ resource: 'requests.memory' }, container)).toBe('1073741824');
    expect(resourceValue({ resource: 'requests.cpu', divisor: '1m' }, container)).toBe('250');
    expect(resourceValue({ resource: 'limits.cpu' }, container)).toBeUndefined();
  });
});
