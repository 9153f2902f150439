import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { candidates, parseResolvConf, SearchListFile } from '../../../src/netstack/dns/search-list.ts';

const POD = { domains: ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local'], ndots: 5 };

describe('resolv.conf', () => {
  test('of a pod', () => {
    const text =
      'search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n';
    expect(parseResolvConf(text)).toEqual(POD);
  });

  test('comments, tabs, CRLF, final dots, upper case; the last list and the last ndots count', () => {
    const text = '# a\n;b\nsearch old\r\nsearch\tA.example.  b # c\noptions ndots:2 rotate ndots:3\r\ndomain-name x\n';
    expect(parseResolvConf(text)).toEqual({ domains: ['a.example', 'b'], ndots: 3 });
    expect(parseResolvConf('domain corp.example')).toEqual({ domains: ['corp.example'], ndots: 1 });
    expect(parseResolvConf('')).toEqual({ domains: [], ndots: 1 });
  });

  test('absurd values are bounded', () => {
    expect(parseResolvConf('options ndots:99').ndots).toBe(15);
    expect(parseResolvConf('options ndots:-1').ndots).toBe(1);
    expect(parseResolvConf(`search ${Array.from({ length: 100 }, (_, i) => `d${i}`).join(' ')}`).domains.length).toBe(
      32,
    );
  });

  test('any text gives a list', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const { domains, ndots } = parseResolvConf(text);
        expect(ndots).toBeGreaterThanOrEqual(0);
        expect(domains.every((domain) => domain !== '' && !/\s/.test(domain))).toBe(true);
      }),
    );
  });
});

describe('names to ask, in order', () => {
  const cases: [string, string[]][] = [
    ['gateway', ['gateway.shop.svc.cluster.local', 'gateway.svc.cluster.local', 'gateway.cluster.local', 'gateway']],
    ['db-0.db', ['db-0.db.shop.svc.cluster.local', 'db-0.db.svc.cluster.local', 'db-0.db.cluster.local', 'db-0.db']],
    ['gateway.shop.svc.cluster.local', ['gateway.shop.svc.cluster.local']],
    ['Gateway.Shop.SVC.Cluster.Local', ['Gateway.Shop.SVC.Cluster.Local']],
    ['gateway.', ['gateway']],
    ['a.b.c.d.e.f', ['a.b.c.d.e.f', ...POD.domains.map((domain) => `a.b.c.d.e.f.${domain}`)]],
  ];
  for (const [name, expected] of cases) test(name, () => expect(candidates(name, POD)).toEqual(expected));

  test('without a list the name alone', () =>
    expect(candidates('gateway', { domains: [], ndots: 1 })).toEqual(['gateway']));
});

describe('the file', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kt-resolv-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('is read again when it has changed, and says so', () => {
    const path = join(folder, 'resolv.conf');
    let changes = 0;
    writeFileSync(path, 'search one');
    const file = new SearchListFile(path, () => (changes += 1));
    expect(file.read(0)?.domains).toEqual(['one']);
    expect(file.read(10_000)?.domains).toEqual(['one']);
    expect(changes).toBe(0);
    writeFileSync(path, 'search two');
    expect(file.read(11_000)?.domains).toEqual(['one']);
    expect(file.read(20_000)?.domains).toEqual(['two']);
    expect(changes).toBe(1);
    rmSync(path);
    expect(file.read(30_000)).toBeUndefined();
    expect(changes).toBe(2);
  });
});
