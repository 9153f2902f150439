// The address plan of the playground. 198.18.0.0/15 is reserved for benchmarks (RFC 2544, RFC 6890): no network of a company or a home
// uses it, so an address that leaks out of the playground by mistake leads nowhere. Pure.

/** Pods. */
export const POD_CIDR = '198.18.64.0/20';
/** ClusterIPs. */
export const SERVICE_CIDR = '198.19.64.0/20';
export const NODE_ADDRESS = '198.18.64.1';
export const NODE_NAME = 'playground';
export const API_SERVICE_ADDRESS = '198.19.64.1';
export const DNS_ADDRESS = '198.19.64.10';
export const CLUSTER_DOMAIN = 'cluster.local';

/** Hosts in a /20, without the network's and the broadcast address. */
const HOSTS = 4_094;

/** Hands out the addresses of a /20 in turn, and the freed ones again only after a full round, as runtimes do. */
export class AddressPool {
  readonly #base: number;
  readonly #used = new Set<number>();
  #next: number;

  constructor(cidr: string, first: number) {
    const [a = 0, b = 0, c = 0] = cidr.split(/[./]/).map(Number);
    this.#base = a * 0x1000000 + b * 0x10000 + c * 0x100;
    this.#next = first;
  }

  /** Throws where all are in use. */
  take(): string {
    for (let tries = 0; tries < HOSTS; tries += 1) {
      const host = this.#next;
      this.#next = host >= HOSTS ? 16 : host + 1;
      if (this.#used.has(host)) continue;
      this.#used.add(host);
      return format(this.#base + host);
    }
    throw new Error('no address is free in the playground');
  }

  free(address: string): void {
    this.#used.delete(parse(address) - this.#base);
  }
}

function parse(address: string): number {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  return a * 0x1000000 + b * 0x10000 + c * 0x100 + d;
}

function format(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.');
}

/** Is this IPv4 address one of the /20 `cidr`? */
export function inCidr(address: string, cidr: string): boolean {
  const base = parse(cidr.split('/')[0] ?? '');
  const value = parse(address);
  return value >= base && value < base + 4096;
}
