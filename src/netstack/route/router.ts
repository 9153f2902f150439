// Decides which way a host goes, by ordered rules that can be shown (`kt route HOST`) and that change while kt runs.
//   1 laptop   the laptop's own names and addresses, and the API server's: never in the cluster
//   2 exclude  --excludeIps
//   3 ingress  --ingressIp: hosts of the namespace's Ingresses
//   4 also     --includeDomains: hosts that are reached through the cluster
//   5 name     names of the cluster (cluster-names.ts)
//   6 address  --includeIps, addresses seen in the cluster, networks guessed from them
//   7 outside  the company proxy as configured, or direct
// The rules are in rules.ts; here is what they know. Decides only; routing-dialer.ts dials. Must answer at once: shims wait for it.
import type { ResolveAnswer } from '../dialer.ts';
import { parseHost } from '../target.codec.ts';
import { NetworkSet, parseAddress, parseNetwork } from './cidr.ts';
import { guessNetwork } from './guess-networks.ts';
import type { HostAliases } from './host-aliases.ts';
import { clusterRules, type Host, type Known, outsideRules, type Route, type Rule } from './rules.ts';

export type { Route } from './rules.ts';

export interface RouterOptions {
  readonly namespace: string;
  readonly clusterDomain: string;
  readonly includeIps: readonly string[];
  readonly excludeIps: readonly string[];
  /** Hosts (`db.corp.example`) and suffixes (`.rds.example`) to reach through the cluster. */
  readonly alsoProxy: readonly string[];
  /** Hosts of Ingresses and where they lead. */
  readonly aliases?: HostAliases | undefined;
  /** For HTTPS_PROXY, HTTP_PROXY and NO_PROXY. */
  readonly env: NodeJS.ProcessEnv;
  /** Names and addresses of the laptop and of the API server. */
  readonly ownHosts: readonly string[];
}

export interface Explanation extends Route {
  /** All rules in their order; `matched` is the one that decided. */
  readonly steps: readonly { readonly rule: string; readonly matched: boolean }[];
}

/** Addresses kept; the longest unseen goes first. A namespace of thousands of pods is covered by the guessed networks. */
const SEEN_MAX = 8_192;
/** Guessed networks; more would mean that the guess is wrong. */
const GUESSES_MAX = 64;
const LOOPBACK = ['localhost', '127.0.0.1', '::1', '0.0.0.0', '::'];
/** Where nobody says a port: programs ask for https more than for anything else. */
const ASSUMED_PORT = 443;

export class Router {
  readonly clusterDomain: string;
  readonly #own: ReadonlySet<string>;
  readonly #included: NetworkSet;
  readonly #guessed = new NetworkSet();
  /** Address → was a network guessed from it, or could none be. Longest unseen first. */
  readonly #seen = new Map<string, boolean>();
  #ipv6 = false;
  readonly #alsoProxy: readonly string[];
  readonly #aliases: HostAliases | undefined;
  readonly #services = new Map<string, ReadonlySet<string> | undefined>();
  readonly #rules: readonly Rule[];
  readonly #outside: readonly Rule[];

  /** Throws USAGE on a network that is none. */
  constructor(options: RouterOptions) {
    this.clusterDomain = options.clusterDomain.toLowerCase().replace(/^\.|\.$/g, '');
    this.#own = new Set([...LOOPBACK, ...options.ownHosts].map((host) => parseHost(host) ?? host.toLowerCase()));
    this.#included = new NetworkSet(options.includeIps.map((text) => parseNetwork(text, 'includeIps')));
    this.#alsoProxy = options.alsoProxy
      .map((one) =>
        one
          .trim()
          .toLowerCase()
          .replace(/^\*?\./, '')
          .replace(/\.$/, ''),
      )
      .filter((one) => one !== '');
    this.#aliases = options.aliases;
    this.#services.set(options.namespace, undefined);
    const known: Known = {
      own: this.#own,
      excluded: new NetworkSet(options.excludeIps.map((text) => parseNetwork(text, 'excludeIps'))),
      included: this.#included,
      seen: this.#seen,
      guessed: this.#guessed,
      names: { clusterDomain: this.clusterDomain, namespace: options.namespace, services: this.#services },
      alsoProxy: this.#alsoProxy,
      aliases: this.#aliases,
      env: options.env,
    };
    this.#outside = outsideRules(known);
    this.#rules = [...clusterRules(known, (host) => firstOf(this.#outside, host)), ...this.#outside];
  }

  /** `port` matters only for proxies of the company. */
  route(host: string, port = ASSUMED_PORT): Route {
    return firstOf(this.#rules, readHost(host, port));
  }

  /** The way of a host that turned out not to be the cluster's: company proxy or direct. */
  outside(host: string, port = ASSUMED_PORT): Route {
    return firstOf(this.#outside, readHost(host, port));
  }

  explain(host: string, port = ASSUMED_PORT): Explanation {
    const read = readHost(host, port);
    const deciding = this.#rules.findIndex((rule) => rule.decide(read) !== undefined);
    return {
      ...firstOf(this.#rules, read),
      steps: this.#rules.map((rule, index) => ({ rule: rule.describe(read), matched: index === deciding })),
    };
  }

  /** Also names that the cluster is only asked for first. */
  isClusterName(name: string): boolean {
    return parseAddress(name) === undefined && this.route(name).via === 'cluster';
  }

  isClusterAddress(address: string): boolean {
    return parseAddress(address) !== undefined && this.route(address).via === 'cluster';
  }

  /** The Services of a namespace as they are now. */
  setServices(namespace: string, names: readonly string[]): void {
    this.#services.set(namespace, new Set(names.map((name) => name.toLowerCase())));
  }

  /** This address was seen in the cluster, as a Service's or a pod's. Not believed of the laptop's own. */
  learn(text: string): void {
    const address = this.#foreign(text);
    if (address === undefined) return;
    if (this.#seen.get(address) !== true && !this.#guessed.has(address) && this.#guessed.size < GUESSES_MAX) {
      const network = guessNetwork(address, [...this.#own]);
      if (network) this.#guessed.add(network);
    }
    this.#see(address, true);
  }

  /**
   * The addresses of an answer that the cluster gave. Only those of Services say something of its networks: an ExternalName leads out
   * of it, and for `10-0-0-1.shop.pod.cluster.local` its DNS gives back whatever address the name has in it.
   */
  learnAnswer({ records }: ResolveAnswer): void {
    for (const { type, name, data } of records) {
      if (type !== 'A' && type !== 'AAAA') continue;
      if (name.toLowerCase().endsWith(`.svc.${this.clusterDomain}`)) this.learn(data);
      else {
        const address = this.#foreign(data);
        if (address !== undefined) this.#see(address, this.#seen.get(address) ?? false);
      }
    }
  }

  /** Was an IPv6 address seen in the cluster, or named as one of it? */
  ipv6(): boolean {
    this.#ipv6 ||= this.#included.toJSON().some((network) => network.includes(':'));
    return this.#ipv6;
  }

  /** Networks of the cluster as far as known, for shims. */
  cidrs(): string[] {
    const alone = [...this.#seen.keys()].filter(
      (address) => !this.#guessed.has(address) && !this.#included.has(address),
    );
    return [
      ...this.#included.toJSON(),
      ...this.#guessed.toJSON(),
      // The latest: shims get a list of bounded length.
      ...alone.slice(-GUESSES_MAX).map((address) => (address.includes(':') ? `${address}/128` : `${address}/32`)),
    ];
  }

  /** Suffixes and hosts that only the cluster has, for shims. */
  suffixes(): string[] {
    return ['svc', this.clusterDomain, ...this.#alsoProxy, ...(this.#aliases?.names() ?? [])];
  }

  /** The canonical address, unless it is none or one of the laptop's world. */
  #foreign(text: string): string | undefined {
    const address = parseAddress(text);
    return address === undefined || this.#own.has(address) || address.startsWith('127.') ? undefined : address;
  }

  #see(address: string, considered: boolean): void {
    this.#seen.delete(address);
    this.#seen.set(address, considered);
    this.#ipv6 ||= address.includes(':');
    if (this.#seen.size > SEEN_MAX) this.#seen.delete(this.#seen.keys().next().value ?? '');
  }
}

function readHost(text: string, port: number): Host {
  const name = parseHost(text);
  return { name: name ?? '', isAddress: name !== undefined && parseAddress(name) !== undefined, port };
}

function firstOf(rules: readonly Rule[], host: Host): Route {
  for (const rule of rules) {
    const route = rule.decide(host);
    if (route) return route;
  }
  return { via: 'refuse', rule: 'no rule' };
}
