// The records of the traffic that a session carries, as views see them: one line per inbound request and per outbound connection, the
// detail of one on demand, and the interface by which a view reads them. Types only. Kept by journal.ts; nothing is recorded while
// nobody looks. Read by the screen (in this process or over the control socket), by curl.ts, har.ts and replay.ts.
import type { ErrorCode } from '../../errors.ts';

/** One line of the list. It is sent again, whole, when it changed: the latest with its `id` counts. */
export type TrafficRecord = InboundRecord | OutboundRecord;

interface RecordBase {
  /** Grows by one; never used twice in a session. */
  readonly id: number;
  /** When it began, ISO 8601. */
  readonly time: string;
  readonly state: 'open' | 'done' | 'failed';
  /** Milliseconds from the beginning to the end; until now, while it is open. */
  readonly ms: number;
  /** Bytes that came to the laptop: of the request inbound, of the answer outbound. HTTP: with heads. */
  readonly received: number;
  /** Bytes that left the laptop. */
  readonly sent: number;
  /** Why it failed. */
  readonly error: string | null;
}

/** A request of the cluster that this laptop answers; a whole connection where it is not HTTP. */
export interface InboundRecord extends RecordBase {
  readonly direction: 'in';
  readonly service: string;
  /** The caller as the agent saw it, address:port. */
  readonly caller: string;
  /** The rule that sent it here, and why: `exchange: all requests`, `mesh: VERSION: anna`. */
  readonly rule: string;
  readonly reason: string;
  /** The local port that answers. */
  readonly local: number;
  /** `h2` also where its head could not be read; `tcp`: no HTTP (databases, TLS). */
  readonly protocol: 'http/1.0' | 'http/1.1' | 'h2' | 'tcp' | 'udp';
  /** HTTP only, as is `path` (with its query), `host` (Host or :authority) and `status`. */
  readonly method: string | null;
  readonly path: string | null;
  readonly host: string | null;
  readonly status: number | null;
  /** Milliseconds until the head of the answer; null before it came. */
  readonly answerMs: number | null;
  /** Protocol that the connection was upgraded to: `websocket`. */
  readonly upgrade: string | null;
}

/** A connection (UDP: a flow) of a program on this laptop. */
export interface OutboundRecord extends RecordBase {
  readonly direction: 'out';
  /** Who asked: a program with a shim, or the listener that an ordinary program used. `pid`: where it is known. */
  readonly by: { readonly door: 'shim' | 'proxy' | 'forward'; readonly runtime?: string; readonly pid?: number };
  readonly host: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly via: 'cluster' | 'corporate' | 'direct' | 'refuse';
  /** The rule of the route: `cluster name`. */
  readonly reason: string;
  /** Milliseconds until the far end's connect; null before, or where it never was. */
  readonly openedMs: number | null;
  /** Why it failed, as a code of docs/errors.md. */
  readonly code: ErrorCode | null;
}

/** What is known of one record beyond its line. HTTP only; null: not seen (yet), or its room was needed by later ones. */
export interface TrafficDetail {
  readonly record: TrafficRecord;
  readonly request: MessageDetail | null;
  readonly response: MessageDetail | null;
}

export interface MessageDetail {
  /** `GET /api?x=1 HTTP/1.1`, `HTTP/1.1 200 OK`; h2 in the same form. */
  readonly line: string;
  /** In their order, names as they came. Values of secrets are `•••` unless they were asked for. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Names whose values are hidden here. */
  readonly masked: readonly string[];
  readonly body: BodyDetail;
}

export interface BodyDetail {
  /** Of the whole body so far; more than `kept` where it is longer than what is kept. */
  readonly bytes: number;
  readonly kept: number;
  /** `application/json`; empty where the message does not say. */
  readonly type: string;
  /** The first KiB: text, or where it is none (or compressed) base64. */
  readonly encoding: 'utf8' | 'base64';
  readonly text: string;
}

/** Changes since the last one, at most ten times a second. */
export interface TrafficBatch {
  /** New and changed ones, eldest first. */
  readonly records: readonly TrafficRecord[];
  /** Everything before was cleared; also the first batch of a view. */
  readonly fresh: boolean;
  /** Records that were pushed out by later ones since the journal was cleared, and how many it keeps. */
  readonly dropped: number;
  readonly limit: number;
}

/** Both answers of a request that was sent again to the local app. */
export interface Replayed {
  readonly before: { readonly response: MessageDetail | null; readonly status: number | null; readonly ms: number };
  readonly after: { readonly response: MessageDetail; readonly status: number; readonly ms: number };
}

/** What a view can ask; the journal itself in the session's process, a client of the control socket elsewhere. */
export interface TrafficSource {
  /** Recording is on while somebody is subscribed. The first batch has what is kept; call the returned function to end it. */
  subscribe(send: (batch: TrafficBatch) => void): () => void;
  /** Undefined: gone. `reveal` shows secrets. */
  detail(id: number, reveal?: boolean): Promise<TrafficDetail | undefined>;
  /** Sends an inbound request again to the local port. Rejects with USAGE where it can't be (no HTTP, body not kept), LISTEN_FAILED. */
  replay(id: number): Promise<Replayed>;
  clear(): Promise<void>;
}
