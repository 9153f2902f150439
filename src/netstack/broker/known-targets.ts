// Remembers which targets answered lately, so that DIAL need not wait for the far end again (0-RTT). Bounded by number and by time.
// Used by dial-desk.ts.
import type { Target } from '../dialer.ts';
import { formatAuthority } from '../target.codec.ts';

/** Milliseconds. Long enough for a program that reconnects, short enough that a target which went away is found out soon. */
export const KNOWN_MS = 60_000;
/** Targets. A program talks to dozens; a port scan must not grow the memory. */
export const KNOWN_MAX = 1024;

export class KnownTargets {
  /** target → when it is forgotten (performance.now()); oldest first. */
  readonly #until = new Map<string, number>();

  has(target: Target, now = performance.now()): boolean {
    const until = this.#until.get(formatAuthority(target));
    return until !== undefined && until > now;
  }

  add(target: Target, now = performance.now()): void {
    const key = formatAuthority(target);
    this.#until.delete(key);
    this.#until.set(key, now + KNOWN_MS);
    for (const oldest of this.#until.keys()) {
      if (this.#until.size <= KNOWN_MAX) return;
      this.#until.delete(oldest);
    }
  }

  forget(target: Target): void {
    this.#until.delete(formatAuthority(target));
  }

  get size(): number {
    return this.#until.size;
  }
}
