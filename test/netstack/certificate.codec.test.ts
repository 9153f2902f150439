import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { der, derInteger, derOid, makeServerIdentity } from '../../src/netstack/certificate.codec.ts';

const hex = (bytes: Buffer): string => bytes.toString('hex');

describe('DER', () => {
  test('short and long lengths (X.690 §8.1.3)', () => {
    expect(hex(der(0x04, Buffer.from('ab', 'hex')))).toBe('0401ab');
    expect(hex(der(0x04, Buffer.alloc(127))).slice(0, 4)).toBe('047f');
    expect(hex(der(0x04, Buffer.alloc(128))).slice(0, 6)).toBe('048180');
    expect(hex(der(0x04, Buffer.alloc(256))).slice(0, 8)).toBe('04820100');
    expect(hex(der(0x04, Buffer.alloc(65_536))).slice(0, 10)).toBe('0483010000');
  });

  test('integers are positive and without spare zeros', () => {
    expect(hex(derInteger(Buffer.from([0])))).toBe('020100');
    expect(hex(derInteger(Buffer.from([0, 0, 1])))).toBe('020101');
    expect(hex(derInteger(Buffer.from([0x80])))).toBe('02020080');
    expect(hex(derInteger(Buffer.from([0x7f])))).toBe('02017f');
  });

  test('object identifiers', () => {
    expect(hex(derOid('1.2.840.10045.4.3.2'))).toBe('06082a8648ce3d040302');
    expect(hex(derOid('2.5.29.17'))).toBe('0603551d11');
    expect(hex(derOid('1.3.6.1.5.5.7.3.1'))).toBe('06082b06010505070301');
  });

  test('any content can be read back by its length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70_000 }), (content) => {
        const whole = der(0x30, content);
        const first = whole[1] ?? 0;
        const count = first < 0x80 ? 0 : first & 0x7f;
        const length = count === 0 ? first : whole.readUIntBE(2, count);
        return length === content.length && whole.length === 2 + count + length;
      }),
      { numRuns: 50 },
    );
  });
});

describe('the server identity', () => {
  test('is a certificate for the loopback names, signed by its own key', () => {
    const now = new Date('2031-03-04T05:06:07Z');
    const identity = makeServerIdentity({ now, days: 30 });
    const certificate = new X509Certificate(identity.certificate);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.ca).toBe(true);
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.checkIP('127.0.0.2')).toBeUndefined();
    expect(certificate.checkHost('localhost')).toBe('localhost');
    expect(new Date(certificate.validFrom).toISOString()).toBe('2031-03-04T04:06:07.000Z');
    expect(new Date(certificate.validTo).toISOString()).toBe('2031-04-03T05:06:07.000Z');
  });

  test('has four digits of the year from 2050 on (RFC 5280 §4.1.2.5)', () => {
    const identity = makeServerIdentity({ now: new Date('2049-12-20T00:00:00Z'), days: 30 });
    const certificate = new X509Certificate(identity.certificate);
    expect(new Date(certificate.validTo).toISOString()).toBe('2050-01-19T00:00:00.000Z');
    expect(certificate.raw.toString('latin1')).toContain('491219230000Z');
    expect(certificate.raw.toString('latin1')).toContain('20500119000000Z');
  });

  test('makes a TLS server that a client with this CA trusts, and another does not', async () => {
    const identity = makeServerIdentity({ now: new Date(), days: 1 });
    const server = tls.createServer({ cert: identity.certificate, key: identity.privateKey }, (socket) =>
      socket.end('hello'),
    );
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const client = tls.connect({ host: '127.0.0.1', port, ca: identity.certificate });
    const [greeting] = (await once(client, 'data')) as [Buffer];
    expect(greeting.toString()).toBe('hello');
    expect(client.authorized).toBe(true);
    const stranger = tls.connect({ host: '127.0.0.1', port });
    const [error] = (await once(stranger, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
    server.close();
  });
});
