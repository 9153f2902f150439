// Which proxy the environment names for a host: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, read as Go's net/http does
// (golang.org/x/net/http/httpproxy), because that is how kubectl reads them. Pure; used by router.ts and for the API server.
import { isIP } from 'node:net';
import { NetworkSet, parseNetwork } from './cidr.ts';

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
 * NO_PROXY: `*`, `example.com` (it and below), `.example.com` (below only), `10.0.0.0/8`, an address, each with `:port` if wanted.
 * Entries that are none of these are skipped.
 */
export function bypassesProxy(host: string, port: number, noProxy: string): boolean {
  const name = host
    .toLowerCase()
    .replace(/\.$/, '')
    .replace(/^\[|\]$/g, '');
  if (name === 'localhost' || name === '::1' || /^127\./.test(name)) return true;
  return noProxy.split(',').some((raw) => matches(raw.trim().toLowerCase(), name, port));
}

function matches(entry: string, name: string, port: number): boolean {
  if (entry === '') return false;
  if (entry === '*') return true;
  if (entry.includes('/')) return inNetwork(entry, name);
  const withPort = /^(.+|\[.+\]):(\d+)$/.exec(entry);
  const bracketed = /^\[(.+)\]$/.exec(withPort?.[1] ?? entry)?.[1];
  if (isIP(entry) !== 0) return entry === name;
  if (withPort && Number(withPort[2]) !== port) return false;
  const wanted = bracketed ?? withPort?.[1] ?? entry;
  if (isIP(wanted) !== 0) return wanted === name;
  if (isIP(name) !== 0) return false;
  const bare = wanted.replace(/^\*(?=\.)/, '');
  return bare.startsWith('.') ? name.endsWith(bare) : name === bare || name.endsWith(`.${bare}`);
}

function inNetwork(entry: string, name: string): boolean {
  if (isIP(name) === 0) return false;
  try {
    const set = new NetworkSet();
    set.add(parseNetwork(entry, 'NO_PROXY'));
    return set.has(name);
  } catch {
    return false;
  }
}
