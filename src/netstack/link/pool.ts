// Keeps one active link and one warm spare, and gives new streams a link, now or within the parking time.
//
//            acquire()                    connect() ok
//   parked ◄─────────── none ──connect──► active ──second connect──► active + spare
//     │ park limit        ▲                  │ link dies
//     ▼                   └──────────────────┘ (the spare is active at once)
//   LINK_PARKED
//
// Does not know how a link is made: `connect` does (session/), the agent's re-making included. Called by agent-dialer.ts.
import { asKtError, KtError } from '../../errors.ts';
import type { Link } from './link.ts';

/** Links kept: the second one is its own TLS connection, so that the loss of one costs no new handshake. */
const LINKS_WANTED = 2;
/** Milliseconds between attempts: short at first (a reset is over at once), 1 s at most (the line comes back within 3 s of its return). */
const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 1_000;
/** Milliseconds after which a link is replaced before an API server or load balancer ends it (many end connections at one hour). */
const LINK_AGE_MAX_MS = 55 * 60_000;
/** Milliseconds that a replaced link gets for its open streams; those of a database pool may live long, so it is long too. */
const RETIRE_LIMIT_MS = 12 * 60 * 60_000;
/** Dials that may wait for a link; more than that is a program gone wild, and each one holds a socket. */
const PARKED_MAX = 4_096;

export interface LinkHooks {
  readonly onClose: (error: KtError) => void;
  readonly onDrain: () => void;
}

export interface PoolOptions {
  /** Makes one link; rejects with the reason. Must give up on `signal`. */
  readonly connect: (hooks: LinkHooks, signal: AbortSignal) => Promise<Link>;
  /** Links kept; default LINKS_WANTED. One is enough for a question. */
  readonly links?: number | undefined;
  /** The agent opens streams too, and goes on with it while it drains: it ends such a link, not the laptop. */
  readonly inbound?: boolean | undefined;
  /** Milliseconds that a dial waits for a link. 0 = fail at once. */
  readonly parkMs: number;
  /** up: there is a link again. down: none is left. retry: an attempt failed. */
  readonly onChange?: (change: {
    readonly state: 'up' | 'down' | 'retry' | 'spare';
    readonly reason?: KtError;
  }) => void;
}

interface Parked {
  readonly give: (link: Link) => void;
  readonly fail: (error: KtError) => void;
}

export class LinkPool {
  readonly #options: PoolOptions;
  readonly #wanted: number;
  readonly #links: Link[] = [];
  readonly #retired = new Set<Link>();
  /** Of links that are gone. */
  readonly #past = { received: 0, sent: 0 };
  readonly #parked = new Set<Parked>();
  readonly #ended = new AbortController();
  #connecting = false;
  #wasUp = false;
  #retryMs = RETRY_MIN_MS;
  #lastError: KtError | undefined;
  #wake: (() => void) | undefined;
  readonly #ageTimer: NodeJS.Timeout;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#wanted = options.links ?? LINKS_WANTED;
    this.#ageTimer = setInterval(() => this.#retireOld(), 30_000);
    this.#ageTimer.unref();
  }

  /** Makes the first link; rejects with its reason. The spare follows in the background. */
  async start(signal?: AbortSignal): Promise<void> {
    // Dials may park meanwhile; they wait for this link.
    this.#connecting = true;
    try {
      await this.#connectOne(signal ? AbortSignal.any([signal, this.#ended.signal]) : this.#ended.signal);
    } finally {
      this.#connecting = false;
    }
    void this.#fill();
  }

  get up(): boolean {
    return this.#links.length > 0;
  }

  get links(): readonly Link[] {
    return this.#links;
  }

  /** Bytes of all links until now, and the streams that are open. */
  get traffic(): { readonly received: number; readonly sent: number; readonly streams: number } {
    const sum = { ...this.#past, streams: 0 };
    for (const link of [...this.#links, ...this.#retired]) {
      sum.received += link.traffic.received;
      sum.sent += link.traffic.sent;
      sum.streams += link.streamCount;
    }
    return sum;
  }

  /** Round trip to the agent in milliseconds, over the link that new streams take. Rejects with LINK_LOST where there is none. */
  ping(): Promise<number> {
    return this.#best()?.ping() ?? Promise.reject(new KtError('LINK_LOST', 'no link'));
  }

  /** The link with the least to do. Parks while there is none; rejects with LINK_PARKED, or CANCELLED on `signal`. */
  acquire(signal?: AbortSignal): Promise<Link> {
    const link = this.#best();
    if (link) return Promise.resolve(link);
    return new Promise((resolve, reject) => {
      const { parkMs } = this.#options;
      const why = (): KtError =>
        new KtError(
          'LINK_PARKED',
          `no connection to the cluster${this.#lastError ? `: ${this.#lastError.message}` : ''}`,
          {
            hint: 'kt keeps trying; `kt status` shows the state of the link',
            cause: this.#lastError,
          },
        );
      if (this.#ended.signal.aborted) return reject(new KtError('LINK_LOST', 'the session ended'));
      if (parkMs === 0 || this.#parked.size >= PARKED_MAX) return reject(why());
      const leave = (): void => {
        this.#parked.delete(parked);
        clearTimeout(timer);
        signal?.removeEventListener('abort', cancel);
      };
      const parked: Parked = {
        give: (found) => {
          leave();
          resolve(found);
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      const cancel = (): void => parked.fail(new KtError('CANCELLED', 'cancelled while it waited for the link'));
      const timer = setTimeout(() => parked.fail(why()), parkMs);
      if (signal?.aborted) return cancel();
      signal?.addEventListener('abort', cancel, { once: true });
      this.#parked.add(parked);
      void this.#fill();
      return undefined;
    });
  }

  /** Forgets the waiting time between attempts: called when something says that the line is back. */
  hurry(): void {
    this.#retryMs = RETRY_MIN_MS;
    this.#wake?.();
  }

  close(reason = new KtError('LINK_LOST', 'the session ended')): void {
    clearInterval(this.#ageTimer);
    this.#ended.abort();
    for (const parked of [...this.#parked]) parked.fail(reason);
    for (const link of [...this.#links, ...this.#retired]) link.close(reason);
  }

  #best(): Link | undefined {
    let best: Link | undefined;
    for (const link of this.#links) if (!link.closed && (best === undefined || lighter(link, best))) best = link;
    return best;
  }

  async #connectOne(signal: AbortSignal): Promise<void> {
    let link: Link | undefined;
    const hooks: LinkHooks = {
      onClose: (error) => link && this.#lost(link, error),
      onDrain: () => link && this.#retire(link),
    };
    const opened = await this.#options.connect(hooks, signal);
    link = opened;
    if (this.#ended.signal.aborted) {
      opened.close(new KtError('LINK_LOST', 'the session ended'));
      throw new KtError('CANCELLED', 'the session ended');
    }
    if (opened.closed) throw this.#lastError ?? new KtError('LINK_LOST', 'the link was lost as soon as it was there');
    this.#links.push(opened);
    this.#retryMs = RETRY_MIN_MS;
    if (this.#links.length === 1) {
      this.#wasUp = true;
      this.#options.onChange?.({ state: 'up' });
    } else this.#options.onChange?.({ state: 'spare' });
    for (const parked of [...this.#parked]) parked.give(opened);
    // It said so before anybody could listen.
    if (opened.draining) this.#retire(opened);
  }

  async #fill(): Promise<void> {
    if (this.#connecting) return;
    this.#connecting = true;
    try {
      while (!this.#ended.signal.aborted && this.#links.length < this.#wanted) {
        try {
          await this.#connectOne(this.#ended.signal);
        } catch (error) {
          if (this.#ended.signal.aborted) return;
          this.#lastError = asKtError(error, 'LINK_LOST');
          this.#options.onChange?.({ state: 'retry', reason: this.#lastError });
          await this.#pause();
        }
      }
    } finally {
      this.#connecting = false;
    }
  }

  async #pause(): Promise<void> {
    // Full jitter: the kt of a whole team must not hit a restarted API server in step.
    const wait = this.#retryMs * (0.5 + Math.random() / 2);
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        this.#ended.signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, wait);
      this.#wake = done;
      this.#ended.signal.addEventListener('abort', done, { once: true });
    });
  }

  #lost(link: Link, error: KtError): void {
    const at = this.#links.indexOf(link);
    if (this.#retired.delete(link) || at !== -1) {
      this.#past.received += link.traffic.received;
      this.#past.sent += link.traffic.sent;
    }
    if (at === -1) return;
    this.#links.splice(at, 1);
    if (this.#ended.signal.aborted) return;
    this.#lastError = error;
    // One link that went silent says nothing about the other; one that was cut does, but asking costs one round trip only.
    for (const other of this.#links) other.ping().catch(() => undefined);
    if (this.#links.length === 0 && this.#wasUp) this.#options.onChange?.({ state: 'down', reason: error });
    void this.#fill();
  }

  /** Takes no new streams any more; ends when its streams have, or at its limit. */
  #retire(link: Link): void {
    const at = this.#links.indexOf(link);
    if (at === -1) return;
    this.#links.splice(at, 1);
    this.#retired.add(link);
    const callersCome = link.draining && this.#options.inbound === true;
    if (!callersCome) link.goAway();
    const started = Date.now();
    const timer = setInterval(() => {
      if (link.closed) clearInterval(timer);
      else if ((link.streamCount === 0 && !callersCome) || Date.now() - started > RETIRE_LIMIT_MS)
        link.close(new KtError('LINK_LOST', 'the link was replaced'));
    }, 1_000);
    timer.unref();
    void this.#fill();
  }

  #retireOld(): void {
    if (this.#links.length < this.#wanted) return;
    const old = this.#links.find((link) => Date.now() - link.openedAt > LINK_AGE_MAX_MS);
    if (old) this.#retire(old);
  }
}

/** A new stream should wait behind less: first where there is room, then behind fewer downloads, then behind fewer bytes of uploads. */
function lighter(one: Link, other: Link): boolean {
  if (one.full !== other.full) return other.full;
  if (one.bulkStreams !== other.bulkStreams) return one.bulkStreams < other.bulkStreams;
  if (one.outstanding !== other.outstanding) return one.outstanding < other.outstanding;
  return one.cheap && !other.cheap;
}
