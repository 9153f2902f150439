import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatAuthority,
  formatIPv6,
  ipv6Bytes,
  isIPv4,
  parseAuthority,
  parseHost,
} from '../../src/netstack/target.codec.ts';

describe('parseHost', () => {
  test.each([
    ['gateway', 'gateway'],
    ['Gateway.Shop.SVC.', 'gateway.shop.svc'],
    ['redis_0.redis', 'redis_0.redis'],
    ['10.96.0.1', '10.96.0.1'],
    ['10.96.0.1.', '10.96.0.1'],
    ['2001:DB8:0:0:0:0:A:B', '2001:db8::a:b'],
    ['[2001:db8::a:b]', '2001:db8::a:b'],
    ['::1', '::1'],
    ['::ffff:10.0.0.7', '10.0.0.7'],
    ['bücher.example', 'xn--bcher-kva.example'],
  ])('%s is %s', (text, host) => {
    expect(parseHost(text)).toBe(host);
  });

  test.each([
    ['', 'nothing'],
    ['.', 'the root'],
    ['a..b', 'an empty label'],
    ['-a', 'a leading hyphen'],
    ['a b', 'a space'],
    ['a\0b', 'a NUL'],
    ['a/b', 'a slash'],
    ['user@host', 'user information'],
    ['127.1', 'a legacy IPv4 form'],
    ['0x7f.0.0.1', 'a legacy IPv4 form'],
    ['010.0.0.1', 'an octal-looking IPv4 form'],
    ['256.0.0.1', 'no IPv4'],
    ['2130706433', 'an IPv4 as one number'],
    ['fe80::1%eth0', 'a scope'],
    [':::', 'no IPv6'],
    ['[::1', 'half a bracket'],
    ['a'.repeat(64), 'a label over 63'],
    [`${'a.'.repeat(127)}aa`, 'a name over 253'],
  ])('%j is refused: %s', (text) => {
    expect(parseHost(text)).toBeUndefined();
  });

  test('property: what it returns, it returns again', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.domain(), fc.ipV4(), fc.ipV6(), fc.string({ unit: 'binary' })), (text) => {
        const host = parseHost(text);
        if (host !== undefined) expect(parseHost(host)).toBe(host);
      }),
    );
  });

  test('property: real names and addresses pass', () => {
    fc.assert(fc.property(fc.domain(), (name) => parseHost(name) === name.toLowerCase()));
    fc.assert(fc.property(fc.ipV4(), (address) => isIPv4(address) && parseHost(address) === address));
    fc.assert(fc.property(fc.ipV6(), (address) => parseHost(address) !== undefined));
  });
});

test('property: the bytes of an IPv6 address give its canonical text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const text = formatIPv6(bytes);
      if (text.includes(':')) expect(ipv6Bytes(text)).toEqual(Buffer.from(bytes));
    }),
  );
});

describe('parseAuthority', () => {
  test.each([
    ['gateway:8080', { host: 'gateway', port: 8080 }],
    ['gateway', { host: 'gateway', port: 80 }],
    ['gateway:', { host: 'gateway', port: 80 }],
    ['[::1]:443', { host: '::1', port: 443 }],
    ['[::1]', { host: '::1', port: 80 }],
    ['10.0.0.1:65535', { host: '10.0.0.1', port: 65_535 }],
  ])('%s', (text, target) => {
    expect(parseAuthority(text, 80)).toEqual(target);
    expect(parseAuthority(formatAuthority(target))).toEqual(target);
  });

  test.each([
    '',
    ':80',
    'a:0',
    'a:65536',
    'a:123456',
    'a:8o',
    'a:-1',
    '::1',
    '::1:80',
    '[::1]x:80',
    '[gateway',
    'a:1:2',
  ])('%j is none', (text) => {
    expect(parseAuthority(text, 80)).toBeUndefined();
  });

  test('without a default the port must be there', () => {
    expect(parseAuthority('gateway')).toBeUndefined();
  });
});
