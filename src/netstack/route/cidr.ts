// Sets of networks in CIDR form (RFC 4632, RFC 4291 §2.3). Strict: `010.1` and `10.0.0.0/33` are refused, not guessed at.
// Used by router.ts and by whoever takes networks from the user.
import { BlockList, isIP, isIPv4 } from 'node:net';
import { KtError } from '../../errors.ts';

export interface Network {
  readonly address: string;
  readonly bits: number;
}

/** `10.0.0.0/8`, `fd00::/8`, or an address alone. Throws USAGE that names `flag` and the text. */
export function parseNetwork(text: string, flag: string): Network {
  const [address = '', length, ...more] = text.trim().split('/');
  const family = isIP(address);
  const longest = family === 4 ? 32 : 128;
  const bits = length === undefined ? longest : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  if (family === 0 || more.length > 0 || Number.isNaN(bits) || bits > longest) {
    throw new KtError('USAGE', `--${flag} takes networks like 10.96.0.0/12 and got '${text}'`);
  }
  return { address, bits };
}

export class NetworkSet {
  readonly #list = new BlockList();
  readonly #texts: string[] = [];

  add({ address, bits }: Network): void {
    this.#list.addSubnet(address, bits, isIPv4(address) ? 'ipv4' : 'ipv6');
    this.#texts.push(`${address}/${bits}`);
  }

  /** False for anything that is no address. */
  has(address: string): boolean {
    const family = isIP(address);
    return family !== 0 && this.#list.check(address, family === 4 ? 'ipv4' : 'ipv6');
  }

  /** In the order in which they were added. */
  toJSON(): string[] {
    return [...this.#texts];
  }
}
