// The two ways that traffic of a taken Service can go, as everything that serves a caller sees them: a laptop, or the origin.
// Types only. Made by listeners.ts per connection; used by connection.ts (whole connections), http1.ts and http2.ts (single requests).
import type { Duplex } from 'node:stream';

/** Gives a request's field by its name in lower case; several lines of one name are joined with ", ". */
export type HeaderLookup = (name: string) => string | undefined;

/** A live rule of a laptop that wants this traffic, at this moment. */
export interface Claim {
  readonly session: string;
  readonly rule: string;
}

export interface Upstreams {
  /** Who wants this request; without `headers` it is a connection whose protocol is not HTTP: only rules for everything match. */
  match(headers: HeaderLookup | undefined): Claim | undefined;
  /**
   * A stream to the laptop's local port. Resolves once the laptop has connected to it; rejects with a KtError when it refused or did
   * not answer within 2 s. No byte was forwarded then, so the caller of this goes to the origin (fail-open). `peer` is address:port.
   */
  openLaptop(claim: Claim, peer: string): Promise<Duplex>;
  /** A connection to the origin Service. Rejects with a KtError; at a preview, which has no origin, at once. */
  openOrigin(): Promise<Duplex>;
  /** The agent is about to end: kept-alive callers are asked to leave with their next answer. */
  draining?(): boolean;
  /** Called when that begins, for callers that say nothing at the time. Returns what to call when the caller is gone. */
  onDrain?(listener: () => void): () => void;
  /** Told once by who serves the caller: how many bytes it holds besides those in the buffers of sockets and streams. */
  holds?(bytes: () => number): void;
}
