// One record of the journal while it grows: counters that cost nothing to change, and the record as views get it, made when it is sent.
// Made by journal.ts, changed by who carries the traffic.
import { type SeenMessage, weightOf } from './sample.ts';
import type { InboundRecord, OutboundRecord, TrafficRecord } from './types.ts';

type Counted = 'id' | 'time' | 'state' | 'ms' | 'received' | 'sent' | 'error';

export class Entry<R extends TrafficRecord = InboundRecord | OutboundRecord> {
  readonly id: number;
  /** Set by an observer, read when the detail is asked for. */
  request: SeenMessage | undefined;
  response: SeenMessage | undefined;
  readonly #time = new Date().toISOString();
  readonly #began = performance.now();
  readonly #touched: (entry: Entry) => void;
  #fields: Omit<R, Counted>;
  #received = 0;
  #sent = 0;
  #error: string | null = null;
  #ended: number | undefined;
  #weight = 0;
  #letGo = false;
  #counting: (() => { readonly received: number; readonly sent: number }) | undefined;

  constructor(id: number, fields: Omit<R, Counted>, touched: (entry: Entry) => void) {
    this.id = id;
    this.#fields = fields;
    this.#touched = touched;
  }

  /** Milliseconds since it began. */
  get age(): number {
    return performance.now() - this.#began;
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  get record(): R {
    const counted = this.#counting?.() ?? { received: this.#received, sent: this.#sent };
    const state = this.#ended === undefined ? 'open' : this.#error === null ? 'done' : 'failed';
    const ms = Math.round((this.#ended ?? this.age) * 10) / 10;
    const made = { id: this.id, time: this.#time, ...this.#fields, state, ms, ...counted, error: this.#error };
    // The fields that the journal counts and the others are all of them.
    return made as unknown as R;
  }

  set(fields: Partial<Omit<R, Counted>>): void {
    this.#fields = { ...this.#fields, ...fields };
    this.#touch();
  }

  count(received: number, sent: number): void {
    this.#received += received;
    this.#sent += sent;
    this.#touch();
  }

  /** For a connection that counts by itself: asked when the record is sent. */
  countBy(counting: () => { readonly received: number; readonly sent: number }): void {
    this.#counting = counting;
  }

  /** The connection's own counters changed since they were last looked at. Journal's. */
  moved(): boolean {
    const counted = this.#counting?.();
    if (!counted || counted.received + counted.sent === this.#received + this.#sent) return false;
    [this.#received, this.#sent] = [counted.received, counted.sent];
    return true;
  }

  /** With `error` it failed. The first end counts. */
  end(error?: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = this.age;
    this.#error = error ?? null;
    const counted = this.#counting?.();
    this.#counting = undefined;
    if (counted) [this.#received, this.#sent] = [counted.received, counted.sent];
    this.#touch();
  }

  /** Bytes of memory that its messages grew by since the last time. Journal's. */
  grown(): number {
    if (this.#letGo) return 0;
    const weight = (this.request ? weightOf(this.request) : 0) + (this.response ? weightOf(this.response) : 0);
    const more = weight - this.#weight;
    this.#weight = weight;
    return more;
  }

  /** Its messages are not kept any more. Gives what they weighed. Journal's. */
  letGo(): number {
    const weight = this.#weight;
    this.#weight = 0;
    this.#letGo = true;
    this.request = undefined;
    this.response = undefined;
    return weight;
  }

  /** Messages may be set. */
  get keeps(): boolean {
    return !this.#letGo;
  }

  #touch(): void {
    this.#touched(this);
  }
}
