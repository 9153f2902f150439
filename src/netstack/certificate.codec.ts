// A self-signed X.509 certificate for a server on loopback: 127.0.0.1, ::1 and localhost, fresh at every start.
// Node can read certificates but not write them, so this holds the few DER forms that one needs (ITU-T X.690, RFC 5280 §4.1).
// It is no general ASN.1 writer. Sans-io. Called by playground/start.ts and session/api-door.ts.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const SEQUENCE = 0x30;
const SET = 0x31;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const BOOLEAN = 0x01;

/** One element: tag, length (short form below 128, else the long form), content. */
export function der(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 128) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length: number[] = [];
  for (let rest = body.length; rest > 0; rest >>>= 8) length.unshift(rest & 0xff);
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length, ...length]), body]);
}

/** A positive INTEGER of these big-endian bytes: leading zeros go, and one comes back where the sign bit would be set. */
export function derInteger(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const value = bytes.subarray(start);
  return (value[0] ?? 0) >= 0x80 ? der(INTEGER, Buffer.from([0]), value) : der(INTEGER, value);
}

/** `1.2.840.10045.4.3.2` → OBJECT IDENTIFIER (base 128, the first two arcs in one number). */
export function derOid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(OBJECT_IDENTIFIER, Buffer.from(bytes));
}

/** YYMMDDHHMMSSZ before 2050, with four digits of the year from then on (RFC 5280 §4.1.2.5). */
function derTime(at: Date): Buffer {
  const text = `${at.toISOString().replace(/[-:T]|\..*/g, '')}Z`;
  return at.getUTCFullYear() < 2050
    ? der(UTC_TIME, Buffer.from(text.slice(2)))
    : der(GENERALIZED_TIME, Buffer.from(text));
}

function derBits(bytes: Uint8Array): Buffer {
  return der(BIT_STRING, Buffer.from([0]), bytes);
}

function extension(oid: string, critical: boolean, value: Uint8Array): Buffer {
  const flag = critical ? [der(BOOLEAN, Buffer.from([0xff]))] : [];
  return der(SEQUENCE, derOid(oid), ...flag, der(OCTET_STRING, value));
}

function alternativeNames(names: readonly string[], addresses: readonly Uint8Array[]): Buffer {
  const entries = [...names.map((name) => der(0x82, Buffer.from(name))), ...addresses.map((ip) => der(0x87, ip))];
  return extension('2.5.29.17', false, der(SEQUENCE, ...entries));
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').replace(/(.{64})(?=.)/g, '$1\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

export interface ServerIdentity {
  /** PEM. The certificate is its own authority: clients trust it as CA. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly privateKey: string;
}

/** ECDSA P-256, valid from an hour before `now` (clock skew of virtual machines) for `days`. */
export function makeServerIdentity(options: {
  readonly now: Date;
  readonly days: number;
  /** Its subject, for people. */
  readonly name?: string;
}): ServerIdentity {
  const keys = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const algorithm = der(SEQUENCE, derOid('1.2.840.10045.4.3.2')); // ecdsa-with-SHA256
  const name = der(
    SEQUENCE,
    der(SET, der(SEQUENCE, derOid('2.5.4.3'), der(UTF8_STRING, Buffer.from(options.name ?? 'kt playground')))),
  );
  const from = new Date(options.now.getTime() - 3_600_000);
  const to = new Date(options.now.getTime() + options.days * 86_400_000);
  const loopback6 = Buffer.alloc(16);
  loopback6[15] = 1;
  const extensions = der(
    SEQUENCE,
    extension('2.5.29.19', true, der(SEQUENCE, der(BOOLEAN, Buffer.from([0xff])))), // CA, so that it may stand as its own root
    extension('2.5.29.15', true, der(BIT_STRING, Buffer.from([2, 0x84]))), // digitalSignature, keyCertSign
    extension('2.5.29.37', false, der(SEQUENCE, derOid('1.3.6.1.5.5.7.3.1'))), // serverAuth
    alternativeNames(['localhost', 'kubernetes.default.svc'], [Buffer.from([127, 0, 0, 1]), loopback6]),
  );
  const toBeSigned = der(
    SEQUENCE,
    der(0xa0, derInteger(Buffer.from([2]))), // v3
    derInteger(randomBytes(16)),
    algorithm,
    name,
    der(SEQUENCE, derTime(from), derTime(to)),
    name,
    keys.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  );
  const signature = sign('sha256', toBeSigned, keys.privateKey);
  return {
    certificate: pem('CERTIFICATE', der(SEQUENCE, toBeSigned, algorithm, derBits(signature))),
    privateKey: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
