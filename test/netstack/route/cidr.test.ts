import { BlockList } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import {
  NetworkSet,
  networkAround,
  networkText,
  parseAddress,
  parseNetwork,
  readNetwork,
} from '../../../src/netstack/route/cidr.ts';

describe('networks as text', () => {
  const good: [string, string][] = [
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['10.96.0.1', '10.96.0.1/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['fd00::/8', 'fd00::/8'],
    ['FD00:0:0::12/108', 'fd00::/108'],
    ['::1', '::1/128'],
    ['::/0', '::/0'],
    ['::ffff:10.1.2.3/104', '10.0.0.0/8'],
  ];
  for (const [text, expected] of good)
    test(`${text} is ${expected}`, () => expect(networkText(parseNetwork(text, 'includeIps'))).toBe(expected));

  const bad = [
    '',
    '/',
    '/8',
    '010.1',
    '10.1',
    '010.0.0.1/8',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/8.0',
    '10.0.0.256/8',
    '0x0a.0.0.0/8',
    'fd00::/129',
    'fe80::1%eth0/64',
    '[fd00::]/8',
    '::ffff:10.0.0.0/95',
    'example.com',
    'example.com/8',
    '10.0.0.0 /8',
    '１０.0.0.0/8',
  ];
  for (const text of bad) {
    test(`'${text}' is refused, and named`, () => {
      const parse = (): unknown => parseNetwork(text, 'excludeIps');
      expect(parse).toThrow(KtError);
      expect(parse).toThrow(expect.objectContaining({ code: 'USAGE' }));
      expect(parse).toThrow(`'${text}'`);
      expect(parse).toThrow('--excludeIps');
    });
  }

  test('any text: refused, or canonical and stable', () => {
    const nearly = fc.stringMatching(/^[0-9a-f:.]{0,20}(\/[0-9]{0,4})?$/);
    fc.assert(
      fc.property(fc.oneof(fc.string(), nearly, fc.ipV4(), fc.ipV6()), (text) => {
        const network = readNetwork(text);
        if (network === undefined) return;
        expect(readNetwork(networkText(network))).toEqual(network);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('sets', () => {
  const prefix = fc.oneof(
    fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })),
    fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })),
  );

  test('hold what node:net holds, each family apart', () => {
    fc.assert(
      fc.property(prefix, fc.oneof(fc.ipV4(), fc.ipV6()), ([base, bits], address) => {
        const network = readNetwork(`${base}/${bits}`);
        const canonical = parseAddress(address);
        if (network === undefined || canonical === undefined) return;
        const family = network.address.includes(':') ? 'ipv6' : 'ipv4';
        const list = new BlockList();
        list.addSubnet(network.address, network.bits, family);
        const same = canonical.includes(':') === (family === 'ipv6');
        expect(new NetworkSet([network]).has(address)).toBe(same && list.check(canonical, family));
      }),
      { numRuns: 1_000 },
    );
  });

  test('a network holds the address that it was made around', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), (address, bits) => {
        const network = networkAround(address, bits);
        expect(new NetworkSet([network]).has(address)).toBe(true);
        expect(networkAround(network.address, bits)).toEqual(network);
      }),
    );
  });

  test('forms of one address are one address; what is no address is in no network', () => {
    const set = new NetworkSet([parseNetwork('10.0.0.0/8', 'x'), parseNetwork('fd00::/8', 'x')]);
    for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '::ffff:0a01:0203', 'FD12::1'])
      expect(set.has(address)).toBe(true);
    for (const text of ['', 'x', '10.1', '11.0.0.1', 'fe80::1%lo', '10.0.0.0/8']) expect(set.has(text)).toBe(false);
  });

  test('twice the same is once', () => {
    const set = new NetworkSet([parseNetwork('10.0.0.0/8', 'x'), parseNetwork('10.2.0.0/8', 'x')]);
    expect(set.toJSON()).toEqual(['10.0.0.0/8']);
    expect(set.size).toBe(1);
  });
});
