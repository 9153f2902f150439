// Reads a socket into one large buffer that is used again, and lends its bytes: Node's own way, a new buffer for each 16 KiB that TLS decrypts, costs
// as much as the decryption. Bytes of one turn are handed on together, so that all layers above see few large pieces. Made with the socket
// (http/open-socket.ts), taken over by websocket/connection.ts; until then the socket reads as any other.
import type { Duplex } from 'node:stream';

/** More bytes than a socket gives in one turn, mostly; small enough to stay in a processor's cache. */
const SLAB_BYTES = 256 * 1024;
/** A TLS record. With less room than this a read would be cut in two. */
const ROOM_BYTES = 16 * 1024;

/** Whoever takes bytes that are only lent; also passed on by the layers above (port-forward-stream.ts, mux/stream.ts, pump.ts). */
export interface Borrower {
  /** Bytes to use now: they are overwritten later, unless `settle` says that they are kept. */
  take(bytes: Buffer): void;
  /** After the last bytes of a turn. True: some are still in use. */
  settle(): boolean;
}

/** A stream that may hand out its bytes so, beside 'data': those that come while it flows and has none waiting. */
export interface Lender {
  lendTo(borrower: Borrower): void;
}

const readers = new WeakMap<Duplex, LentReader>();

export class LentReader {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** The slab's bytes from `#from` to `#at` were read and not handed on yet. */
  #from = 0;
  #at = 0;
  #kept = false;
  #scheduled = false;
  #socket: Duplex | undefined;
  #borrower: Borrower | undefined;
  readonly #flush = (): void => {
    this.#scheduled = false;
    this.#handOn();
  };

  /** For node:net's and node:tls's option of this name. */
  readonly onread = {
    buffer: (): Buffer => this.#slab.subarray(this.#at),
    callback: (bytes: number): boolean => this.#read(bytes),
  };

  static of(socket: Duplex): LentReader | undefined {
    return readers.get(socket);
  }

  /** The socket that was made with `onread`. */
  attach(socket: Duplex): void {
    this.#socket = socket;
    readers.set(socket, this);
  }

  /** Bytes are lent to `borrower`, from the next turn on; first those that the socket has in its own buffer by then. */
  lend(borrower: Borrower): void {
    setImmediate(() => {
      const socket = this.#socket;
      if (!socket || socket.destroyed) return;
      for (let chunk = socket.read() as Buffer | null; chunk; chunk = socket.read() as Buffer | null)
        borrower.take(chunk);
      borrower.settle();
      this.#borrower = borrower;
      // Its end is still told by events, which only come while it flows.
      socket.resume();
    });
  }

  #read(bytes: number): boolean {
    const borrower = this.#borrower;
    if (!borrower) {
      this.#socket?.push(Buffer.from(this.#slab.subarray(this.#at, this.#at + bytes)));
      return true;
    }
    this.#at += bytes;
    if (this.#slab.length - this.#at < ROOM_BYTES) this.#handOn();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#flush);
    }
    return true;
  }

  #handOn(): void {
    const borrower = this.#borrower;
    if (!borrower) return;
    const bytes = this.#slab.subarray(this.#from, this.#at);
    this.#from = this.#at;
    if (bytes.length > 0) {
      borrower.take(bytes);
      if (borrower.settle()) this.#kept = true;
    }
    if (this.#slab.length - this.#at >= ROOM_BYTES) return;
    // Whoever keeps bytes has the slab for itself.
    if (this.#kept) this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#kept = false;
    this.#from = 0;
    this.#at = 0;
  }
}
