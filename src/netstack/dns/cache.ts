// Answers of the cluster's DNS, kept for their TTL; equal questions on their way are asked once. Bounded. Used by server.ts.
import type { Dialer, RecordType, ResolveAnswer } from '../dialer.ts';

/** Names and types; the longest unused goes first. */
const ENTRIES_MAX = 2_048;
/** Milliseconds that an answer is kept at most: a Service that was made again should not be missed for long. */
const KEPT_MAX_MS = 10_000;
/** Milliseconds for "there is no such name": it is about to be made as often as not. */
const ABSENT_MS = 1_000;
/** Milliseconds for one question, the wait for a link included. */
const QUESTION_MS = 12_000;

interface Entry {
  readonly answer: ResolveAnswer;
  readonly until: number;
}

export class AnswerCache {
  readonly #dialer: Dialer;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #asking = new Map<string, Promise<ResolveAnswer>>();

  constructor(dialer: Dialer) {
    this.#dialer = dialer;
  }

  /** Rejects as the dialer does; a failure is not kept. */
  resolve(name: string, type: RecordType): Promise<ResolveAnswer> {
    const key = `${type} ${name}`;
    const entry = this.#entries.get(key);
    if (entry) {
      this.#entries.delete(key);
      if (entry.until > performance.now()) {
        this.#entries.set(key, entry);
        return Promise.resolve(entry.answer);
      }
    }
    const asking = this.#asking.get(key);
    if (asking) return asking;
    const answer = this.#dialer
      .resolve(name, type, { timeoutMs: QUESTION_MS })
      .then((found) => {
        this.#keep(key, found);
        return found;
      })
      .finally(() => this.#asking.delete(key));
    this.#asking.set(key, answer);
    return answer;
  }

  #keep(key: string, answer: ResolveAnswer): void {
    const ttl = Math.min(...answer.records.map((record) => record.ttl * 1000), KEPT_MAX_MS);
    const ms = answer.records.length > 0 ? ttl : ABSENT_MS;
    if (this.#entries.size >= ENTRIES_MAX) this.#entries.delete(this.#entries.keys().next().value ?? '');
    this.#entries.set(key, { answer, until: performance.now() + ms });
  }
}
