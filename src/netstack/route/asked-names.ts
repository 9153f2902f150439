// Remembers of names that look like the cluster's (`guess`) whether the cluster knew them, so that not every dial has to ask again:
// on a far line a question costs as much as the dial. Bounded by number and by time. Used by routing-dialer.ts.

/** Names; the longest unused goes first. */
export const NAMES_MAX = 1_024;
/** Milliseconds in which "the cluster has it" is believed. A dial to what has gone since fails with the cluster's own reason. */
export const KNOWN_MS = 300_000;
/** Milliseconds in which "the cluster has it not" is believed: short, because it may be about to be made. */
export const ABSENT_MS = 3_000;

export class AskedNames {
  /** Least recently used first. */
  readonly #names = new Map<string, { readonly inCluster: boolean; readonly until: number }>();

  /** Undefined: ask. */
  get(name: string, now = performance.now()): boolean | undefined {
    const entry = this.#names.get(name);
    if (entry === undefined) return undefined;
    this.#names.delete(name);
    if (entry.until <= now) return undefined;
    this.#names.set(name, entry);
    return entry.inCluster;
  }

  set(name: string, inCluster: boolean, now = performance.now()): void {
    this.#names.delete(name);
    this.#names.set(name, { inCluster, until: now + (inCluster ? KNOWN_MS : ABSENT_MS) });
    if (this.#names.size > NAMES_MAX) this.#names.delete(this.#names.keys().next().value ?? '');
  }

  forget(name: string): void {
    this.#names.delete(name);
  }

  get size(): number {
    return this.#names.size;
  }
}
