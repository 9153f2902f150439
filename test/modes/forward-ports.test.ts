// F1: the port rules of forward, as kt-connect's users know them, and what is refused.
import { describe, expect, test } from 'vitest';
import { choosePort, type ForwardService } from '../../src/modes/forward-ports.ts';
import { parseForwards } from '../../src/netstack/forward/rules.codec.ts';

const ONE: ForwardService = {
  metadata: { name: 'orders' },
  spec: { clusterIP: '10.96.0.1', ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
};
const MANY: ForwardService = {
  metadata: { name: 'echo' },
  spec: {
    ports: [
      { name: 'web', port: 80, targetPort: 'http' },
      { name: 'admin', port: 9000, targetPort: 8080 },
      { name: 'dns-udp', port: 53, protocol: 'UDP' },
      { name: 'dns', port: 53, protocol: 'TCP' },
    ],
  },
};

/** `local → port protocol`. */
function chosen(service: ForwardService, word?: string, udp = false): string {
  const wish = word === undefined ? undefined : parseForwards(['x', word])[0]?.ports[0];
  const { port, protocol, local, localNamed } = choosePort(service, wish, udp);
  const number = typeof port === 'number' ? port : `port of ${port.portOf.targetPort}`;
  return `${local}${localNamed ? '' : '?'} → ${number} ${protocol}`;
}

describe('a Service with one port', () => {
  test.each([
    [undefined, '80? → 80 TCP'],
    ['80', '80 → 80 TCP'],
    // The target port, as kt-connect's documents have it.
    ['8080', '8080 → 80 TCP'],
    // Neither: the local port.
    ['3000', '3000 → 80 TCP'],
    ['3000:80', '3000 → 80 TCP'],
    ['3000:8080', '3000 → 80 TCP'],
    ['3000:http', '3000 → 80 TCP'],
    [':80', '0 → 80 TCP'],
  ])('%s', (word, expected) => {
    expect(chosen(ONE, word)).toBe(expected);
  });

  test('a port that it does not have is refused, with those that it has', () => {
    expect(() => chosen(ONE, '3000:81')).toThrow('orders has no port 3000:81: it has 80 (http) → 8080');
    expect(() => chosen(ONE, '80/udp')).toThrow('orders has no UDP port: it has 80 (http) → 8080');
    expect(() => chosen(ONE, undefined, true)).toThrow('orders has no UDP port');
  });
});

describe('a Service with several ports', () => {
  test.each([
    ['80', '80 → 80 TCP'],
    ['9000', '9000 → 9000 TCP'],
    ['8080', '8080 → 9000 TCP'],
    ['3000:web', '3000 → 80 TCP'],
    ['3000:http', '3000 → 80 TCP'],
    ['53', '53 → 53 TCP'],
    ['53/udp', '53 → 53 UDP'],
    ['5353:dns-udp', '5353 → 53 UDP'],
  ])('%s', (word, expected) => {
    expect(chosen(MANY, word)).toBe(expected);
  });

  test('--udp: the only UDP port, and numbers are UDP', () => {
    expect(chosen(MANY, undefined, true)).toBe('53? → 53 UDP');
    expect(chosen(MANY, '53', true)).toBe('53 → 53 UDP');
    expect(chosen(MANY, '9000/tcp', true)).toBe('9000 → 9000 TCP');
  });

  test('which one has to be named; the error lists them', () => {
    const list = 'it has 80 (web) → http, 9000 (admin) → 8080, 53 (dns-udp) UDP, 53 (dns)';
    expect(() => chosen(MANY)).toThrow(`name the port of echo: ${list}`);
    expect(() => chosen(MANY, '3000')).toThrow(`echo has no port 3000: ${list}`);
    expect(() => chosen(MANY, '3000:nope')).toThrow(`echo has no port 3000:nope: ${list}`);
  });
});

describe('other kinds', () => {
  test('headless: the name leads to the pods, so their port is dialled', () => {
    const headless: ForwardService = {
      metadata: { name: 'db' },
      spec: {
        clusterIP: 'None',
        ports: [
          { name: 'sql', port: 5432, targetPort: 15_432 },
          { name: 'stats', port: 90, targetPort: 'metrics' },
        ],
      },
    };
    expect(chosen(headless, '5432')).toBe('5432 → 15432 TCP');
    expect(chosen(headless, '9090:stats')).toBe('9090 → port of metrics TCP');
  });

  test('ExternalName: the port of the other end, where no ports are listed', () => {
    const external: ForwardService = { metadata: { name: 'partner' }, spec: { type: 'ExternalName' } };
    expect(chosen(external, '8443:443')).toBe('8443 → 443 TCP');
    expect(chosen(external, '53/udp')).toBe('53 → 53 UDP');
    expect(() => chosen(external)).toThrow('name the port of partner as a number: it has none');
    expect(() => chosen(external, '1:http')).toThrow('name the port of partner as a number');
  });

  test('no ports at all, and SCTP, are refused', () => {
    expect(() => chosen({ metadata: { name: 'x' }, spec: {} })).toThrow('x has no port: it has none');
    const sctp: ForwardService = { metadata: { name: 'x' }, spec: { ports: [{ port: 9, protocol: 'SCTP' }] } };
    expect(() => chosen(sctp, '9')).toThrow('port 9 of x is SCTP');
  });
});
