// The messages of SOCKS5 (RFC 1928) and of its user/password method (RFC 1929), bytes to values and back. Sans-io, no order of
// messages: that is socks5.machine.ts. Every parser returns undefined while bytes are missing and never throws.
import type { KtError } from '../../errors.ts';
import type { Target } from '../dialer.ts';
import { formatIPv6, ipv4Bytes, ipv6Bytes, isIPv4, parseHost } from '../target.codec.ts';

export const VERSION = 0x05;
export const METHOD = { none: 0x00, password: 0x02, unacceptable: 0xff } as const;
export const COMMAND = { connect: 0x01, bind: 0x02, associate: 0x03 } as const;
const ADDRESS = { ipv4: 0x01, name: 0x03, ipv6: 0x04 } as const;

/** RFC 1928 §6. */
export const REPLY = {
  succeeded: 0x00,
  generalFailure: 0x01,
  notAllowed: 0x02,
  networkUnreachable: 0x03,
  hostUnreachable: 0x04,
  refused: 0x05,
  ttlExpired: 0x06,
  commandNotSupported: 0x07,
  addressTypeNotSupported: 0x08,
} as const;

/** A message that can't be understood. `reply` is what the client is told, where the RFC has a word for it. */
export interface Malformed {
  readonly malformed: string;
  readonly reply: number;
}

/** VER, NMETHODS, METHODS (§3). `bytes` is the message's length. */
export function parseGreeting(buffer: Buffer): { methods: Buffer; bytes: number } | undefined {
  const count = buffer[1];
  if (count === undefined || buffer.length < 2 + count) return undefined;
  return { methods: buffer.subarray(2, 2 + count), bytes: 2 + count };
}

/** VER 1, ULEN, UNAME, PLEN, PASSWD (RFC 1929 §2). */
export function parsePassword(
  buffer: Buffer,
): { username: string; password: string; bytes: number } | Malformed | undefined {
  if (buffer.length === 0) return undefined;
  if (buffer[0] !== 0x01) return { malformed: 'the user/password message is not of version 1', reply: 0x01 };
  const nameLength = buffer[1];
  if (nameLength === undefined) return undefined;
  const passwordLength = buffer[2 + nameLength];
  if (passwordLength === undefined) return undefined;
  const bytes = 3 + nameLength + passwordLength;
  if (buffer.length < bytes) return undefined;
  return {
    username: buffer.toString('utf8', 2, 2 + nameLength),
    password: buffer.toString('utf8', 3 + nameLength, bytes),
    bytes,
  };
}

/** VER, CMD, RSV, ATYP, DST.ADDR, DST.PORT (§4). For UDP ASSOCIATE the address may be all zeros, so port 0 is allowed here. */
export function parseRequest(
  buffer: Buffer,
): { command: number; target: Target; bytes: number } | Malformed | undefined {
  if (buffer.length > 0 && buffer[0] !== VERSION) {
    return { malformed: `the request has version ${buffer[0]}, not 5`, reply: REPLY.generalFailure };
  }
  if (buffer.length < 4) return undefined;
  const command = buffer.readUInt8(1);
  const address = parseAddress(buffer, 3);
  if (address === undefined || 'malformed' in address) return address;
  return { command, target: address.target, bytes: address.end };
}

/** ATYP, ADDR, PORT at `offset`; `end` is the offset after them. */
function parseAddress(buffer: Buffer, offset: number): { target: Target; end: number } | Malformed | undefined {
  const start = offset + 1;
  let length: number;
  let text: (end: number) => string | undefined;
  switch (buffer[offset]) {
    case undefined:
      return undefined;
    case ADDRESS.ipv4:
      length = 4;
      text = (end) => buffer.subarray(start, end).join('.');
      break;
    case ADDRESS.ipv6:
      length = 16;
      text = (end) => formatIPv6(buffer.subarray(start, end));
      break;
    case ADDRESS.name: {
      const nameLength = buffer[start];
      if (nameLength === undefined) return undefined;
      length = 1 + nameLength;
      text = (end) => parseHost(buffer.toString('utf8', start + 1, end));
      break;
    }
    default:
      return { malformed: `address type ${buffer[offset]} is not known`, reply: REPLY.addressTypeNotSupported };
  }
  const end = start + length;
  if (buffer.length < end + 2) return undefined;
  const host = text(end);
  if (host === undefined) return { malformed: 'the name is not a host name', reply: REPLY.hostUnreachable };
  return { target: { host, port: buffer.readUInt16BE(end) }, end: end + 2 };
}

export function encodeMethod(method: number): Buffer {
  return Buffer.from([VERSION, method]);
}

/** RFC 1929 §2: 0 is success, anything else failure. */
export function encodePasswordReply(accepted: boolean): Buffer {
  return Buffer.from([0x01, accepted ? 0x00 : 0x01]);
}

/** Always whole (10 bytes, 22 for IPv6): clients read the address also of a refusal. Without a bound address it is 0.0.0.0:0. */
export function encodeReply(reply: number, bound: Target = { host: '0.0.0.0', port: 0 }): Buffer {
  return Buffer.concat([Buffer.from([VERSION, reply, 0x00]), encodeAddress(bound)]);
}

function encodeAddress({ host, port }: Target): Buffer {
  const tail = Buffer.from([port >> 8, port & 0xff]);
  if (isIPv4(host)) return Buffer.concat([Buffer.from([ADDRESS.ipv4]), ipv4Bytes(host), tail]);
  if (host.includes(':')) return Buffer.concat([Buffer.from([ADDRESS.ipv6]), ipv6Bytes(host), tail]);
  const name = Buffer.from(host, 'utf8');
  return Buffer.concat([Buffer.from([ADDRESS.name, name.length]), name, tail]);
}

/** RSV, FRAG, address, DATA (§7). undefined for everything that must be dropped: cut off, garbage, port 0, fragments. */
export function parseDatagram(datagram: Buffer): { target: Target; data: Buffer } | undefined {
  if (datagram.length < 4 || datagram.readUInt16BE(0) !== 0 || datagram[2] !== 0) return undefined;
  const address = parseAddress(datagram, 3);
  if (address === undefined || 'malformed' in address || address.target.port === 0) return undefined;
  return { target: address.target, data: datagram.subarray(address.end) };
}

/** The header in front of a datagram to the client. A name stays a name: its address is known in the cluster only. */
export function encodeDatagramHeader(target: Target): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 0]), encodeAddress(target)]);
}

/**
 * The reply that says best what happened. A timeout is 06, as in Tor: curl prints the number, and 04 would read as a wrong name.
 * A lost link is 03: it is the network between here and there that is gone.
 */
export function replyFor(error: KtError): number {
  switch (error.code) {
    case 'DIAL_REFUSED':
      return REPLY.refused;
    case 'DIAL_NOT_FOUND':
      return REPLY.hostUnreachable;
    case 'DIAL_UNREACHABLE':
      return isNetworkUnreachable(error) ? REPLY.networkUnreachable : REPLY.hostUnreachable;
    case 'DIAL_TIMEOUT':
      return REPLY.ttlExpired;
    case 'DIAL_DENIED':
      return REPLY.notAllowed;
    case 'LINK_LOST':
    case 'LINK_DEAD':
    case 'LINK_PARKED':
      return REPLY.networkUnreachable;
    case 'UNSUPPORTED':
      return REPLY.commandNotSupported;
    default:
      return REPLY.generalFailure;
  }
}

/** The agent's text carries the system's code, as Node's own messages do (`connect ENETUNREACH 10.0.0.1:80`). */
function isNetworkUnreachable(error: KtError): boolean {
  const cause = error.cause instanceof Error && 'code' in error.cause ? error.cause.code : undefined;
  return cause === 'ENETUNREACH' || error.message.includes('ENETUNREACH');
}
