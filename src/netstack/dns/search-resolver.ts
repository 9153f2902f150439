// Resolves names as a program in the same pod would: the search list expanded here, questions by c-ares, so that no thread of
// getaddrinfo waits. Gives records with their TTL. Runs in the agent's pod and serves its dials too. Not a DNS server: server.ts.
import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { KtError } from '../../errors.ts';
import type { DnsRecord, RecordType, ResolveAnswer } from '../dialer.ts';
import { candidates, SearchListFile } from './search-list.ts';

/** Milliseconds for one question and how often it is asked: cluster DNS answers in one, or lost a packet. */
const QUESTION = { timeout: 2_000, tries: 3 };
/** Seconds for records whose TTL c-ares does not tell (SRV, PTR, CNAME): what CoreDNS gives to cluster names is 5 to 30. */
const TTL_S = 5;
/** Questions on their way at once; equal ones are asked once. */
const QUESTIONS_MAX = 1_024;

const NONE: ResolveAnswer = { found: false, records: [] };
const ABSENT = new Set(['ENOTFOUND', 'ENODATA', 'ENOTIMP', 'EBADNAME']);

export class SearchResolver {
  readonly #file: SearchListFile;
  readonly #resolver = new Resolver(QUESTION);
  readonly #asking = new Map<string, Promise<ResolveAnswer>>();

  constructor(file = new SearchListFile()) {
    this.#file = file;
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

  /** Addresses to dial, IPv4 first (clusters are); empty where the name does not exist. */
  async addresses(name: string): Promise<string[]> {
    if (isIP(name)) return [name];
    const ipv4 = await this.resolve(name, 'A');
    const found = ipv4.records.length > 0 ? ipv4 : await this.resolve(name, 'AAAA');
    return found.records.filter((record) => record.type === 'A' || record.type === 'AAAA').map((record) => record.data);
  }

  async #search(name: string, type: RecordType): Promise<ResolveAnswer> {
    if (type === 'PTR') return this.#ask(name, type);
    const list = this.#file.read();
    if (list === undefined) return this.#system(name, type);
    let exists = false;
    for (const candidate of candidates(name, list)) {
      const answer = await this.#ask(candidate, type);
      if (answer.records.length > 0) return answer;
      exists ||= answer.found;
    }
    return { found: exists, records: [] };
  }

  async #ask(name: string, type: RecordType): Promise<ResolveAnswer> {
    try {
      return { found: true, records: await this.#records(name, type) };
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      // ENODATA: the name is there, without a record of this type.
      if (ABSENT.has(code)) return code === 'ENODATA' ? { found: true, records: [] } : NONE;
      if (code === 'ETIMEOUT')
        throw new KtError('DIAL_TIMEOUT', `the DNS of the cluster did not answer for ${name}`, { cause: error });
      throw new KtError('DIAL_FAILED', `the DNS of the cluster failed for ${name}: ${message}`, { cause: error });
    }
  }

  async #records(name: string, type: RecordType): Promise<DnsRecord[]> {
    const plain = (data: string): DnsRecord => ({ type, name, ttl: TTL_S, data });
    switch (type) {
      case 'A':
        return (await this.#resolver.resolve4(name, { ttl: true })).map(({ address, ttl }) => ({
          type,
          name,
          ttl,
          data: address,
        }));
      case 'AAAA':
        return (await this.#resolver.resolve6(name, { ttl: true })).map(({ address, ttl }) => ({
          type,
          name,
          ttl,
          data: address,
        }));
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

  /** Without a resolv.conf the system has its own ways (mDNSResponder, Windows); it knows addresses only. */
  async #system(name: string, type: RecordType): Promise<ResolveAnswer> {
    if (type !== 'A' && type !== 'AAAA') return this.#ask(name, type);
    try {
      const found = await lookup(name, { all: true, family: type === 'A' ? 4 : 6 });
      return { found: true, records: found.map(({ address }) => ({ type, name, ttl: TTL_S, data: address })) };
    } catch {
      return NONE;
    }
  }
}
