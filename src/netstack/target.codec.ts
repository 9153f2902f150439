// Text and bytes of a destination: host names, IPv4, IPv6, `host:port`. Sans-io.
// Does not resolve or route. Used by SOCKS5, by the HTTP proxy and by whoever takes a destination from a stranger.
import { domainToASCII } from 'node:url';
import type { Target } from './dialer.ts';

/** RFC 1035 §2.3.4: 255 bytes on the wire are 253 characters of text. */
const NAME_CHARACTERS_MAX = 253;

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);
/** What a resolver can be asked for. Underscores occur in SRV-like and compose names; everything else would be a mistake or an attack. */
const NAME = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)*[a-z0-9_](?:[a-z0-9_-]{0,62})$/;
/** `127.1`, `0x7f.1`, `010.0.0.1`: legacy forms of IPv4 which programs read differently, so nobody could say where they lead. */
const ENDS_IN_NUMBER = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/;

export function isIPv4(host: string): boolean {
  return IPV4.test(host);
}

/** Canonical text of an IPv6 address (RFC 5952), or undefined. A scope (`%eth0`) means nothing in the cluster and is refused. */
function canonicalIPv6(text: string): string | undefined {
  if (!/^[0-9a-f:.]{2,45}$/i.test(text) || !text.includes(':')) return undefined;
  const url = URL.parse(`http://[${text}]/`);
  return url === null ? undefined : url.hostname.slice(1, -1);
}

/**
 * A host as `Target` wants it: lower case, no trailing dot, no brackets, IPv4-mapped IPv6 as IPv4 (dual-stack programs send it),
 * names with other letters in their ASCII form (RFC 5891). undefined where it is none.
 */
export function parseHost(text: string): string | undefined {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (bare.includes(':')) {
    const address = canonicalIPv6(bare);
    return address === undefined ? undefined : formatIPv6(ipv6Bytes(address));
  }
  const ascii = /^[ -~]*$/.test(text) ? text.toLowerCase() : domainToASCII(text);
  const host = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
  if (isIPv4(host)) return host;
  if (host.length === 0 || host.length > NAME_CHARACTERS_MAX) return undefined;
  return NAME.test(host) && !ENDS_IN_NUMBER.test(host) ? host : undefined;
}

/** `host:port`, `[v6]:port`, or without a port where there is a default. undefined where it is none, or the port is not 1-65535. */
export function parseAuthority(text: string, defaultPort?: number): Target | undefined {
  const parts = /^(\[[^\]]*\]|[^:[\]]*)(?::(\d{0,5}))?$/.exec(text);
  const host = parseHost(parts?.[1] ?? '');
  const port = parts?.[2] ? Number(parts[2]) : defaultPort;
  if (host === undefined || port === undefined || port < 1 || port > 65_535) return undefined;
  return { host, port };
}

/** `host:port` with brackets around IPv6. */
export function formatAuthority({ host, port }: Target): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function ipv4Bytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

/** `address` must be valid. */
export function ipv6Bytes(address: string): Buffer {
  const [head = '', tail] = (canonicalIPv6(address) ?? '::').split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [left, right] = [groups(head), groups(tail ?? '')];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of left.entries()) bytes.writeUInt16BE(group, index * 2);
  for (const [index, group] of right.entries()) bytes.writeUInt16BE(group, 16 - (right.length - index) * 2);
  return bytes;
}

/** Text of 16 bytes; an IPv4-mapped address (RFC 4291 §2.5.5.2) becomes IPv4. */
export function formatIPv6(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, 16);
  if (buffer.subarray(0, 12).equals(MAPPED)) return buffer.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => buffer.readUInt16BE(index * 2).toString(16));
  return canonicalIPv6(groups.join(':')) ?? '::';
}

const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');
