// Guesses the cluster's networks from addresses that were seen in it: nobody with rights in one namespace may ask for them.
// A guess is the network around a seen address, in a range that is never public, and without any address of the laptop's own world.
// Pure; used by router.ts, and shown by `kt route`.
import { isIPv4 } from 'node:net';
import { type Network, NetworkSet, networkAround, parseNetwork } from './cidr.ts';

/** Never public: RFC 1918, RFC 6598 (shared), RFC 2544 (benchmarks; some clusters use it). */
const PRIVATE = new NetworkSet(
  ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '198.18.0.0/15'].map((text) =>
    parseNetwork(text, 'private'),
  ),
);
/** Prefix lengths tried, widest first: usual sizes of Service ranges, of a zone, of a node. 192.168 is many small networks. */
const LENGTHS = [16, 20, 24];

/** The widest network around `seen` that is private and holds none of `own`; undefined where there is none. */
export function guessNetwork(seen: string, own: readonly string[]): Network | undefined {
  if (!isIPv4(seen) || !PRIVATE.has(seen)) return undefined;
  return (seen.startsWith('192.168.') ? [24] : LENGTHS)
    .map((bits) => networkAround(seen, bits))
    .find((network) => {
      const set = new NetworkSet([network]);
      return !own.some((address) => set.has(address));
    });
}
