// The search list of /etc/resolv.conf, as a pod has it, and the names to ask for a given name (resolv.conf(5): search, ndots).
// Reads one file; asks nobody. Used by search-resolver.ts.
import { readFileSync } from 'node:fs';

/** Milliseconds between two looks at the file. */
const LOOK_MS = 5_000;
/** Kubernetes allows 32 (KEP-2595), older ones and glibc before 2.26 allow 6; more would only multiply questions. */
const DOMAINS_MAX = 32;
/** As glibc: RES_MAXNDOTS. */
const NDOTS_MAX = 15;

export interface SearchList {
  readonly domains: readonly string[];
  /** Names with fewer dots are tried with the domains first. */
  readonly ndots: number;
}

/** Parses the text of a resolv.conf. The last `search` or `domain` counts. Lines that are none of these are skipped. */
export function parseResolvConf(text: string): SearchList {
  let domains: string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'search' || keyword === 'domain')
      domains = values.map((value) => value.replace(/\.$/, '').toLowerCase()).filter((value) => value !== '');
    if (keyword !== 'options') continue;
    const found = values.findLast((value) => /^ndots:\d+$/.test(value));
    if (found) ndots = Math.min(NDOTS_MAX, Number(found.slice('ndots:'.length)));
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
  if (clusterDomain !== undefined && name.toLowerCase().endsWith(`.svc.${clusterDomain}`)) return [name];
  const searched = domains.map((domain) => `${name}.${domain}`);
  const dots = name.split('.').length - 1;
  return dots >= ndots ? [name, ...searched] : [...searched, name];
}

/** The list of `file`, read again when the file changes. */
export class SearchListFile {
  readonly #file: string;
  readonly #onChange: () => void;
  #text: string | undefined;
  #list: SearchList | undefined;
  #looked = Number.NEGATIVE_INFINITY;

  /** `onChange` is called in `read`, when the file is another one than before, not at the first time. */
  constructor(file: string, onChange: () => void) {
    this.#file = file;
    this.#onChange = onChange;
  }

  /** Undefined where there is no such file: Windows. */
  read(now = performance.now()): SearchList | undefined {
    if (now - this.#looked < LOOK_MS) return this.#list;
    const first = this.#looked === Number.NEGATIVE_INFINITY;
    this.#looked = now;
    const text = this.#content();
    if (text === this.#text) return this.#list;
    this.#text = text;
    this.#list = text === undefined ? undefined : parseResolvConf(text);
    if (!first) this.#onChange();
    return this.#list;
  }

  #content(): string | undefined {
    try {
      return readFileSync(this.#file, 'utf8');
    } catch {
      return undefined;
    }
  }
}
