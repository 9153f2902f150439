// Decides when a link is asked whether it lives, and when it is dead. Sans-io: told of time and of bytes, it answers what to do.
//
//   quiet < PING_AFTER          nothing
//   quiet >= PING_AFTER         ping (once per PING_AFTER)
//   quiet >= DEAD_AFTER         dead
//   clock jumped               ping at once, and only WAKE_GRACE until dead (the laptop slept, or its clock was set)
//
// "Quiet" is the time since the last byte came in: a link that receives needs no ping. Used by netstack/link/link.ts and the agent.

/** Milliseconds without a byte after which the far end is asked. Half of the NAT time-outs seen would do; 5 s finds a dead line soon. */
export const PING_AFTER_MS = 5_000;
/** Milliseconds without a byte after which the link is dead: three pings lost. Open streams then fail within 16 s of the line's death. */
export const DEAD_AFTER_MS = 15_000;
/** After a sleep the connection is probably gone: one answer within this time or the link is dead. */
export const WAKE_GRACE_MS = 3_000;
/** The driver calls `tick` this often; a gap three times as long means that the laptop slept. */
export const TICK_MS = 500;
const SLEPT_MS = 10_000;

export type LivenessAction = 'none' | 'ping' | 'dead';

export class Liveness {
  #lastByte: number;
  #lastPing: number;
  #lastTick: number;
  #deadline = Number.POSITIVE_INFINITY;

  /** Times are milliseconds of any clock that goes on while the laptop sleeps. */
  constructor(now: number) {
    this.#lastByte = now;
    this.#lastPing = now;
    this.#lastTick = now;
  }

  received(now: number): void {
    this.#lastByte = now;
    this.#deadline = Number.POSITIVE_INFINITY;
  }

  tick(now: number): LivenessAction {
    const since = now - this.#lastTick;
    this.#lastTick = now;
    // Back in time, the old times would say nothing until the clock is there again.
    if (since >= SLEPT_MS || since < 0) {
      this.#lastByte = now - PING_AFTER_MS;
      this.#lastPing = now;
      this.#deadline = now + WAKE_GRACE_MS;
      return 'ping';
    }
    const quiet = now - this.#lastByte;
    if (quiet >= DEAD_AFTER_MS || now >= this.#deadline) return 'dead';
    if (quiet >= PING_AFTER_MS && now - this.#lastPing >= PING_AFTER_MS) {
      this.#lastPing = now;
      return 'ping';
    }
    return 'none';
  }
}
