// A dialer in which some hosts mean another one (host-aliases.ts): dials and questions for them go there, everything else passes. What is spoken
// inside of the connection keeps the host's own name, so an ingress controller still chooses by it. Called by session/cluster.ts.
import type { Connection, DatagramFlow, Dialer, DialOptions, RecordType, ResolveAnswer, Target } from '../dialer.ts';
import { parseAddress } from './cidr.ts';
import type { HostAliases } from './host-aliases.ts';

/** Seconds: an Ingress that goes is noticed by then. */
const TTL_S = 30;

export class AliasDialer implements Dialer {
  readonly #dialer: Dialer;
  readonly #aliases: HostAliases;

  constructor(dialer: Dialer, aliases: HostAliases) {
    this.#dialer = dialer;
    this.#aliases = aliases;
  }

  dial(target: Target, options?: DialOptions): Promise<Connection> {
    return this.#dialer.dial(this.#meant(target), options);
  }

  datagrams(target: Target, options?: DialOptions): Promise<DatagramFlow> {
    return this.#dialer.datagrams(this.#meant(target), options);
  }

  async resolve(name: string, type: RecordType, options?: DialOptions): Promise<ResolveAnswer> {
    if (!this.#aliases.has(name)) return this.#dialer.resolve(name, type, options);
    const { target } = this.#aliases;
    const address = parseAddress(target);
    if (address !== undefined) {
      const has = address.includes(':') ? 'AAAA' : 'A';
      return { found: true, records: has === type ? [{ type, name, ttl: TTL_S, data: address }] : [] };
    }
    const { records } = await this.#dialer.resolve(target, type, options);
    return { found: true, records: records.filter((one) => one.type === type).map((one) => ({ ...one, name })) };
  }

  #meant(target: Target): Target {
    return this.#aliases.has(target.host) ? { ...target, host: this.#aliases.target } : target;
  }
}
