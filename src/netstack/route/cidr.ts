// Sets of networks in CIDR form (RFC 4632, RFC 4291 §2.3). Strict: `010.1`, `10.0.0.0/33` and `fe80::1%eth0` are refused, not guessed
// at. Pure; used by router.ts, no-proxy.ts and by whoever takes networks from the user.
import { BlockList } from 'node:net';
import { KtError } from '../../errors.ts';
import { formatIPv6, ipv4Bytes, ipv6Bytes, isIPv4, parseHost } from '../target.codec.ts';

export interface Network {
  /** The first address of the network, canonical text. */
  readonly address: string;
  /** Length of the prefix. */
  readonly bits: number;
}

/** Addresses before and after an IPv4 one in its IPv6-mapped form (RFC 4291 §2.5.5.2). */
const MAPPED_BITS = 96;

/** Canonical text of an address (RFC 5952; IPv4-mapped as IPv4), undefined for anything else, scopes (`%eth0`) included. */
export function parseAddress(text: string): string | undefined {
  const host = parseHost(text);
  return host !== undefined && (host.includes(':') || isIPv4(host)) ? host : undefined;
}

/** `10.0.0.0/8`, `fd00::/8`, or an address alone; undefined for anything else. Host bits are cleared: `10.1.2.3/8` is `10.0.0.0/8`. */
export function readNetwork(text: string): Network | undefined {
  const [before = '', length, ...more] = text.split('/');
  const address = /^[0-9a-f.:]+$/i.test(before) ? parseAddress(before) : undefined;
  if (address === undefined || more.length > 0) return undefined;
  const longest = before.includes(':') ? 128 : 32;
  const prefix = length === undefined ? longest : /^(?:0|[1-9]\d{0,2})$/.test(length) ? Number(length) : Number.NaN;
  const bits = before.includes(':') && isIPv4(address) ? prefix - MAPPED_BITS : prefix;
  if (Number.isNaN(prefix) || prefix > longest || bits < 0) return undefined;
  return networkAround(address, bits);
}

/** As readNetwork; throws USAGE that names `flag` and the text. */
export function parseNetwork(text: string, flag: string): Network {
  const network = readNetwork(text.trim());
  if (network === undefined)
    throw new KtError('USAGE', `--${flag} takes networks like 10.96.0.0/12 or fd00::/108, and got '${text}'`);
  return network;
}

/** The network of `bits` that holds `address`. */
export function networkAround(address: string, bits: number): Network {
  const v4 = isIPv4(address);
  const bytes = v4 ? ipv4Bytes(address) : ipv6Bytes(address);
  for (const [index, byte] of bytes.entries()) {
    const kept = Math.max(0, Math.min(8, bits - index * 8));
    bytes[index] = byte & (0xff << (8 - kept));
  }
  return { address: v4 ? bytes.join('.') : formatIPv6(bytes), bits };
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIPv4(address) ? 'ipv4' : 'ipv6');

export const networkText = ({ address, bits }: Network): string => `${address}/${bits}`;

export class NetworkSet {
  // One list a family: in one list `::/0` would hold every IPv4 address, too, by its mapped form.
  readonly #lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  readonly #networks = new Map<string, Network>();

  constructor(networks: Iterable<Network> = []) {
    for (const network of networks) this.add(network);
  }

  get size(): number {
    return this.#networks.size;
  }

  add(network: Network): void {
    const text = networkText(network);
    if (this.#networks.has(text)) return;
    this.#networks.set(text, network);
    const family = familyOf(network.address);
    this.#lists[family].addSubnet(network.address, network.bits, family);
  }

  /** False for anything that is no address. */
  has(text: string): boolean {
    const address = parseAddress(text);
    if (address === undefined) return false;
    const family = familyOf(address);
    return this.#lists[family].check(address, family);
  }

  /** In the order in which they were added. */
  toJSON(): string[] {
    return [...this.#networks.keys()];
  }
}
