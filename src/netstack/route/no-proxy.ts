// Which proxy the environment names for a host: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, read as Go's net/http does
// (golang.org/x/net/http/httpproxy), because that is how kubectl and most tools around clusters read them.
// Pure; used by router.ts for everything outside of the cluster, and by cluster/proxy.ts for the API server.
import { isIP, isIPv4 } from 'node:net';
import { domainToASCII } from 'node:url';
import { NetworkSet, parseAddress, readNetwork } from './cidr.ts';

type Matcher = (host: string, address: string | undefined, port: string) => boolean;

const read = (env: NodeJS.ProcessEnv, name: string): string => (env[name] || env[name.toLowerCase()] || '').trim();

/** The proxy for `host`, or undefined: none is set, or NO_PROXY names the host. Loopback never has one. A bad URL counts as none. */
export function environmentProxy(
  host: string,
  port: number,
  scheme: 'http' | 'https',
  env: NodeJS.ProcessEnv,
): URL | undefined {
  const text = read(env, scheme === 'https' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  if (text === '' || bypassesProxy(host, port, read(env, 'NO_PROXY'))) return undefined;
  // A proxy without a scheme is an http one, as for curl.
  return URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`) ?? undefined;
}

/**
 * Does NO_PROXY name this host? Its entries, with commas between: `*`, `example.com` (it and all below), `.example.com` and
 * `*.example.com` (below only), `10.0.0.0/8`, an address; all but networks with `:port` if wanted. Entries that are none of these
 * match nothing. `host`: a name, or an address with or without brackets.
 */
export function bypassesProxy(host: string, port: number, noProxy: string): boolean {
  const name = host
    .trim()
    .toLowerCase()
    .replace(/^\[|\]$/g, '');
  const address = isIP(name) === 0 ? undefined : parseAddress(name);
  if (name === 'localhost' || isLoopback(address)) return true;
  return matchersOf(noProxy).some((matches) => matches(name, address, String(port)));
}

const isLoopback = (address: string | undefined): boolean =>
  address === '::1' || (address !== undefined && isIPv4(address) && address.startsWith('127.'));

// NO_PROXY does not change while kt runs, and it is read for each connection.
let last: { readonly text: string; readonly matchers: readonly Matcher[] } = { text: '', matchers: [] };

function matchersOf(text: string): readonly Matcher[] {
  if (last.text !== text) {
    const entries = text.split(',').map((entry) => entry.trim().toLowerCase());
    last = { text, matchers: entries.flatMap((entry) => matcherOf(entry) ?? []) };
  }
  return last.matchers;
}

function matcherOf(entry: string): Matcher | undefined {
  if (entry === '*') return () => true;
  // Go reads `/08` as 8; readNetwork leaves it to no guess.
  const network = entry.includes('/') ? readNetwork(entry.replace(/\/0+(?=\d)/, '/')) : undefined;
  if (network) {
    const set = new NetworkSet([network]);
    return (_, address) => address !== undefined && set.has(address);
  }
  const { host, port } = splitPort(entry);
  const wanted = isIP(host) === 0 ? undefined : parseAddress(host);
  if (wanted !== undefined) return (_, address, at) => address === wanted && (port === '' || port === at);
  const bare = host.replace(/^\*(?=\.)/, '');
  if (bare === '') return undefined;
  const exact = bare.startsWith('.') ? undefined : toAscii(bare);
  const below = exact === undefined ? `.${toAscii(bare.slice(1))}` : `.${exact}`;
  return (name, address, at) =>
    address === undefined && (name === exact || name.endsWith(below)) && (port === '' || port === at);
}

const toAscii = (name: string): string => (/^[ -~]*$/.test(name) ? name : domainToASCII(name) || name);

/** As Go's net.SplitHostPort: more than one colon without brackets is no port. An entry with a port and no host is empty. */
function splitPort(entry: string): { readonly host: string; readonly port: string } {
  const bracketed = /^\[([^[\]]*)\](?::([^:[\]]*))?$/.exec(entry);
  if (bracketed && bracketed[2] !== undefined) return { host: bracketed[1] ?? '', port: bracketed[2] };
  const plain = /^([^:[\]]*):([^:[\]]*)$/.exec(entry);
  return plain ? { host: plain[1] ?? '', port: plain[2] ?? '' } : { host: entry, port: '' };
}
