// Answers of the cluster's DNS, kept for their TTL; equal questions on their way are asked once. Bounded. Used by resolver.ts.
import { KtError } from '../../errors.ts';
import type { Dialer, RecordType, ResolveAnswer } from '../dialer.ts';

/** Names and types; the longest unused goes first. */
export const ENTRIES_MAX = 2_048;
/** Records of an answer that is kept: a headless Service of thousands of pods is asked again, and memory stays bounded. */
export const KEPT_RECORDS_MAX = 256;
/** Milliseconds that an answer is kept at most: a Service that was made again should not be missed for long. */
export const KEPT_MAX_MS = 10_000;
/** Milliseconds for "there is no such name": it is about to be made as often as not. */
export const ABSENT_MS = 1_000;
/** Questions on their way: more than the askers' own limits let through is a defect, and must not grow the memory. */
export const ASKING_MAX = 8_192;
/** Milliseconds for one question, the wait for a link included. */
const QUESTION_MS = 12_000;

interface Entry {
  readonly answer: ResolveAnswer;
  readonly at: number;
  readonly until: number;
}

export class AnswerCache {
  readonly #dialer: Pick<Dialer, 'resolve'>;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #asking = new Map<string, Promise<ResolveAnswer>>();

  constructor(dialer: Pick<Dialer, 'resolve'>) {
    this.#dialer = dialer;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** TTLs are what is left of them. Rejects as the dialer does; a failure is not kept. */
  resolve(name: string, type: RecordType, now = performance.now()): Promise<ResolveAnswer> {
    const key = `${type} ${name}`;
    const entry = this.#entries.get(key);
    if (entry) {
      this.#entries.delete(key);
      if (entry.until > now) {
        this.#entries.set(key, entry);
        return Promise.resolve(aged(entry.answer, Math.floor((now - entry.at) / 1000)));
      }
    }
    const asking = this.#asking.get(key);
    if (asking) return asking;
    if (this.#asking.size >= ASKING_MAX)
      return Promise.reject(new KtError('DIAL_FAILED', 'too many names are being resolved at once'));
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
    const { length } = answer.records;
    if (length > KEPT_RECORDS_MAX) return;
    const ttl = Math.min(...answer.records.map((record) => record.ttl * 1000), KEPT_MAX_MS);
    const at = performance.now();
    this.#entries.set(key, { answer, at, until: at + (length > 0 ? ttl : ABSENT_MS) });
    if (this.#entries.size > ENTRIES_MAX) this.#entries.delete(this.#entries.keys().next().value ?? '');
  }
}

function aged(answer: ResolveAnswer, seconds: number): ResolveAnswer {
  if (seconds === 0) return answer;
  return {
    ...answer,
    records: answer.records.map((record) => ({ ...record, ttl: Math.max(0, record.ttl - seconds) })),
  };
}
