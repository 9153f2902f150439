// The journal of a session's traffic: the latest records and what is kept of their messages, with limits, told in batches while somebody
// looks. While nobody does it is off: who carries traffic asks `on` once for each connection, and that is all it costs.
// Filled by inbound-tap.ts and recording-dialer.ts, made and told by the board.
import type { SessionEvent } from '../events.ts';
import { detailOf } from './detail.ts';
import { Entry } from './entry.ts';
import type { TrafficBatch, TrafficDetail, TrafficRecord } from './types.ts';

/** Records that are kept: minutes of ordinary work, four seconds of a load test. */
export const RECORDS_MAX = 2_000;
/** Bytes of heads and bodies that are kept; those of the eldest records go first. */
export const KEPT_BYTES_MAX = 16 * 1024 * 1024;
/** Milliseconds between batches: faster than people read. */
const BATCH_MS = 100;
/** Milliseconds between looks at what open connections count by themselves. */
const POLL_MS = 1_000;
/** Records of one batch; the rest is in the next one. */
const BATCH_MAX = 500;

/** The part of the board that is used here. */
export interface JournalBoard {
  emit(event: SessionEvent): void;
  /** `greet`: what a view that comes later has to know first. */
  whileWatched(start: () => () => void, greet: () => SessionEvent): () => void;
}

export interface JournalLimits {
  readonly records?: number;
  readonly keptBytes?: number;
}

export class TrafficJournal {
  readonly #board: JournalBoard;
  readonly #records: number;
  readonly #keptMax: number;
  /** Eldest first. */
  readonly #entries = new Map<number, Entry>();
  readonly #changed = new Set<Entry>();
  #timer: NodeJS.Timeout | undefined;
  #on = false;
  #id = 0;
  #dropped = 0;
  #kept = 0;

  constructor(board: JournalBoard, { records = RECORDS_MAX, keptBytes = KEPT_BYTES_MAX }: JournalLimits = {}) {
    this.#board = board;
    this.#records = records;
    this.#keptMax = keptBytes;
    board.whileWatched(
      () => this.#start(),
      () => ({ type: 'traffic', ...this.#all() }),
    );
  }

  /** Somebody looks. */
  get on(): boolean {
    return this.#on;
  }

  /** A new record; `record` without what the journal counts itself. */
  open<R extends TrafficRecord>(
    record: Omit<R, 'id' | 'time' | 'state' | 'ms' | 'received' | 'sent' | 'error'>,
  ): Entry<R> {
    this.#id += 1;
    const entry = new Entry<R>(this.#id, record, (one) => this.#touch(one));
    this.#entries.set(entry.id, entry);
    for (const [id, eldest] of this.#entries) {
      if (this.#entries.size <= this.#records) break;
      this.#entries.delete(id);
      this.#forget(eldest);
      this.#dropped += 1;
    }
    this.#touch(entry);
    return entry;
  }

  /** Undefined: gone. */
  entry(id: number): Entry | undefined {
    return this.#entries.get(id);
  }

  detail(id: number, reveal = false): TrafficDetail | undefined {
    const entry = this.#entries.get(id);
    return entry && detailOf(entry, reveal);
  }

  clear(): void {
    for (const entry of this.#entries.values()) this.#forget(entry);
    this.#entries.clear();
    this.#dropped = 0;
    this.#board.emit({ type: 'traffic', ...this.#all() });
  }

  #start(): () => void {
    this.#on = true;
    this.#board.emit({ type: 'traffic', ...this.#all() });
    const poll = setInterval(() => {
      for (const entry of this.#entries.values()) if (entry.moved()) this.#touch(entry);
    }, POLL_MS).unref();
    return () => {
      this.#on = false;
      clearInterval(poll);
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#changed.clear();
    };
  }

  #all(): TrafficBatch {
    const records = [...this.#entries.values()].map((entry) => entry.record);
    return { records, fresh: true, dropped: this.#dropped, limit: this.#records };
  }

  #touch(entry: Entry): void {
    // One that went out of the ring may still be carried.
    if (this.#entries.get(entry.id) !== entry) return;
    this.#kept += entry.grown();
    if (this.#kept > this.#keptMax) this.#makeRoom();
    if (!this.#on) return;
    this.#changed.add(entry);
    // The process may end meanwhile.
    this.#timer ??= setTimeout(() => this.#flush(), BATCH_MS).unref();
  }

  #makeRoom(): void {
    for (const entry of this.#entries.values()) {
      if (this.#kept <= this.#keptMax) return;
      this.#forget(entry);
    }
  }

  #forget(entry: Entry): void {
    this.#kept -= entry.letGo();
    this.#changed.delete(entry);
  }

  #flush(): void {
    this.#timer = undefined;
    const entries = [...this.#changed].slice(0, BATCH_MAX);
    for (const entry of entries) this.#changed.delete(entry);
    const records = entries.map((entry) => entry.record).toSorted((one, other) => one.id - other.id);
    if (records.length > 0)
      this.#board.emit({ type: 'traffic', records, fresh: false, dropped: this.#dropped, limit: this.#records });
    if (this.#changed.size > 0) this.#timer = setTimeout(() => this.#flush(), BATCH_MS).unref();
  }
}
