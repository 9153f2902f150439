// Answers one DNS message: cluster names by the dialer, everything else by the laptop's own servers or not at all.
// Knows no sockets of askers (server.ts). Never throws; what can't be answered is SERVFAIL.
import { KtError } from '../../errors.ts';
import type { Dialer, RecordType, ResolveAnswer } from '../dialer.ts';
import { AnswerCache } from './cache.ts';
import { isOfCluster } from './cluster-answer.ts';
import { encodeReply, parseQuery, type Query, RCODE, recordsFor, reverseAddress } from './message.codec.ts';
import { Upstream, type Upstreams } from './upstream.ts';

/** The part of route/router.ts that is used here. */
export interface NameRouter {
  readonly clusterDomain: string;
  route(host: string): { readonly via: string; readonly guess?: boolean };
  learnAnswer(answer: ResolveAnswer): void;
}

export interface DnsResolverOptions {
  /** Answers cluster names. */
  readonly dialer: Dialer;
  readonly router: NameRouter;
  /** The laptop's own servers, as node:dns getServers() gives them, or a function that gives them. */
  readonly upstreams: Upstreams;
  /** REFUSED for names that are not the cluster's: a JVM's JNDI then asks its next server. */
  readonly refuseForeign?: boolean | undefined;
}

type Transport = 'udp' | 'tcp';

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
  async answer(message: Buffer, transport: Transport): Promise<Buffer | undefined> {
    const parsed = parseQuery(message);
    if ('drop' in parsed) return undefined;
    if ('reply' in parsed) return parsed.reply;
    const { query } = parsed;
    try {
      if (query.type === 'refused') return encodeReply(query, RCODE.REFUSED, []);
      return (await this.#cluster(query, message, transport)) ?? (await this.#outside(query, message, transport));
    } catch {
      return encodeReply(query, RCODE.SERVFAIL, []);
    }
  }

  /** Undefined: not the cluster's. */
  async #cluster(query: Query, message: Buffer, transport: Transport): Promise<Buffer | undefined> {
    if (!query.name) return undefined;
    const { router } = this.#options;
    const address = reverseAddress(query.name);
    // The zone behind an address has a PTR and nothing else that a cluster would know.
    if (address !== undefined && query.type !== 'PTR') return undefined;
    const name = address ?? query.name.toLowerCase();
    const { via, guess } = router.route(name);
    if (via !== 'cluster') return undefined;
    if (guess) {
      const confirmed = await this.#confirmed(name).catch((error: unknown) => error);
      if (confirmed === false) return undefined;
      // The cluster can't be asked now. What the laptop knows need not wait for it; "no such name" would be a lie.
      if (confirmed !== true) return this.#known(message, transport);
    }
    // A type that clusters do not have (HTTPS, MX, TXT): the name is there, or not, all the same.
    const type: RecordType = query.type === 'other' || query.type === 'refused' ? 'A' : query.type;
    const answer = await this.#cache.resolve(name, type);
    router.learnAnswer(answer);
    if (!answer.found) return encodeReply(query, RCODE.NXDOMAIN, []);
    const limit = transport === 'udp' ? query.udpBytes : Number.POSITIVE_INFINITY;
    return encodeReply(query, RCODE.NOERROR, query.type === 'other' ? [] : recordsFor(query, answer), limit);
  }

  /** A guess: does the cluster have the name itself? What its DNS would only forward is asked of the laptop's own servers. */
  async #confirmed(name: string): Promise<boolean> {
    const host = name.replace(/^_[^.]+\._[^.]+\./, '');
    for (const type of ['A', 'AAAA'] as const) {
      const answer = await this.#cache.resolve(host, type);
      if (isOfCluster(host, answer, this.#options.router.clusterDomain)) return true;
      if (!answer.found || answer.records.length > 0) return false;
    }
    return false;
  }

  /** The laptop's answer if it has one; else this rejects. */
  async #known(message: Buffer, transport: Transport): Promise<Buffer> {
    if (this.#options.refuseForeign) throw new KtError('DIAL_FAILED', 'the cluster can not be asked');
    const reply = await this.#upstream.ask(message, transport);
    const [rcode, answers] = [(reply[3] ?? 0) & 0x0f, reply.readUInt16BE(6)];
    if (rcode !== RCODE.NOERROR || answers === 0) throw new KtError('DIAL_FAILED', 'the cluster can not be asked');
    return reply;
  }

  async #outside(query: Query, message: Buffer, transport: Transport): Promise<Buffer> {
    if (this.#options.refuseForeign) return encodeReply(query, RCODE.REFUSED, []);
    return this.#upstream.ask(message, transport);
  }
}
