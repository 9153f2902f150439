// SOCKS4 and SOCKS4a CONNECT (no RFC; the OpenSSH and Tor dialect): some old database tools know nothing else. Sans-io.
// No BIND, no ident check: the user id is read over. Called by socks5.machine.ts for a first byte of 4.
import type { Target } from '../dialer.ts';
import { parseHost } from '../target.codec.ts';

export const VERSION_4 = 0x04;
/** Characters of user id and of name: as SOCKS5 allows. */
const FIELD_BYTES_MAX = 255;

/** VN, CD, DSTPORT, DSTIP, USERID, 0 and, where the address is 0.0.0.x with x > 0, the name and 0. */
export function parseSocks4(
  buffer: Buffer,
): { command: number; target: Target; bytes: number } | { malformed: string } | undefined {
  if (buffer.length < 9) return undefined;
  const userEnd = buffer.indexOf(0, 8);
  if ((userEnd === -1 ? buffer.length : userEnd) - 8 > FIELD_BYTES_MAX) return { malformed: 'the user id is too long' };
  if (userEnd === -1) return undefined;
  const [command, port, address] = [buffer.readUInt8(1), buffer.readUInt16BE(2), buffer.subarray(4, 8)];
  if (port === 0) return { malformed: 'port 0 can not be dialled' };
  const isName = address.readUIntBE(0, 3) === 0 && address[3] !== 0;
  if (!isName) return { command, target: { host: address.join('.'), port }, bytes: userEnd + 1 };
  const nameEnd = buffer.indexOf(0, userEnd + 1);
  if ((nameEnd === -1 ? buffer.length : nameEnd) - userEnd - 1 > FIELD_BYTES_MAX)
    return { malformed: 'the name is too long' };
  if (nameEnd === -1) return undefined;
  const host = parseHost(buffer.toString('utf8', userEnd + 1, nameEnd));
  return host === undefined
    ? { malformed: 'the name is not a host name' }
    : { command, target: { host, port }, bytes: nameEnd + 1 };
}

/** 90 granted, 91 rejected or failed: SOCKS4 has no finer word. */
export function encodeSocks4Reply(granted: boolean): Buffer {
  return Buffer.from([0x00, granted ? 90 : 91, 0, 0, 0, 0, 0, 0]);
}
