// Answers one DNS message: cluster names by the dialer, everything else by the laptop's own servers or not at all.
// Knows no sockets of askers (server.ts). Never throws; what can't be answered is SERVFAIL.
import { isIP } from 'node:net';
import type { Dialer, RecordType } from '../dialer.ts';
import { AnswerCache } from './cache.ts';
import { answersOf, encodeReply, parseQuery, type Query, RCODE, reverseAddress } from './message.codec.ts';
import { Upstream } from './upstream.ts';

/** The part of route/router.ts that is used here. */
export interface NameRouter {
  route(host: string): { readonly via: string; readonly guess?: boolean };
  learn(address: string): void;
}

export interface DnsResolverOptions {
  /** Answers cluster names. */
  readonly dialer: Dialer;
  readonly router: NameRouter;
  /** The laptop's own servers, as node:dns getServers() gives them. */
  readonly upstreams: readonly string[];
  /** REFUSED for names that are not the cluster's: a JVM's JNDI then asks its next server. */
  readonly refuseForeign?: boolean | undefined;
}

const SERVED: readonly string[] = ['A', 'AAAA', 'SRV', 'CNAME', 'PTR'];

export class DnsResolver {
  readonly #options: DnsResolverOptions;
  readonly #cache: AnswerCache;
  readonly #upstream: Upstream;

  constructor(options: DnsResolverOptions) {
    this.#options = options;
    this.#cache = new AnswerCache(options.dialer);
    this.#upstream = new Upstream(options.upstreams);
  }

  /** The reply, or undefined where there must be none. */
  async answer(message: Buffer, transport: 'udp' | 'tcp'): Promise<Buffer | undefined> {
    const parsed = parseQuery(message);
    if ('drop' in parsed) return undefined;
    if ('reply' in parsed) return parsed.reply;
    const { query } = parsed;
    const limit = transport === 'udp' ? query.udpBytes : Number.POSITIVE_INFINITY;
    try {
      if (query.type === 'ANY') return encodeReply(query, RCODE.REFUSED, []);
      return (await this.#cluster(query, limit)) ?? (await this.#outside(query, message, transport));
    } catch {
      return encodeReply(query, RCODE.SERVFAIL, []);
    }
  }

  /** Undefined: not the cluster's. */
  async #cluster(query: Query, limit: number): Promise<Buffer | undefined> {
    const { router } = this.#options;
    const address = query.type === 'PTR' ? reverseAddress(query.name) : undefined;
    const name = address ?? query.name.toLowerCase();
    if (name === '' || name === '.') return undefined;
    const { via, guess } = router.route(name);
    if (via !== 'cluster' || (isIP(name) !== 0 && address === undefined)) return undefined;
    // A type that clusters do not have (HTTPS, MX, TXT): the name is there, or not, all the same.
    const type = SERVED.includes(query.type) ? (query.type as RecordType) : 'A';
    const answer = await this.#cache.resolve(name, type);
    if (!answer.found) return guess ? undefined : encodeReply(query, RCODE.NXDOMAIN, []);
    for (const record of answer.records) if (record.type === 'A' || record.type === 'AAAA') router.learn(record.data);
    return encodeReply(query, RCODE.NOERROR, type === query.type ? answersOf(query.name, answer) : [], limit);
  }

  async #outside(query: Query, message: Buffer, transport: 'udp' | 'tcp'): Promise<Buffer> {
    if (this.#options.refuseForeign) return encodeReply(query, RCODE.REFUSED, []);
    return this.#upstream.ask(message, transport);
  }
}
