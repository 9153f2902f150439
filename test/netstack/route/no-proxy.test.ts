// The expectations are what Go 1.26's golang.org/x/net/http/httpproxy answers to the same questions.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bypassesProxy, environmentProxy } from '../../../src/netstack/route/no-proxy.ts';

describe('NO_PROXY', () => {
  // [entry, host, port, goes around the proxy]
  const cases: [string, string, number, boolean][] = [
    ['example.com', 'example.com', 443, true],
    ['example.com', 'www.example.com', 443, true],
    ['example.com', 'notexample.com', 443, false],
    ['Example.COM', 'EXAMPLE.com', 443, true],
    ['.example.com', 'www.example.com', 443, true],
    ['.example.com', 'example.com', 443, false],
    ['*.example.com', 'www.example.com', 443, true],
    ['*.example.com', 'example.com', 443, false],
    ['*example.com', 'example.com', 443, false],
    ['com', 'example.com', 443, true],
    ['example.com:443', 'example.com', 443, true],
    ['example.com:443', 'example.com', 80, false],
    ['example.com:', 'example.com', 80, true],
    ['[example.com]:443', 'example.com', 443, true],
    ['*', 'example.com', 443, true],
    ['*', '10.0.0.1', 443, true],
    ['*:443', 'example.com', 443, false],
    ['10.0.0.0/8', '10.1.2.3', 443, true],
    ['10.0.0.0/08', '10.1.2.3', 443, true],
    ['10.0.0.0/8', '11.1.2.3', 443, false],
    ['10.0.0.0/33', '10.1.2.3', 443, false],
    ['10.0.0.1', '10.0.0.1', 443, true],
    ['10.0.0.1:443', '10.0.0.1', 443, true],
    ['10.0.0.1:443', '10.0.0.1', 80, false],
    ['::ffff:10.0.0.1', '10.0.0.1', 443, true],
    ['.1', '10.0.0.1', 443, false],
    ['fd00::/8', 'fd00::1', 443, true],
    ['fd00:0::1', 'FD00::1', 443, true],
    ['[fd00::1]:443', '[fd00::1]', 443, true],
    ['[fd00::1]', 'fd00::1', 443, false],
    ['::/0', '10.0.0.1', 443, false],
    ['0.0.0.0/0', '10.0.0.1', 443, true],
    [':443', 'example.com', 443, false],
    ['a:b:c', 'a', 443, false],
    ['', 'example.com', 443, false],
    [' , ,x', 'example.com', 443, false],
    [' example.com ', 'example.com', 443, true],
    ['x,example.com', 'example.com', 443, true],
    ['', 'localhost', 443, true],
    ['', '127.0.0.1', 443, true],
    ['', '127.255.0.9', 443, true],
    ['', '[::1]', 443, true],
    ['', '127.example.com', 443, false],
    ['', 'foo.localhost', 443, false],
  ];
  for (const [entry, host, port, around] of cases) {
    test(`'${entry}': ${host}:${port} ${around ? 'goes around' : 'takes the proxy'}`, () =>
      expect(bypassesProxy(host, port, entry)).toBe(around));
  }

  test('any text is read; an entry counts the same among others', () => {
    const part = fc.oneof(fc.stringMatching(/^[a-z0-9.*:[\]/-]{0,12}$/), fc.string());
    fc.assert(
      fc.property(fc.array(part, { minLength: 1 }), fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6()), (parts, host) => {
        const entries = parts.map((one) => one.replaceAll(',', ''));
        const any = entries.some((entry) => bypassesProxy(host, 443, entry));
        expect(bypassesProxy(host, 443, entries.join(','))).toBe(any);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the proxy for a host', () => {
  const env = { HTTPS_PROXY: 'http://secure:3128', http_proxy: 'plain:8080', NO_PROXY: 'corp.example,10.0.0.0/8' };
  const proxy = (host: string, scheme: 'http' | 'https'): string | undefined =>
    environmentProxy(host, scheme === 'http' ? 80 : 443, scheme, env)?.host;

  test('by scheme, in upper or lower case, with or without http://', () => {
    expect(proxy('example.com', 'https')).toBe('secure:3128');
    expect(proxy('example.com', 'http')).toBe('plain:8080');
  });

  test('none where NO_PROXY says so, for the laptop itself, or where none is set', () => {
    for (const host of ['git.corp.example', '10.1.1.1', 'localhost', '127.0.0.1', '::1'])
      expect(proxy(host, 'https')).toBeUndefined();
    expect(environmentProxy('example.com', 443, 'https', { HTTP_PROXY: 'http://p:1' })).toBeUndefined();
    expect(environmentProxy('example.com', 443, 'https', {})).toBeUndefined();
  });

  test('an empty variable is as if it were not set; the other case counts then', () => {
    expect(environmentProxy('a.b', 443, 'https', { HTTPS_PROXY: '', https_proxy: 'http://p:1' })?.port).toBe('1');
  });

  test('user and password stay in it; a text that is no URL counts as none', () => {
    expect(environmentProxy('a.b', 443, 'https', { HTTPS_PROXY: 'http://u:p%40@proxy:1' })?.password).toBe('p%40');
    expect(environmentProxy('a.b', 443, 'https', { HTTPS_PROXY: 'http://[' })).toBeUndefined();
  });
});
