// Measures while somebody looks: round trips to the API server and to the agent, and what the links carry per second. Told as `pulse`.
// Nobody looks: nothing is sent and nothing counts. Links are added by who makes them (session.ts, modes/hold.ts).
import type { ClusterApi } from '../cluster/rest.ts';
import type { Board } from './board.ts';

/** Milliseconds between two pulses. */
const PULSE_MS = 1_000;
/** Milliseconds between two questions for a round trip. The API server gets one small request each time. */
const PING_MS = 4_000;
/** Milliseconds for an answer; what takes longer is told as none. */
const ANSWER_MS = 4_000;

/** What links of one kind carry. */
export interface Flow {
  /** The Service whose requests come over it; null: the session's own link. */
  readonly service: string | null;
  /** Milliseconds to the agent and back. */
  ping(): Promise<number>;
  /** Until now; `inbound`: streams that came in. */
  traffic(): { readonly received: number; readonly sent: number; readonly streams: number; readonly inbound?: number };
}

export class Meter {
  readonly #board: Board;
  readonly #api: ClusterApi;
  readonly #flows = new Map<Flow, { received: number; sent: number; inbound: number }>();
  readonly #forget: () => void;
  #apiMs: number | null = null;
  #agentMs: number | null = null;
  #last = 0;

  constructor(board: Board, api: ClusterApi) {
    this.#board = board;
    this.#api = api;
    this.#forget = board.whileWatched(() => this.#start());
  }

  /** Counts from now on; the returned function ends it. */
  add(flow: Flow): () => void {
    const { received, sent, inbound = 0 } = flow.traffic();
    this.#flows.set(flow, { received, sent, inbound });
    return () => this.#flows.delete(flow);
  }

  close(): void {
    this.#forget();
  }

  #start(): () => void {
    const ended = new AbortController();
    this.#last = performance.now();
    // What went before nobody saw; it must not look like one second's.
    for (const flow of this.#flows.keys()) this.add(flow);
    const pulse = setInterval(() => this.#pulse(), PULSE_MS);
    const ask = (): void => {
      void this.#askApi(ended.signal);
      void this.#askAgent(ended.signal);
    };
    const asking = setInterval(ask, PING_MS);
    ask();
    return () => {
      clearInterval(pulse);
      clearInterval(asking);
      ended.abort();
    };
  }

  async #askApi(signal: AbortSignal): Promise<void> {
    const started = performance.now();
    try {
      // Whoever is known may ask this, and an answer of any kind proves the way.
      await this.#api.request('GET', '/version', { signal, timeoutMs: ANSWER_MS });
      // The best of the last ones would hide a line that got worse; one that had to open a connection is three round trips.
      this.#apiMs = performance.now() - started;
    } catch (error) {
      if (!signal.aborted) this.#apiMs = answered(error) ? performance.now() - started : null;
    }
  }

  async #askAgent(signal: AbortSignal): Promise<void> {
    const [flow] = [...this.#flows.keys()].toSorted(
      (one, other) => Number(one.service !== null) - Number(other.service !== null),
    );
    const late = new Promise<null>((resolve) => setTimeout(resolve, ANSWER_MS, null).unref());
    const ms = flow ? await Promise.race([flow.ping().catch(() => null), late]) : null;
    if (!signal.aborted) this.#agentMs = ms;
  }

  #pulse(): void {
    const now = performance.now();
    const seconds = Math.max(0.001, (now - this.#last) / 1000);
    this.#last = now;
    let [received, sent, streams] = [0, 0, 0];
    const inbound: Record<string, number> = {};
    for (const [flow, before] of this.#flows) {
      const total = flow.traffic();
      received += total.received - before.received;
      sent += total.sent - before.sent;
      streams += total.streams;
      if (flow.service !== null) inbound[flow.service] = ((total.inbound ?? 0) - before.inbound) / seconds;
      this.#flows.set(flow, { received: total.received, sent: total.sent, inbound: total.inbound ?? 0 });
    }
    this.#board.emit({
      type: 'pulse',
      apiMs: this.#apiMs,
      agentMs: this.#agentMs,
      received: received / seconds,
      sent: sent / seconds,
      streams,
      inbound,
    });
  }
}

/** A refusal is an answer. */
const answered = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'API_STATUS' || error.code === 'RIGHTS_MISSING');
