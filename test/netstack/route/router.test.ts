import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Router, type RouterOptions } from '../../../src/netstack/route/router.ts';

function router(options: Partial<RouterOptions> = {}): Router {
  return new Router({
    namespace: 'shop',
    clusterDomain: 'cluster.local',
    includeIps: [],
    excludeIps: [],
    alsoProxy: [],
    env: {},
    ownHosts: ['api.example.com', '203.0.113.5', '10.0.3.7', 'devbox'],
    ...options,
  });
}
const PROXY = { HTTPS_PROXY: 'http://proxy.corp:3128', NO_PROXY: 'corp.example.com' };

describe('the order of the rules', () => {
  test('the laptop and the API server are never in the cluster', () => {
    const at = router({ includeIps: ['0.0.0.0/0', '::/0'], alsoProxy: ['api.example.com'] });
    at.setServices('shop', ['devbox', 'localhost']);
    at.learn('203.0.113.5');
    at.learn('127.0.0.9');
    for (const host of [
      'localhost',
      'a.localhost',
      '127.0.0.1',
      '127.9.9.9',
      '::1',
      'api.example.com',
      '203.0.113.5',
      'DevBox',
      '10.0.3.7',
    ])
      expect([host, at.route(host).via]).toEqual([host, 'direct']);
  });

  test('the API server goes by the company proxy where it has to', () => {
    expect(router({ env: PROXY }).route('api.example.com').via).toBe('corporate');
    expect(router({ env: PROXY }).route('localhost').via).toBe('direct');
  });

  test('--excludeIps before everything that would take an address in', () => {
    const at = router({ excludeIps: ['10.96.7.0/24'], includeIps: ['10.96.0.0/12'] });
    at.learn('10.96.7.1');
    expect(at.route('10.96.7.1')).toEqual({ via: 'direct', rule: '--excludeIps' });
    expect(at.route('10.96.8.1')).toEqual({ via: 'cluster', rule: '--includeIps' });
  });

  test('names of Services, live', () => {
    const at = router();
    expect(at.route('orders')).toMatchObject({ via: 'cluster', guess: true });
    at.setServices('shop', ['orders']);
    expect(at.route('orders')).toEqual({ via: 'cluster', rule: 'orders is a Service of shop' });
    at.setServices('shop', []);
    expect(at.route('orders')).toMatchObject({ via: 'cluster', guess: true });
    expect(at.route('vault.locked').guess).toBe(true);
    at.setServices('locked', ['vault']);
    expect(at.route('vault.locked').guess).toBeUndefined();
  });

  test('--includeDomains: a host, and everything below it', () => {
    const at = router({ alsoProxy: ['.rds.example.com', 'db.corp.example', '*.x.example', ' '], env: PROXY });
    for (const host of [
      'a.rds.example.com',
      'rds.example.com',
      'db.corp.example',
      'one.db.corp.example',
      'y.x.example',
    ])
      expect([host, at.route(host)]).toEqual([host, { via: 'cluster', rule: '--includeDomains' }]);
    expect(at.route('xrds.example.com').via).toBe('corporate');
  });

  test('everything else: company proxy, NO_PROXY, direct', () => {
    const at = router({ env: PROXY });
    expect(at.route('registry.npmjs.org')).toEqual({
      via: 'corporate',
      rule: 'outside of the cluster, by the company proxy proxy.corp:3128',
    });
    expect(at.route('git.corp.example.com').via).toBe('direct');
    expect(router().route('registry.npmjs.org').via).toBe('direct');
  });

  test('the port tells which proxy; on others than 80 and 443 whatever is set', () => {
    const http = router({ env: { HTTP_PROXY: 'http://p:1' } });
    expect(http.route('example.com', 80).via).toBe('corporate');
    expect(http.route('example.com', 443).via).toBe('direct');
    expect(http.route('example.com', 8080).via).toBe('corporate');
    const secure = router({ env: { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'example.org:8443' } });
    expect(secure.route('example.com', 80).via).toBe('direct');
    expect(secure.route('example.com', 8443).via).toBe('corporate');
    expect(secure.route('example.org', 8443).via).toBe('direct');
  });

  test('outside(): the way of a guess that was none', () => {
    expect(router({ env: PROXY }).outside('intranet').via).toBe('corporate');
    expect(router().outside('intranet').via).toBe('direct');
  });
});

describe('addresses', () => {
  test('those seen in the cluster, and the private network around them', () => {
    const at = router();
    expect(at.route('10.96.12.34').via).toBe('direct');
    at.learn('10.96.12.34');
    expect(at.route('10.96.12.34').rule).toBe('an address seen in the cluster');
    expect(at.route('10.96.200.1').rule).toBe('in a network around addresses seen in the cluster (10.96.0.0/16)');
    expect(at.route('10.97.0.1').via).toBe('direct');
    expect(at.cidrs()).toEqual(['10.96.0.0/16']);
  });

  test('a guessed network never holds an address of the laptop', () => {
    const at = router();
    at.learn('10.0.200.1');
    expect(at.route('10.0.3.8').via).toBe('direct');
    expect(at.route('10.0.200.9').via).toBe('cluster');
    expect(at.cidrs()).toEqual(['10.0.192.0/20']);
  });

  test('a public address stays alone, and so does IPv6', () => {
    const at = router();
    at.learn('198.51.100.7');
    at.learn('FD00::0:7');
    expect(at.route('198.51.100.8').via).toBe('direct');
    expect(at.route('fd00::7').via).toBe('cluster');
    expect(at.cidrs()).toEqual(['198.51.100.7/32', 'fd00::7/128']);
  });

  test('an IPv4-mapped address is the IPv4 one', () => {
    const at = router({ includeIps: ['10.96.0.0/12'] });
    expect(at.route('::ffff:10.96.1.1').via).toBe('cluster');
    expect(at.isClusterAddress('::ffff:10.96.1.1')).toBe(true);
  });

  test('an answer that leads out of the cluster says nothing of its networks', () => {
    const at = router();
    at.learnAnswer({
      found: true,
      records: [
        { type: 'CNAME', name: 'partner.shop.svc.cluster.local', ttl: 5, data: 'db.corp.example' },
        { type: 'A', name: 'db.corp.example', ttl: 5, data: '10.50.3.4' },
        { type: 'A', name: 'Gateway.shop.svc.Cluster.local', ttl: 5, data: '10.96.1.1' },
      ],
    });
    expect(at.route('10.50.3.4').via).toBe('cluster');
    expect(at.route('10.50.3.5').via).toBe('direct');
    expect(at.route('10.96.1.2').via).toBe('cluster');
    // A pod's address that was first seen in such an answer.
    at.learn('10.50.3.4');
    expect(at.route('10.50.3.5').via).toBe('cluster');
  });

  test("a pod's name by its address proves nothing: any address can be asked for in that way", () => {
    const at = router();
    at.learnAnswer({
      found: true,
      records: [{ type: 'A', name: '10-60-0-1.shop.pod.cluster.local', ttl: 5, data: '10.60.0.1' }],
    });
    expect(at.route('10.60.0.1').via).toBe('cluster');
    expect(at.route('10.60.0.2').via).toBe('direct');
  });

  test('what is no address is not learned', () => {
    const at = router();
    for (const text of ['', 'gateway', '10.1', '999.1.1.1', 'fe80::1%eth0', '0.0.0.0']) at.learn(text);
    expect(at.cidrs()).toEqual([]);
  });

  test('memory is bounded, and the latest stay', () => {
    const at = router();
    for (let index = 0; index < 20_000; index += 1)
      at.learn(`203.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`);
    expect(at.route('203.0.0.0').via).toBe('direct');
    expect(at.route(`203.0.${19_999 >> 8}.${19_999 & 255}`).via).toBe('cluster');
    expect(at.cidrs().length).toBeLessThanOrEqual(64);
    for (let index = 0; index < 256; index += 1) at.learn(`10.${index}.9.9`);
    expect(at.cidrs().length).toBeLessThanOrEqual(128);
  });
});

describe('for shims and people', () => {
  test('suffixes and names', () => {
    const at = router({ clusterDomain: 'K8s.Example.', alsoProxy: ['*.rds.example'] });
    expect(at.suffixes()).toEqual(['svc', 'k8s.example', 'rds.example']);
    expect(at.isClusterName('a.svc.k8s.example')).toBe(true);
    expect(at.isClusterName('example.com')).toBe(false);
    expect(at.isClusterName('10.96.0.1')).toBe(false);
  });

  test('explain: every rule in its order, one of them marked', () => {
    const { via, rule, steps } = router({ env: PROXY }).explain('registry.npmjs.org');
    expect({ via, rule }).toEqual({
      via: 'corporate',
      rule: 'outside of the cluster, by the company proxy proxy.corp:3128',
    });
    expect(steps.map((step) => `${step.matched ? '>' : ' '} ${step.rule}`)).toEqual([
      '  the laptop itself or the API server: never in the cluster',
      '  --excludeIps',
      '  --includeDomains',
      '  a name of the cluster: no name of the cluster',
      '  --includeIps',
      '  an address seen in the cluster',
      '  a network around addresses seen in the cluster (none yet)',
      '> the company proxy (HTTPS_PROXY, HTTP_PROXY, NO_PROXY)',
      '  direct, as without kt',
    ]);
  });

  test('a network that is none is refused with its flag', () => {
    expect(() => router({ includeIps: ['10.0.0.0/33'] })).toThrow(
      "--includeIps takes networks like 10.96.0.0/12 or fd00::/108, and got '10.0.0.0/33'",
    );
    expect(() => router({ excludeIps: ['x'] })).toThrow('--excludeIps');
  });
});

test('any text has a way, and route() and explain() agree', () => {
  const at = router({ env: PROXY, alsoProxy: ['x.example'], includeIps: ['10.0.0.0/8'] });
  at.setServices('shop', ['gateway']);
  const host = fc.oneof(fc.string(), fc.domain(), fc.ipV4(), fc.ipV6(), fc.stringMatching(/^[a-z.]{0,20}$/));
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65_535 }), (text, port) => {
      const { steps, ...route } = at.explain(text, port);
      expect(at.route(text, port)).toEqual(route);
      expect(steps.filter((step) => step.matched).length).toBe(1);
      expect(['cluster', 'corporate', 'direct']).toContain(route.via);
      expect(at.route(text.toUpperCase(), port).via).toBe(at.route(text.toUpperCase().toLowerCase(), port).via);
    }),
    { numRuns: 1_000 },
  );
});
