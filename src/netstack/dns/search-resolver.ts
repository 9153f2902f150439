// Resolves names as a program in the same pod would: the search list expanded here, questions by c-ares, so that no thread of
// getaddrinfo waits. Gives records with their TTL. Runs in the agent's pod and serves its dials too. On the laptop addresses come from
// getaddrinfo, as for any program (`system`). Not a DNS server: server.ts.
import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { KtError } from '../../errors.ts';
import type { DnsRecord, RecordType, ResolveAnswer } from '../dialer.ts';
import { candidates, SearchListFile } from './search-list.ts';

/** Milliseconds for the first try of a question, doubled by each next one: 7 s in all, less than a dial's 10 s. */
const QUESTION = { timeout: 1_000, tries: 3 };
/** Seconds for records whose TTL is not told (SRV, PTR, CNAME, getaddrinfo): what CoreDNS gives to cluster names is 5 to 30. */
const TTL_S = 5;
/** Questions on their way at once; equal ones are asked once. */
const QUESTIONS_MAX = 1_024;
/** Answers kept, and for how many milliseconds at most: connections come in bursts, and a Service may be made again. */
const KEPT_MAX = 1_024;
const KEPT_MS = 5_000;
/** Records of an answer that is kept; a headless Service of thousands of pods is asked again. */
const KEPT_RECORDS_MAX = 256;

const NONE: ResolveAnswer = { found: false, records: [] };
/** c-ares' words for "there is no such name". */
const ABSENT = new Set(['ENOTFOUND', 'ENOTIMP', 'EBADNAME', 'ENONAME']);

export interface SearchResolverOptions {
  /** Default: /etc/resolv.conf. */
  readonly file?: string;
  /** `address:port` of DNS servers. Default: the system's. */
  readonly servers?: readonly string[];
  /** Addresses by getaddrinfo (hosts file, mDNS, rules of a VPN) instead of DNS alone. */
  readonly system?: boolean;
}

interface Kept {
  readonly answer: ResolveAnswer;
  readonly until: number;
}

export class SearchResolver {
  readonly #servers: readonly string[] | undefined;
  readonly #bySystem: boolean;
  readonly #file: SearchListFile;
  readonly #asking = new Map<string, Promise<ResolveAnswer>>();
  /** Only answers with records. Least recently made first. */
  readonly #kept = new Map<string, Kept>();
  #resolver: Resolver;
  #turn = 0;

  constructor({ file = '/etc/resolv.conf', servers, system = false }: SearchResolverOptions = {}) {
    this.#servers = servers;
    this.#bySystem = system;
    this.#resolver = this.#newResolver();
    // c-ares reads the system's servers when it is made; a VPN that comes or goes changes them.
    this.#file = new SearchListFile(file, () => {
      this.#resolver = this.#newResolver();
      this.#kept.clear();
    });
  }

  /**
   * `name`: without a final dot; PTR takes an address. For A and AAAA a name that is an alias is given as CNAME too.
   * Rejects with DIAL_TIMEOUT or DIAL_FAILED where DNS itself fails.
   */
  async resolve(name: string, type: RecordType): Promise<ResolveAnswer> {
    const answer = await this.#once(name, type);
    const addresses = (type === 'A' || type === 'AAAA') && !this.#bySystem;
    return addresses && answer.records.length > 0 ? this.#withAlias(answer) : answer;
  }

  /** Addresses to dial: IPv4 where there are any (clusters are), in turns; empty where the name does not exist. */
  async addresses(name: string): Promise<string[]> {
    if (isIP(name)) return [name];
    const ipv4 = await this.#once(name, 'A');
    // A name that is not there has no IPv6 address either.
    const { records } = ipv4.records.length > 0 || !ipv4.found ? ipv4 : await this.#once(name, 'AAAA');
    this.#turn = (this.#turn + 1) % 0x1_0000;
    const start = records.length === 0 ? 0 : this.#turn % records.length;
    return [...records.slice(start), ...records.slice(0, start)].map((record) => record.data);
  }

  /** A dial to this name failed: the next one asks again. */
  doubt(name: string): void {
    this.#kept.delete(`A ${name}`);
    this.#kept.delete(`AAAA ${name}`);
  }

  #newResolver(): Resolver {
    const resolver = new Resolver(QUESTION);
    if (this.#servers) resolver.setServers(this.#servers);
    return resolver;
  }

  #once(name: string, type: RecordType): Promise<ResolveAnswer> {
    const key = `${type} ${name}`;
    const kept = this.#kept.get(key);
    if (kept && kept.until > performance.now()) return Promise.resolve(kept.answer);
    const asking = this.#asking.get(key);
    if (asking) return asking;
    if (this.#asking.size >= QUESTIONS_MAX)
      return Promise.reject(new KtError('DIAL_FAILED', 'too many names are being resolved at once'));
    const answer = this.#search(name, type)
      .then((found) => this.#keep(key, found))
      .finally(() => this.#asking.delete(key));
    this.#asking.set(key, answer);
    return answer;
  }

  #keep(key: string, answer: ResolveAnswer): ResolveAnswer {
    const { length } = answer.records;
    this.#kept.delete(key);
    if (length === 0 || length > KEPT_RECORDS_MAX) return answer;
    const ms = Math.min(KEPT_MS, ...answer.records.map((record) => record.ttl * 1000));
    this.#kept.set(key, { answer, until: performance.now() + ms });
    if (this.#kept.size > KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value ?? '');
    return answer;
  }

  /** Puts the alias in front: c-ares gives the addresses of a CNAME's target under the name that was asked. */
  async #withAlias(answer: ResolveAnswer): Promise<ResolveAnswer> {
    const owner = answer.records[0]?.name ?? '';
    const alias = await this.#ask(owner, 'CNAME').catch(() => NONE);
    const [first] = alias.records;
    if (first === undefined) return answer;
    return { found: true, records: [first, ...answer.records.map((record) => ({ ...record, name: first.data }))] };
  }

  async #search(name: string, type: RecordType): Promise<ResolveAnswer> {
    if (type === 'PTR') return isIP(name) ? this.#ask(name, type) : NONE;
    const list = this.#file.read();
    if (list === undefined || (this.#bySystem && (type === 'A' || type === 'AAAA'))) return this.#system(name, type);
    let failure: unknown;
    for (const candidate of candidates(name, list)) {
      try {
        const answer = await this.#ask(candidate, type);
        // NODATA ends the search, too: the name is this one, it has no record of the type. Else A and AAAA could be two names'.
        if (answer.found) return answer;
      } catch (error) {
        // As glibc: a server that fails for one domain (the node's, say) does not hide the others; one that is silent does.
        if (error instanceof KtError && error.code === 'DIAL_TIMEOUT') throw error;
        failure = error;
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
      if (code === 'ENODATA') return { found: true, records: [] };
      if (ABSENT.has(code)) return NONE;
      if (code === 'ETIMEOUT') throw new KtError('DIAL_TIMEOUT', `DNS did not answer for ${name}`, { cause: error });
      throw new KtError('DIAL_FAILED', `DNS failed for ${name}: ${message}`, { cause: error });
    }
  }

  async #records(name: string, type: RecordType): Promise<DnsRecord[]> {
    const plain = (data: string): DnsRecord => ({ type, name, ttl: TTL_S, data });
    const timed = (one: { address: string; ttl: number }): DnsRecord => ({
      type,
      name,
      ttl: one.ttl,
      data: one.address,
    });
    if (type === 'A') return (await this.#resolver.resolve4(name, { ttl: true })).map(timed);
    if (type === 'AAAA') return (await this.#resolver.resolve6(name, { ttl: true })).map(timed);
    if (type === 'CNAME') return (await this.#resolver.resolveCname(name)).map(plain);
    if (type === 'PTR') return (await this.#resolver.reverse(name)).map(plain);
    const found = await this.#resolver.resolveSrv(name);
    return found.map((one) => plain(`${one.priority} ${one.weight} ${one.port} ${one.name}`));
  }

  /** getaddrinfo: knows addresses only, and no TTL. Also where there is no resolv.conf: Windows. */
  async #system(name: string, type: RecordType): Promise<ResolveAnswer> {
    if (type !== 'A' && type !== 'AAAA') return this.#ask(name, type);
    const family = type === 'A' ? 4 : 6;
    try {
      // Both families: asked for one alone, getaddrinfo does not tell "no such name" from "no such address".
      const found = await lookup(name, { all: true });
      const records = found
        .filter((one) => one.family === family)
        .map(({ address }) => ({ type, name, ttl: TTL_S, data: address }));
      return { found: true, records };
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      if (code === 'ENOTFOUND') return NONE;
      if (code === 'EAI_AGAIN') throw new KtError('DIAL_TIMEOUT', `DNS did not answer for ${name}`, { cause: error });
      throw new KtError('DIAL_FAILED', `${name} could not be resolved: ${message}`, { cause: error });
    }
  }
}
