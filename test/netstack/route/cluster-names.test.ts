import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgeName, type KnownNames } from '../../../src/netstack/route/cluster-names.ts';

const listed: KnownNames = {
  clusterDomain: 'cluster.local',
  namespace: 'shop',
  services: new Map([
    ['shop', new Set(['gateway', 'db', 'io'])],
    ['dev', undefined],
    ['info', undefined],
  ]),
};
/** The user may not list Services. */
const blind: KnownNames = { ...listed, services: new Map([['shop', undefined]]) };

describe('with the Services of the namespace known', () => {
  const cases: [string, 'yes' | 'guess' | 'no'][] = [
    ['gateway', 'yes'],
    ['gateway.shop', 'yes'],
    ['gateway.shop.svc', 'yes'],
    ['gateway.shop.svc.cluster.local', 'yes'],
    ['db-0.db', 'yes'],
    ['db-0.db.shop', 'yes'],
    ['db-0.db.shop.svc', 'yes'],
    ['db-0.db.shop.svc.cluster.local', 'yes'],
    ['10-244-0-7.shop.pod.cluster.local', 'yes'],
    ['_http._tcp.gateway', 'yes'],
    ['_http._tcp.gateway.shop', 'yes'],
    ['_http._tcp.gateway.shop.svc.cluster.local', 'yes'],
    ['cluster.local', 'yes'],
    // Made a moment ago, or of a namespace that nobody has named yet: asked first.
    ['late', 'guess'],
    ['late.shop', 'yes'],
    ['api.dev', 'yes'],
    ['vault.locked', 'guess'],
    ['10-244-0-7.shop.pod', 'guess'],
    ['a.b.staging', 'guess'],
    // A Service or a namespace that is called as a public domain is.
    ['x.io', 'yes'],
    ['api.info', 'guess'],
    // Others'.
    ['example.com', 'no'],
    ['github.de', 'no'],
    ['www.example.com', 'no'],
    ['a.b.c.d', 'no'],
    ['registry.npmjs.org', 'no'],
    ['printer.local', 'no'],
    ['notcluster.local', 'no'],
    ['svc', 'guess'],
    ['a.svc.example.com', 'no'],
  ];
  for (const [name, expected] of cases)
    test(`${name}: ${expected}`, () => expect(judgeName(name, listed).cluster).toBe(expected));
});

describe('where Services can not be listed', () => {
  const cases: [string, 'yes' | 'guess' | 'no'][] = [
    ['gateway', 'guess'],
    ['gateway.shop', 'yes'],
    ['db-0.db', 'guess'],
    ['db-0.db.shop', 'yes'],
    ['gateway.svc', 'yes'],
    ['example.com', 'no'],
  ];
  for (const [name, expected] of cases)
    test(`${name}: ${expected}`, () => expect(judgeName(name, blind).cluster).toBe(expected));
});

test('another cluster domain', () => {
  const other = { ...listed, clusterDomain: 'k8s.corp.example' };
  expect(judgeName('gateway.shop.svc.k8s.corp.example', other).cluster).toBe('yes');
  expect(judgeName('www.corp.example', other).cluster).not.toBe('yes');
});

test('every form of a Service or pod is a name of the cluster, and every verdict has words', () => {
  const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,20}[a-z0-9])?$/);
  fc.assert(
    fc.property(label, label, label, (pod, service, namespace) => {
      const known = { ...listed, services: new Map([...listed.services, ['shop', new Set([service])]]) };
      for (const name of [
        service,
        `${service}.shop`,
        `${service}.${namespace}.svc`,
        `${service}.${namespace}.svc.cluster.local`,
        `${pod}.${service}.shop`,
        `${pod}.${service}.${namespace}.svc.cluster.local`,
      ]) {
        const verdict = judgeName(name, known);
        expect([name, verdict.cluster]).toEqual([name, 'yes']);
        expect(verdict.rule).not.toBe('');
      }
      expect(judgeName(`${pod}.${service}.${namespace}.com`, known).cluster).toBe('no');
    }),
  );
});
