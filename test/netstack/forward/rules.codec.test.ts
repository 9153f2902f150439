import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import {
  FORWARDS_MAX,
  type ForwardRequest,
  ownAddress,
  parseForwards,
} from '../../../src/netstack/forward/rules.codec.ts';

/** `host [local:remote/protocol …]`, short. */
const short = ({ host, isService, ports }: ForwardRequest): string =>
  [
    `${isService ? 'svc/' : ''}${host}`,
    ...ports.map(
      ({ local, remote, protocol }) =>
        `${local ?? '-'}:${remote ?? '-'}${protocol === undefined ? '' : `/${protocol}`}`,
    ),
  ].join(' ');
const read = (...words: string[]): string[] => parseForwards(words).map(short);

describe('words of kt forward', () => {
  test.each([
    [['orders'], ['orders']],
    [['orders', '8080'], ['orders 8080:-']],
    [['orders', '8080:80'], ['orders 8080:80']],
    [['orders', '8080:http'], ['orders 8080:http']],
    [['orders', ':80'], ['orders 0:80']],
    [['orders', '0:80'], ['orders 0:80']],
    [['svc/orders', '8080:80', '9000'], ['svc/orders 8080:80 9000:-']],
    [['service/orders', '8080:80,9000:90'], ['svc/orders 8080:80 9000:90']],
    [['orders:80'], ['orders 80:-']],
    [['orders:8080:80'], ['orders 8080:80']],
    [['orders:http'], ['orders -:http']],
    [
      ['orders', 'stock', '8080', 'db:5432'],
      ['orders', 'stock 8080:-', 'db 5432:-'],
    ],
    [['dns', '53/udp', '53/tcp', '5353:53/UDP'], ['dns 53:-/UDP 53:-/TCP 5353:53/UDP']],
    [['dns:53/udp'], ['dns 53:-/UDP']],
    [['db.company.lan:5432'], ['db.company.lan 5432:-']],
    [['DB.Company.lan.', '15432:5432'], ['db.company.lan 15432:5432']],
    [['10.0.0.7:5432'], ['10.0.0.7 5432:-']],
    [['10.0.0.7', '5432'], ['10.0.0.7 5432:-']],
    [['[fd00::7]:5432'], ['fd00::7 5432:-']],
    [['fd00::7', '1:2'], ['fd00::7 1:2']],
    [['db-0.db:8080'], ['db-0.db 8080:-']],
    [['1password:443'], ['1password 443:-']],
  ])('%j', (words, expected) => {
    expect(read(...words)).toEqual(expected);
  });

  test.each([
    [['8080'], "'8080' is a port, and no Service or address stands before it"],
    [[], 'name a Service or an address'],
    [['', ' '], 'name a Service or an address'],
    [['deploy/orders'], "'deploy/orders' is not NAME, svc/NAME or ADDRESS:PORT"],
    [['svc/'], "'svc/' is not"],
    [['svc/db.company.lan'], "'svc/db.company.lan' is not"],
    [['orders', '0'], 'ports go from 1 to 65535'],
    [['orders', '65536'], 'ports go from 1 to 65535'],
    [['orders', '8080:0'], 'ports go from 1 to 65535'],
    [['orders', '99999:80'], 'ports go from 0 to 65535'],
    [['orders:80:90:100'], 'is not NAME'],
    [['orders', '80/sctp'], "'80/sctp' is not"],
    [['http://orders'], 'is not NAME'],
    [['a b'], 'is not NAME'],
    [['0x7f.1:80'], 'is not NAME'],
    [
      ['orders', ...Array.from({ length: FORWARDS_MAX + 1 }, (_, index) => String(1000 + index))],
      'more than 256 ports',
    ],
  ])('%j is refused', (words, message) => {
    expect(() => parseForwards(words)).toThrow(message);
  });

  test('whatever the words are, they are read or refused with USAGE', () => {
    const piece = fc.oneof(
      fc.string({ unit: fc.constantFrom(...'abz019:/.,-[]é %'.split('')), maxLength: 12 }),
      fc.constantFrom('8080', '80:http', 'svc/a', '[::1]', '::', '53/udp'),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (words) => {
        try {
          for (const { host, ports } of parseForwards(words)) {
            expect(host).not.toBe('');
            for (const { local = 1 } of ports) expect(local >= 0 && local < 65_536).toBe(true);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(KtError);
          expect((error as KtError).code).toBe('USAGE');
        }
      }),
    );
  });
});

describe("--own-ip's addresses", () => {
  test('the same for a name on every laptop, loopback, and never where others listen', () => {
    expect(ownAddress('db.shop')).toBe(ownAddress('db.shop'));
    expect(ownAddress('db.shop')).not.toBe(ownAddress('db.test'));
    expect(ownAddress('db.shop', 1)).not.toBe(ownAddress('db.shop'));
    fc.assert(
      fc.property(fc.string(), fc.nat(3), (name, turn) => {
        const [first = 0, second = 0, third = -1, fourth = 0] = ownAddress(name, turn).split('.').map(Number);
        expect(first).toBe(127);
        expect(second > 0 && second < 255 && third >= 0 && third < 256 && fourth > 0 && fourth < 255).toBe(true);
      }),
    );
  });
});
