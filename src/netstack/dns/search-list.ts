// The search list of /etc/resolv.conf, as a pod has it, and the names to ask for a given name (resolv.conf(5): search, ndots).
// Reads one file; asks nobody. Used by search-resolver.ts.
import { readFileSync, statSync } from 'node:fs';

/** Milliseconds between two looks at the file's time. */
const LOOK_MS = 5_000;
/** glibc takes 6 at most (before 2.26); more would only multiply questions. */
const DOMAINS_MAX = 32;

export interface SearchList {
  readonly domains: readonly string[];
  /** Names with fewer dots are tried with the domains first. */
  readonly ndots: number;
}

/** Parses the text of a resolv.conf. The last `search` counts. */
export function parseResolvConf(text: string): SearchList {
  let domains: string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'search' || keyword === 'domain')
      domains = values.map((value) => value.replace(/\.$/, '')).filter((value) => value !== '');
    if (keyword !== 'options') continue;
    const found = values.find((value) => /^ndots:\d+$/.test(value));
    if (found) ndots = Math.min(15, Number(found.slice('ndots:'.length)));
  }
  return { domains: domains.slice(0, DOMAINS_MAX), ndots };
}

/**
 * The absolute names to ask, in order. A name with a final dot, or one that ends in a domain which only the cluster has, is absolute.
 * Kubernetes sets ndots:5, so even `gateway.shop.svc.cluster.local` would cost three questions more without the second rule.
 */
export function candidates(name: string, { domains, ndots }: SearchList): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const clusterDomain = domains.find((domain) => domain.startsWith('svc.'))?.slice('svc.'.length);
  if (clusterDomain !== undefined && name.endsWith(`.svc.${clusterDomain}`)) return [name];
  const searched = domains.map((domain) => `${name}.${domain}`);
  const dots = name.split('.').length - 1;
  return dots >= ndots ? [name, ...searched] : [...searched, name];
}

/** The list of `file`, read again when the file changes; undefined where there is no such file (macOS without one, Windows). */
export class SearchListFile {
  readonly #file: string;
  #list: SearchList | undefined;
  #changed = -1;
  #looked = Number.NEGATIVE_INFINITY;

  constructor(file = '/etc/resolv.conf') {
    this.#file = file;
  }

  read(): SearchList | undefined {
    const now = performance.now();
    if (now - this.#looked < LOOK_MS) return this.#list;
    this.#looked = now;
    try {
      const { mtimeMs } = statSync(this.#file);
      if (mtimeMs !== this.#changed) this.#list = parseResolvConf(readFileSync(this.#file, 'utf8'));
      this.#changed = mtimeMs;
    } catch {
      this.#list = undefined;
      this.#changed = -1;
    }
    return this.#list;
  }
}
