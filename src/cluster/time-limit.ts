// Ends a piece of work in time, or when one of several signals says so, and remembers which it was. Called by rest.ts.

export class TimeLimit {
  readonly #controller = new AbortController();
  readonly #milliseconds: number;
  readonly #ends: readonly AbortSignal[];
  #timer: NodeJS.Timeout | undefined;

  constructor(milliseconds: number, ends: readonly AbortSignal[]) {
    this.#milliseconds = milliseconds;
    this.#ends = ends;
    for (const end of ends) end.addEventListener('abort', this.#abort, { once: true });
    if (this.cancelled) this.#abort();
    this.#start();
  }

  readonly #abort = (): void => this.#controller.abort();

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** One of the signals ended the work, not the time. */
  get cancelled(): boolean {
    return this.#ends.some((end) => end.aborted);
  }

  /** Waits for something that has a limit of its own (a person who logs in): the time begins anew after it. */
  async untimed<T>(work: Promise<T>): Promise<T> {
    clearTimeout(this.#timer);
    try {
      return await work;
    } finally {
      this.#start();
    }
  }

  release(): void {
    clearTimeout(this.#timer);
    for (const end of this.#ends) end.removeEventListener('abort', this.#abort);
  }

  #start(): void {
    this.#timer = setTimeout(this.#abort, this.#milliseconds);
  }
}
