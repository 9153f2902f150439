// Decides which way a host goes, by ordered rules that can be shown (`kt route HOST`) and that change while kt runs.
//   1 laptop   the laptop's own names and addresses, and the API server's: never in the cluster
//   2 exclude  --excludeIps
//   3 name     names of the cluster (cluster-names.ts)
//   4 address  --includeIps, addresses seen in the cluster, networks guessed from them
//   5 also     --includeDomains: hosts that are reached through the cluster
//   6 outside  the corporate proxy as configured, or direct
// Decides only; routing-dialer.ts dials. Must answer at once: shims wait for it.
import { isIP } from 'node:net';
import { NetworkSet, parseNetwork } from './cidr.ts';
import { judgeName, type Verdict } from './cluster-names.ts';
import { guessNetwork } from './guess-networks.ts';
import { environmentProxy } from './no-proxy.ts';

export interface RouterOptions {
  readonly namespace: string;
  readonly clusterDomain: string;
  readonly includeIps: readonly string[];
  readonly excludeIps: readonly string[];
  /** Hosts (`db.corp.example`) and suffixes (`.rds.example`) to reach through the cluster. */
  readonly alsoProxy: readonly string[];
  /** For HTTPS_PROXY, HTTP_PROXY and NO_PROXY. */
  readonly env: NodeJS.ProcessEnv;
  /** Names and addresses of the laptop and of the API server. */
  readonly ownHosts: readonly string[];
}

export interface Route {
  readonly via: 'cluster' | 'corporate' | 'direct' | 'refuse';
  /** The rule that made it so, for people. */
  readonly rule: string;
  /** By its look only: where the cluster does not know the name, the laptop's own way is taken. */
  readonly guess?: boolean;
}

export interface Explanation extends Route {
  readonly steps: readonly { readonly rule: string; readonly matched: boolean }[];
}

/** Addresses kept; the longest unseen goes first. A namespace of thousands of pods is covered by the guessed networks. */
const SEEN_MAX = 8_192;
/** Guessed networks; more would mean that the guess is wrong. */
const GUESSES_MAX = 64;
const LOOPBACK = ['localhost', '127.0.0.1', '::1', '0.0.0.0', '::'];

export class Router {
  readonly clusterDomain: string;
  readonly #options: RouterOptions;
  readonly #own: ReadonlySet<string>;
  readonly #included = new NetworkSet();
  readonly #excluded = new NetworkSet();
  readonly #guessed = new NetworkSet();
  readonly #seen = new Set<string>();
  readonly #namespaces: Set<string>;
  #services: ReadonlySet<string> | undefined;

  /** Throws USAGE on a network that is none. */
  constructor(options: RouterOptions) {
    this.#options = options;
    this.clusterDomain = options.clusterDomain;
    this.#own = new Set([...LOOPBACK, ...options.ownHosts].map((host) => host.toLowerCase()));
    this.#namespaces = new Set([options.namespace]);
    for (const text of options.includeIps) this.#included.add(parseNetwork(text, 'includeIps'));
    for (const text of options.excludeIps) this.#excluded.add(parseNetwork(text, 'excludeIps'));
  }

  route(host: string): Route {
    const { via, rule, guess } = this.explain(host);
    return { via, rule, ...(guess ? { guess } : {}) };
  }

  /** Every rule up to the one that matched. */
  explain(host: string): Explanation {
    const name = host.toLowerCase().replace(/\.$/, '');
    const steps: { rule: string; matched: boolean }[] = [];
    const look = (rule: string, matched: boolean): boolean => {
      steps.push({ rule, matched });
      return matched;
    };
    const result = (via: Route['via'], rule: string, guess = false): Explanation => ({
      via,
      rule,
      steps,
      ...(guess ? { guess } : {}),
    });
    const loopback = this.#own.has(name) || name.endsWith('.localhost') || /^127\.\d+\.\d+\.\d+$/.test(name);
    if (look('the laptop itself or the API server', loopback))
      return result('direct', 'the laptop itself or the API server');
    if (isIP(name)) {
      const rule = this.#address(name, look);
      if (rule) return rule.via === 'direct' ? this.#outside(name, result, look) : result(rule.via, rule.rule);
    } else {
      const verdict = this.#name(name);
      if (look(`a name of the cluster: ${verdict.rule}`, verdict.cluster !== 'no'))
        return result('cluster', verdict.rule, verdict.cluster === 'guess');
    }
    if (look('--includeDomains', this.#also(name))) return result('cluster', '--includeDomains');
    return this.#outside(name, result, look);
  }

  /** Also names that the cluster is only asked for first. */
  isClusterName(name: string): boolean {
    return !isIP(name) && this.route(name).via === 'cluster';
  }

  isClusterAddress(address: string): boolean {
    return isIP(address) !== 0 && this.route(address).via === 'cluster';
  }

  /** The Services of a namespace as they are now. */
  setServices(namespace: string, names: readonly string[]): void {
    this.#namespaces.add(namespace);
    if (namespace === this.#options.namespace) this.#services = new Set(names.map((name) => name.toLowerCase()));
  }

  /** This address was seen in the cluster. Not believed of the laptop's own. */
  learn(address: string): void {
    if (isIP(address) === 0 || this.#own.has(address)) return;
    const known = this.#seen.delete(address);
    this.#seen.add(address);
    if (known) return;
    if (this.#seen.size > SEEN_MAX) this.#seen.delete(this.#seen.values().next().value ?? '');
    if (this.#guessed.has(address) || this.#guessed.toJSON().length >= GUESSES_MAX) return;
    const network = guessNetwork(address, [...this.#own]);
    if (network) this.#guessed.add(network);
  }

  /** Networks of the cluster as far as known, for shims. */
  cidrs(): string[] {
    const alone = [...this.#seen].filter((address) => !this.#guessed.has(address) && !this.#included.has(address));
    return [
      ...this.#included.toJSON(),
      ...this.#guessed.toJSON(),
      ...alone.slice(0, GUESSES_MAX).map((address) => (address.includes(':') ? `${address}/128` : `${address}/32`)),
    ];
  }

  /** Suffixes and hosts that only the cluster has, for shims. */
  suffixes(): string[] {
    return ['svc', this.clusterDomain, ...this.#options.alsoProxy.map((one) => one.replace(/^\*?\./, ''))];
  }

  #name(name: string): Verdict {
    return judgeName(name, {
      clusterDomain: this.clusterDomain,
      namespaces: this.#namespaces,
      services: this.#services,
    });
  }

  #address(address: string, look: (rule: string, matched: boolean) => boolean): Route | undefined {
    if (look('--excludeIps', this.#excluded.has(address))) return { via: 'direct', rule: '--excludeIps' };
    if (look('--includeIps', this.#included.has(address))) return { via: 'cluster', rule: '--includeIps' };
    if (look('an address seen in the cluster', this.#seen.has(address)))
      return { via: 'cluster', rule: 'an address seen in the cluster' };
    const guesses = `a network of addresses seen in the cluster (${this.#guessed.toJSON().join(', ') || 'none yet'})`;
    if (look(guesses, this.#guessed.has(address))) return { via: 'cluster', rule: guesses };
    return undefined;
  }

  #also(name: string): boolean {
    return this.#options.alsoProxy.some((one) => {
      const bare = one.toLowerCase().replace(/^\*?\./, '');
      return name === bare || name.endsWith(`.${bare}`);
    });
  }

  #outside(
    name: string,
    result: (via: Route['via'], rule: string) => Explanation,
    look: (rule: string, matched: boolean) => boolean,
  ): Explanation {
    const proxy =
      environmentProxy(name, 443, 'https', this.#options.env) ?? environmentProxy(name, 80, 'http', this.#options.env);
    if (look('the corporate proxy (HTTPS_PROXY, NO_PROXY)', proxy !== undefined))
      return result('corporate', `outside of the cluster, by the corporate proxy ${proxy?.host ?? ''}`);
    look('direct, as without kt', true);
    return result('direct', 'outside of the cluster, as without kt');
  }
}
