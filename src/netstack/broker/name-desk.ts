// RESOLVE: answers a program's name lookups from memory where it can, else by the cluster's DNS. Stale answers are given at once and
// renewed behind, and they stand in while there is no link. Does not decide what is a cluster name: the router does.
// Called by connection.ts; one desk serves all programs.
import { KtError } from '../../errors.ts';
import type { Dialer, RecordType, ResolveAnswer } from '../dialer.ts';
import { parseHost } from '../target.codec.ts';
import { errorAnswer } from './errno.ts';
import type { Answer } from './protocol.codec.ts';

/** Milliseconds in which an answer is taken as it is: the TTL that cluster DNS gives to its names. */
export const FRESH_MS = 5000;
/** Milliseconds in which an answer is still given at once, while it is renewed behind: what a JVM's own cache would do anyway. */
export const STALE_MS = 30_000;
/** Milliseconds in which a name is taken not to exist without a new question. Short: "not yet" is the usual case. */
export const ABSENT_MS = 1000;
/** Names; the longest unused goes first. */
export const NAMES_MAX = 2048;
/** Milliseconds: 10 s to wait for a link, and the answer's way. Shims wait a little longer. */
export const RESOLVE_MS_MAX = 12_000;

export interface NameRouter {
  /** May this name be the cluster's? Must answer at once. */
  isClusterName(name: string): boolean;
  /** Suffixes which only the cluster has (`svc`, `cluster.local`), with or without a leading dot. */
  suffixes(): readonly string[];
  /** Has the cluster IPv6 addresses? Only then is it asked for them too. */
  ipv6(): boolean;
  /** The addresses of this answer are the cluster's from now on. */
  learnAnswer(answer: ResolveAnswer): void;
}

interface Entry {
  /** Empty: the name does not exist. */
  readonly addresses: readonly string[];
  readonly at: number;
}

export class NameDesk {
  readonly #dialer: Dialer;
  readonly #router: NameRouter;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #asking = new Map<string, Promise<Entry>>();
  readonly #closing = new AbortController();

  constructor(dialer: Dialer, router: NameRouter) {
    this.#dialer = dialer;
    this.#router = router;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Never rejects. `name` as parseHost gives it. */
  async resolve(name: string): Promise<Answer> {
    if (!this.#router.isClusterName(name)) return { kind: 'no' };
    const held = this.#entries.get(name);
    if (held !== undefined) {
      const age = performance.now() - held.at;
      const absent = held.addresses.length === 0;
      // A short name that the cluster does not have (`github.com`) must not cost its program a question into the cluster each time.
      const staleMs = absent && this.#onlyCluster(name) ? ABSENT_MS : STALE_MS;
      if (age < staleMs) {
        if (age > (absent ? ABSENT_MS : FRESH_MS)) this.#ask(name).catch(() => undefined);
        return this.#answer(name, held);
      }
    }
    try {
      return this.#answer(name, await this.#ask(name));
    } catch (error) {
      if (held !== undefined && held.addresses.length > 0) return this.#answer(name, held);
      // Whether a short name is the cluster's can't be told now; the program's own resolver may know it.
      return this.#onlyCluster(name) ? errorAnswer(error) : { kind: 'no' };
    }
  }

  #answer(name: string, { addresses }: Entry): Answer {
    if (addresses.length > 0) return { kind: 'ok', words: addresses };
    if (!this.#onlyCluster(name)) return { kind: 'no' };
    return { kind: 'error', errno: 'ENOTFOUND', text: `no such name in the cluster: ${name}` };
  }

  #onlyCluster(name: string): boolean {
    if (/\.svc(\.|$)|\.cluster\.local$/.test(name)) return true;
    return this.#router.suffixes().some((suffix) => name.endsWith(suffix.startsWith('.') ? suffix : `.${suffix}`));
  }

  /** One question at a time for a name, however many programs ask. */
  #ask(name: string): Promise<Entry> {
    const running = this.#asking.get(name);
    if (running !== undefined) return running;
    const asking = this.#lookUp(name).finally(() => this.#asking.delete(name));
    this.#asking.set(name, asking);
    return asking;
  }

  async #lookUp(name: string): Promise<Entry> {
    const over = new AbortController();
    const timer = setTimeout(
      () => over.abort(new KtError('DIAL_TIMEOUT', 'the cluster did not answer the name lookup')),
      RESOLVE_MS_MAX,
    );
    const signal = AbortSignal.any([over.signal, this.#closing.signal]);
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    try {
      const types: readonly RecordType[] = this.#router.ipv6() ? ['A', 'AAAA'] : ['A'];
      const asking = types.map((type) => this.#dialer.resolve(name, type, { signal, timeoutMs: RESOLVE_MS_MAX }));
      const answers = await Promise.race([Promise.all(asking), aborted]);
      // What came over the wire is checked: it goes into a line, and into the router.
      const addresses = answers
        .flatMap(({ records }) => records)
        .filter(({ type }) => type === 'A' || type === 'AAAA')
        .map((record) => parseHost(record.data))
        .filter((address) => address !== undefined);
      for (const answer of answers) this.#router.learnAnswer(answer);
      return this.#remember(name, { addresses, at: performance.now() });
    } finally {
      clearTimeout(timer);
    }
  }

  #remember(name: string, entry: Entry): Entry {
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= NAMES_MAX) break;
      this.#entries.delete(oldest);
    }
    return entry;
  }

  close(): void {
    this.#closing.abort(new KtError('CANCELLED', 'kt is ending'));
    this.#entries.clear();
  }
}
