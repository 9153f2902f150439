// Hosts that all mean one destination: those of a namespace's Ingresses, which lead to its ingress controller. Exact names, and wildcards for one
// label, as Ingress has them (https://kubernetes.io/docs/concepts/services-networking/ingress/#hostname-wildcards). Knows no kind of object.
// Filled by session/cluster.ts; read by the router's rule and by alias-dialer.ts.

import { KtError } from '../../errors.ts';
import { parseHost } from '../target.codec.ts';

export class HostAliases {
  /** An address, or a name that the cluster knows. */
  readonly target: string;
  #exact: ReadonlySet<string> = new Set();
  #wildcards: ReadonlySet<string> = new Set();

  /** Throws USAGE on a destination that is neither an address nor a name. */
  constructor(target: string) {
    const host = parseHost(target);
    if (host === undefined)
      throw new KtError('USAGE', `--ingressIp takes an address or the name of a Service and got '${target}'`);
    this.target = host;
  }

  /** Takes the place of those before. `*.shop.example` is a wildcard. */
  set(hosts: readonly string[]): void {
    const lower = hosts.map((host) => host.toLowerCase());
    this.#exact = new Set(lower.filter((host) => !host.startsWith('*.')));
    this.#wildcards = new Set(lower.filter((host) => host.startsWith('*.')).map((host) => host.slice(1)));
  }

  has(name: string): boolean {
    const host = name.toLowerCase();
    const dot = host.indexOf('.');
    return this.#exact.has(host) || (dot > 0 && this.#wildcards.has(host.slice(dot)));
  }

  /** Without the wildcards. */
  names(): string[] {
    return [...this.#exact];
  }
}
