// The dialer without any detour: sockets of this machine. In the agent's pod it is the way into the cluster's network; on the laptop
// it is the way to everything that is not in the cluster. Passes test/compliance/dialer.ts. Runs on Node 20 too.
import { lookup } from 'node:dns/promises';
import { isIP, isIPv6 } from 'node:net';
import { KtError } from '../../errors.ts';
import type { Connection, DatagramFlow, Dialer, DialOptions, RecordType, ResolveAnswer, Target } from '../dialer.ts';
import { SearchResolver } from '../dns/search-resolver.ts';
import { formatAuthority } from '../target.codec.ts';
import { dialError } from './dial-errors.ts';
import { DialLimit } from './dial-limit.ts';
import { openDatagrams } from './open-datagrams.ts';
import { openFirst, openSocket } from './open-socket.ts';

/** Addresses of one name that are tried; a headless Service may have hundreds. */
const ADDRESSES_MAX = 8;

export interface DirectOptions {
  /** 'system' (default): names by getaddrinfo, as any program. 'search-list': by DNS with the pod's search list, no threads. */
  readonly names?: 'system' | 'search-list';
  readonly resolver?: SearchResolver;
}

export class DirectDialer implements Dialer {
  readonly #resolver: SearchResolver;
  readonly #searches: boolean;

  constructor(options: DirectOptions = {}) {
    this.#searches = options.names === 'search-list';
    this.#resolver = options.resolver ?? new SearchResolver({ system: !this.#searches });
  }

  async dial(target: Target, options: DialOptions = {}): Promise<Connection> {
    const limit = new DialLimit(formatAuthority(target), options);
    try {
      const addresses = await this.#addresses(target, limit);
      const [first = '', ...others] = addresses;
      if (others.length > 0) {
        // Nothing may be sent before it is decided which one it is, so there is nothing to hand out before.
        return { stream: await openFirst(addresses, target, limit), opened: Promise.resolve() };
      }
      const connection = openSocket(first, target, limit);
      connection.opened.catch(() => this.#resolver.doubt(target.host));
      if (options.settle) await connection.opened;
      return connection;
    } catch (error) {
      limit.end();
      this.#resolver.doubt(target.host);
      throw error instanceof KtError ? error : dialError(error as Error, target);
    }
  }

  /** Addresses as `names` has it; SRV, CNAME and PTR by DNS with the search list of this machine. */
  resolve(name: string, type: RecordType, options: DialOptions = {}): Promise<ResolveAnswer> {
    const limit = new DialLimit(`DNS, asked for ${name},`, options);
    return limit.race(this.#resolver.resolve(name, type)).finally(() => limit.end());
  }

  async datagrams(target: Target, options: DialOptions = {}): Promise<DatagramFlow> {
    const limit = new DialLimit(formatAuthority(target), options);
    try {
      const [address = ''] = await this.#addresses(target, limit);
      return await openDatagrams(address, target, limit);
    } finally {
      limit.end();
    }
  }

  /** One at least. */
  async #addresses(target: Target, limit: DialLimit): Promise<readonly string[]> {
    if (isIP(target.host)) return [target.host];
    const work = this.#searches ? this.#resolver.addresses(target.host) : systemAddresses(target);
    const found = await limit.race(work);
    if (found.length === 0) throw new KtError('DIAL_NOT_FOUND', `there is no address for the name ${target.host}`);
    return found.slice(0, ADDRESSES_MAX);
  }
}

async function systemAddresses(target: Target): Promise<string[]> {
  const found = await lookup(target.host, { all: true }).catch((error: Error) => {
    throw dialError(error, target);
  });
  const addresses = [...new Set(found.map((one) => one.address))];
  // The families in turn, as RFC 8305 §4 has it: one of them may lead nowhere.
  const first = addresses[0] ?? '';
  const same = addresses.filter((address) => isIPv6(address) === isIPv6(first));
  const other = addresses.filter((address) => isIPv6(address) !== isIPv6(first));
  return same.flatMap((address, index) => [address, ...other.slice(index, index + 1)]).concat(other.slice(same.length));
}
