// The interface between everything that listens on the laptop (SOCKS5, HTTP proxy, broker, DNS) and everything that can reach a
// destination (agent over a link, agentless, corporate proxy, direct). Types only. Every implementation passes
// test/compliance/dialer.ts. See ARCHITECTURE.md for who implements and who calls.
import type { Duplex } from 'node:stream';

/** A destination before resolution. `host` is a name (no trailing dot), an IPv4 or an IPv6 address without brackets; `port` 1-65535. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

export interface DialOptions {
  /** Aborting before `opened` settled cancels the dial (the far end is told) and rejects with CANCELLED. */
  readonly signal?: AbortSignal | undefined;
  /** Limit for the far end's connect, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number | undefined;
  /**
   * `dial` resolves only once `opened` has, and a link that is lost before that is tried again, because nothing was sent yet.
   * For callers that have no early data at hand (SOCKS5, CONNECT). Dialers without links may ignore it.
   */
  readonly settle?: boolean | undefined;
  /** Told which way it goes before it is dialled, by the dialer that decides that (routing-dialer.ts). */
  readonly onRoute?: ((route: { readonly via: RouteVia; readonly rule: string }) => void) | undefined;
}

export type RouteVia = 'cluster' | 'corporate' | 'direct' | 'refuse';

/**
 * A connection that is being opened.
 * `stream` may be written at once: the bytes travel with the opening (0-RTT) and are lost if it fails.
 * It half-closes: `end()` sends FIN and the readable side stays open. Back-pressure is the Duplex's own.
 * `opened` resolves when the far end's connect succeeded; else it rejects with a KtError (DIAL_*, LINK_*, CANCELLED) and `stream` is
 * destroyed. It never raises an unhandled rejection: ignoring it is allowed.
 */
export interface Connection {
  readonly stream: Duplex;
  readonly opened: Promise<void>;
}

/** A flow of UDP datagrams to one target. Datagrams are dropped, as UDP does, where a queue is full. */
export interface DatagramFlow {
  send(datagram: Uint8Array): void;
  /** Set by the caller. */
  onDatagram: ((datagram: Buffer) => void) | undefined;
  /** Set by the caller; called once, with the reason where there is one. */
  onClose: ((error?: Error) => void) | undefined;
  close(): void;
}

export type RecordType = 'A' | 'AAAA' | 'SRV' | 'CNAME' | 'PTR';

export interface DnsRecord {
  readonly type: RecordType;
  /** Owner name; absolute, without the trailing dot. */
  readonly name: string;
  /** Seconds. */
  readonly ttl: number;
  /** A, AAAA: the address. CNAME, PTR: the name. SRV: `priority weight port target`. */
  readonly data: string;
}

/** `found: false` is NXDOMAIN; `found: true` with no records is NODATA (the name exists, not with this type). */
export interface ResolveAnswer {
  readonly found: boolean;
  readonly records: readonly DnsRecord[];
}

/** A proxy that takes plain HTTP requests for others, in absolute-form (RFC 9112 §3.2.2). */
export interface PlainHop {
  /** Leads to the proxy, whatever the target is. */
  readonly dialer: Dialer;
  /** Flat: what the proxy wants besides the request's own fields. A secret may be in it. */
  readonly fields: readonly string[];
}

export interface Dialer {
  /** Resolves once the opening is on its way (it may wait, "park", while there is no link); rejects with a KtError if it never got that far. */
  dial(target: Target, options?: DialOptions): Promise<Connection>;
  /** Looks a name up as a pod of the namespace would, search list included. PTR takes the address as `name`. */
  resolve(name: string, type: RecordType, options?: DialOptions): Promise<ResolveAnswer>;
  /** Rejects with UNSUPPORTED where the dialer can't carry UDP. */
  datagrams(target: Target, options?: DialOptions): Promise<DatagramFlow>;
  /**
   * The proxy that a plain HTTP request to this target goes to as it is, where there is one. Many company proxies allow connections
   * (CONNECT) to port 443 only. Undefined, as the method may be: dial the target.
   */
  plainHop?(target: Target, options?: DialOptions): Promise<PlainHop | undefined>;
}
