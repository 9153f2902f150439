// Resolves names as a program in the same pod would: the search list expanded here, questions by c-ares, so that no thread of
// getaddrinfo waits. Gives records with their TTL; a chain of CNAMEs is followed and given as the addresses of the name that was asked.
// Runs in the agent's pod and serves its dials too. On the laptop, addresses come from getaddrinfo, as for any program (`system`).
// Not a DNS server: server.ts.
import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { KtError } from '../../errors.ts';
import type { DnsRecord, RecordType, ResolveAnswer } from '../dialer.ts';
import { candidates, type SearchList, SearchListFile } from './search-list.ts';

/** Milliseconds for one question and how often it is asked: cluster DNS answers in one, or lost a packet. */
const QUESTION = { timeout: 2_000, tries: 3 };
/** Seconds for records whose TTL is not told (SRV, PTR, CNAME, getaddrinfo): what CoreDNS gives to cluster names is 5 to 30. */
const TTL_S = 5;
/** Questions on their way at once; equal ones are asked once. */
const QUESTIONS_MAX = 1_024;

const NONE: ResolveAnswer = { found: false, records: [] };
/** The name can't exist, or does not. */
const ABSENT = new Set(['ENOTFOUND', 'EBADNAME']);

export interface SearchResolverOptions {
  readonly file?: SearchListFile;
  /** Addresses by getaddrinfo (hosts file, mDNS, VPN rules) instead of DNS alone. */
  readonly system?: boolean;
  /** `address:port` of the servers instead of those of resolv.conf. */
  readonly servers?: readonly string[];
}

export class SearchResolver {
  readonly #file: SearchListFile;
  readonly #options: SearchResolverOptions;
  readonly #asking = new Map<string, Promise<ResolveAnswer>>();
  #resolver: Resolver;
  #list: SearchList | undefined;

  constructor(options: SearchResolverOptions = {}) {
    this.#options = options;
    this.#file = options.file ?? new SearchListFile();
    this.#list = this.#file.read();
    this.#resolver = this.#newResolver();
  }

  /** `name`: without a final dot; PTR takes an address. Rejects with DIAL_TIMEOUT or DIAL_FAILED where DNS itself fails. */
  resolve(name: string, type: RecordType): Promise<ResolveAnswer> {
    const key = `${type} ${name}`;
    const asking = this.#asking.get(key);
    if (asking) return asking;
    if (this.#asking.size >= QUESTIONS_MAX)
      return Promise.reject(new KtError('DIAL_FAILED', 'too many names are being resolved at once'));
    const answer = this.#search(name, type).finally(() => this.#asking.delete(key));
    this.#asking.set(key, answer);
    return answer;
  }

  /** Addresses to dial, IPv4 first (clusters are); empty where the name does not exist or has none. */
  async addresses(name: string): Promise<string[]> {
    if (isIP(name)) return [name];
    const ipv4 = await this.resolve(name, 'A');
    // A name that is not there has no IPv6 address either; getaddrinfo can't tell the two cases apart.
    const over = ipv4.records.length > 0 || (!ipv4.found && !this.#bySystem());
    const found = over ? ipv4 : await this.resolve(name, 'AAAA');
    return found.records.filter((record) => record.type === 'A' || record.type === 'AAAA').map((record) => record.data);
  }

  #bySystem(): boolean {
    return this.#options.system === true || this.#list === undefined;
  }

  #newResolver(): Resolver {
    const resolver = new Resolver(QUESTION);
    if (this.#options.servers) resolver.setServers(this.#options.servers);
    return resolver;
  }

  async #search(name: string, type: RecordType): Promise<ResolveAnswer> {
    const list = this.#file.read();
    if (list !== this.#list) {
      // The file has changed (VPN, another network), and c-ares reads its servers only once.
      this.#list = list;
      this.#resolver = this.#newResolver();
    }
    if (type === 'PTR') return this.#ask(name, type);
    if (this.#bySystem() && (type === 'A' || type === 'AAAA')) return this.#system(name, type);
    let failure: unknown;
    for (const candidate of list ? candidates(name, list) : [name]) {
      try {
        const answer = await this.#ask(candidate, type);
        // Also where it has no record of this type (NODATA): a name further down the list would be another host.
        if (answer.found) return answer;
      } catch (error) {
        // A broken domain in the list must not hide the names behind it. A server that is silent is silent for all of them.
        failure ??= error;
        if (error instanceof KtError && error.code === 'DIAL_TIMEOUT') break;
      }
    }
    if (failure !== undefined) throw failure;
    return NONE;
  }

  async #ask(name: string, type: RecordType): Promise<ResolveAnswer> {
    try {
      return { found: true, records: await this.#records(name, type) };
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      // The name is there, without a record of this type.
      if (code === 'ENODATA') return { found: true, records: [] };
      // PTR: not an address.
      if (ABSENT.has(code) || code === 'EINVAL') return NONE;
      if (code === 'ETIMEOUT')
        throw new KtError('DIAL_TIMEOUT', `the DNS servers did not answer for ${name}`, { cause: error });
      throw new KtError('DIAL_FAILED', `the DNS servers failed for ${name}: ${message}`, { cause: error });
    }
  }

  async #records(name: string, type: RecordType): Promise<DnsRecord[]> {
    const plain = (data: string): DnsRecord => ({ type, name, ttl: TTL_S, data });
    const timed = ({ address, ttl }: { address: string; ttl: number }): DnsRecord => ({
      type,
      name,
      ttl,
      data: address,
    });
    switch (type) {
      case 'A':
        return (await this.#resolver.resolve4(name, { ttl: true })).map(timed);
      case 'AAAA':
        return (await this.#resolver.resolve6(name, { ttl: true })).map(timed);
      case 'SRV':
        return (await this.#resolver.resolveSrv(name)).map((one) =>
          plain(`${one.priority} ${one.weight} ${one.port} ${one.name}`),
        );
      case 'CNAME':
        return (await this.#resolver.resolveCname(name)).map(plain);
      case 'PTR':
        return (await this.#resolver.reverse(name)).map(plain);
    }
  }

  /** getaddrinfo: knows addresses only, and no TTL. */
  async #system(name: string, type: 'A' | 'AAAA'): Promise<ResolveAnswer> {
    try {
      const found = await lookup(name, { all: true, family: type === 'A' ? 4 : 6 });
      return { found: true, records: found.map(({ address }) => ({ type, name, ttl: TTL_S, data: address })) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAI_AGAIN')
        throw new KtError('DIAL_TIMEOUT', `the DNS servers did not answer for ${name}`, { cause: error });
      return NONE;
    }
  }
}
