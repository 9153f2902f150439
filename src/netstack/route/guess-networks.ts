// Guesses the cluster's networks from addresses that were seen in it: nobody with rights in one namespace may ask for them.
// A guess is the network around a seen address, in a range that is never public, and without any address of the laptop's own world.
// Pure; used by router.ts, and shown by `kt route`.
import { BlockList, isIPv4 } from 'node:net';
import { type Network, NetworkSet } from './cidr.ts';

/** Never public: RFC 1918, RFC 6598 (shared), RFC 2544 (benchmarks; some clusters use it). */
const PRIVATE: readonly Network[] = [
  { address: '10.0.0.0', bits: 8 },
  { address: '172.16.0.0', bits: 12 },
  { address: '192.168.0.0', bits: 16 },
  { address: '100.64.0.0', bits: 10 },
  { address: '198.18.0.0', bits: 15 },
];
/** Prefix lengths tried, widest first: usual sizes of Service ranges, of a zone, of a node. 192.168 is many small networks. */
const LENGTHS = [16, 20, 24];

const privateOnes = new NetworkSet();
for (const network of PRIVATE) privateOnes.add(network);

/** The network of `bits` around an IPv4 address. */
function around(address: string, bits: number): Network {
  const value = address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const base = value - (value % 2 ** (32 - bits));
  return { address: [24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join('.'), bits };
}

/** The widest network around `seen` that is private and holds none of `own`; undefined where there is none. */
export function guessNetwork(seen: string, own: readonly string[]): Network | undefined {
  if (!isIPv4(seen) || !privateOnes.has(seen)) return undefined;
  for (const bits of seen.startsWith('192.168.') ? [24] : LENGTHS) {
    const network = around(seen, bits);
    const list = new BlockList();
    list.addSubnet(network.address, network.bits);
    if (!own.some((address) => isIPv4(address) && list.check(address))) return network;
  }
  return undefined;
}
