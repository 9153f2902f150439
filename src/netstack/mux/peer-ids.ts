// Which stream ids the peer has used. Ids come nearly in order: a peer with threads may announce 5 before 3 (Go's yamux does), and skips
// those that it gave up before it announced them. Sans-io, of fixed size: a window of the newest ids; older ones count as used.

/** Ids of the peer's parity that are told apart; as many as may be open at once. */
const WINDOW = 4_096;

export class PeerIds {
  readonly #used = new Uint8Array(WINDOW);
  #next: number;

  /** `first`: 1 where the peer is the client, 2 where it is the server. */
  constructor(first: 1 | 2) {
    this.#next = first;
  }

  /** Marks the id as used. False: it was used before, or it is not the peer's to use. */
  take(id: number): boolean {
    if (id % 2 !== this.#next % 2) return false;
    if (id < this.#next - 2 * WINDOW) return false;
    if (id >= this.#next) this.#advance(id);
    const slot = (id >>> 1) % WINDOW;
    if (this.#used[slot] === 1) return false;
    this.#used[slot] = 1;
    return true;
  }

  #advance(id: number): void {
    const ahead = (id - this.#next) / 2 + 1;
    if (ahead >= WINDOW) this.#used.fill(0);
    else for (let at = this.#next; at <= id; at += 2) this.#used[(at >>> 1) % WINDOW] = 0;
    this.#next = id + 2;
  }
}
