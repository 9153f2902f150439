// Watches inbound connections on the laptop's side of their stream: listens beside the pump, so nothing is changed and nothing waits. HTTP/1.x
// is one record for each request, HTTP/2 for each of its streams, everything else for each connection. Only while the journal is on.
// Called by serve-inbound.ts through what `inboundTaps` gives it.
import type { Socket as DatagramSocket } from 'node:dgram';
import type { Duplex } from 'node:stream';
import { protocolOf } from '../../netstack/http/http1.codec.ts';
import type { Entry } from './entry.ts';
import { Http1Observer, type SeenExchange } from './http1-observer.machine.ts';
import { Http2Observer } from './http2-observer.machine.ts';
import type { TrafficJournal } from './journal.ts';
import { hidePath } from './secrets.ts';
import type { InboundRecord } from './types.ts';

/** What is known of a connection before its first byte. */
export type InboundFacts = Pick<InboundRecord, 'service' | 'caller' | 'rule' | 'reason' | 'local'>;

type Seen = Pick<InboundRecord, 'protocol' | 'method' | 'path' | 'host' | 'status' | 'answerMs' | 'upgrade'>;

const NOTHING: Omit<Seen, 'protocol'> = {
  method: null,
  path: null,
  host: null,
  status: null,
  answerMs: null,
  upgrade: null,
};

/** Bytes that wait until it is known what they are: a request line. */
const UNDECIDED_MAX = 8 * 1024;

/** What a hold gives its links: a tap for each stream while somebody looks. `locals`: the local port of each rule. */
export function tapsOf(
  journal: TrafficJournal,
  held: Pick<InboundFacts, 'service' | 'reason'>,
  locals: ReadonlyMap<string, number>,
): (caller: string, rule: string) => InboundTap | undefined {
  return (caller, rule) =>
    journal.on ? new InboundTap(journal, { ...held, caller, rule, local: locals.get(rule) ?? 0 }) : undefined;
}

export class InboundTap {
  readonly #journal: TrafficJournal;
  readonly #facts: InboundFacts;

  constructor(journal: TrafficJournal, facts: InboundFacts) {
    this.#journal = journal;
    this.#facts = facts;
  }

  /** `stream` is the caller's side, `socket` the app's. To be called in the tick in which both begin to flow. */
  connection(stream: Duplex, socket: Duplex): void {
    const reader = new Reader(this.#journal, this.#facts);
    stream.on('data', (chunk: Buffer) => reader.fromCaller(chunk));
    socket.on('data', (chunk: Buffer) => reader.fromApp(chunk));
    socket.on('end', () => reader.appEnded());
    let over = false;
    const close = (): void => {
      if (over) return;
      over = true;
      reader.close((socket.errored ?? stream.errored)?.message);
    };
    stream.on('close', close);
    socket.on('close', close);
  }

  datagrams(stream: Duplex, socket: DatagramSocket): void {
    const entry = this.#open({ ...NOTHING, protocol: 'udp' });
    stream.on('data', (chunk: Buffer) => entry.count(chunk.length, 0));
    socket.on('message', (message) => entry.count(0, message.length));
    socket.on('close', () => entry.end());
  }

  /** The local port did not take it: the original pods answer. */
  refused(reason: string, protocol: 'tcp' | 'udp'): void {
    this.#open({ ...NOTHING, protocol }).end(reason);
  }

  #open(seen: Seen): Entry<InboundRecord> {
    return this.#journal.open<InboundRecord>({ direction: 'in', ...this.#facts, ...seen });
  }
}

/** One connection: finds out what is spoken, then counts and reads along. */
class Reader {
  readonly #journal: TrafficJournal;
  readonly #facts: InboundFacts;
  readonly #events = {
    request: (exchange: SeenExchange): void => this.#request(exchange),
    answer: (exchange: SeenExchange): void => this.#answer(exchange),
    end: (exchange: SeenExchange, error?: string): void => this.#end(exchange, error),
    bytes: (exchange: SeenExchange, received: number, sent: number): void =>
      this.#entries.get(exchange)?.count(received, sent),
    lost: (): void => this.#lost(),
  };
  readonly #entries = new Map<SeenExchange, Entry<InboundRecord>>();
  /** First bytes of a caller whose protocol is not known yet. */
  #first: Buffer | undefined = Buffer.alloc(0);
  /** What the app said before that, up to the limit. */
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #observer: Http1Observer | Http2Observer | undefined;
  #http2: Http2Observer | undefined;
  #lostTrack = false;
  /** Takes the bytes that belong to no request, or to the latest. */
  #latest: Entry<InboundRecord> | undefined;

  constructor(journal: TrafficJournal, facts: InboundFacts) {
    this.#journal = journal;
    this.#facts = facts;
  }

  fromCaller(chunk: Buffer): void {
    if (this.#first) this.#decide(chunk);
    else {
      this.#observer?.fromCaller(chunk);
      this.#latest?.count(chunk.length, 0);
    }
  }

  fromApp(chunk: Buffer): void {
    // Servers of HTTP/2 say their settings at once, those of mail and databases who they are.
    if (this.#first) {
      if (this.#earlyBytes < UNDECIDED_MAX) this.#early.push(Buffer.from(chunk));
      this.#earlyBytes += chunk.length;
    }
    this.#latest?.count(0, chunk.length);
    this.#observer?.fromApp(chunk);
  }

  appEnded(): void {
    if (this.#observer instanceof Http1Observer) this.#observer.appEnded();
  }

  close(reason: string | undefined): void {
    if (this.#first && this.#first.length + this.#earlyBytes > 0) this.#whole('tcp', this.#first);
    this.#observer = undefined;
    for (const entry of this.#entries.values()) {
      const known = this.#lostTrack || entry.record.upgrade !== null;
      entry.end(known ? reason : (reason ?? 'the connection ended before the answer was whole'));
    }
    this.#entries.clear();
    this.#latest?.end(reason);
  }

  #decide(chunk: Buffer): void {
    const bytes = Buffer.concat([this.#first ?? Buffer.alloc(0), chunk]);
    const protocol = bytes.length > UNDECIDED_MAX ? (protocolOf(bytes) ?? 'other') : protocolOf(bytes);
    if (protocol === undefined) this.#first = bytes;
    else if (protocol === 'http1' && this.#earlyBytes === 0) {
      this.#first = undefined;
      this.#observer = new Http1Observer(this.#events);
      this.#observer.fromCaller(bytes);
      this.#latest?.count(bytes.length, 0);
    } else if (protocol === 'http2' && this.#earlyBytes < UNDECIDED_MAX) {
      this.#first = undefined;
      this.#http2 = new Http2Observer(this.#events);
      this.#observer = this.#http2;
      for (const piece of this.#early.splice(0)) this.#observer.fromApp(piece);
      this.#observer.fromCaller(bytes);
    } else this.#whole(protocol === 'http2' ? 'h2' : 'tcp', bytes);
  }

  /** The connection is one record. */
  #whole(protocol: 'h2' | 'tcp', bytes: Buffer): void {
    this.#first = undefined;
    this.#latest = this.#open({ ...NOTHING, protocol });
    this.#latest.count(bytes.length, this.#earlyBytes);
    this.#early = [];
  }

  #request(exchange: SeenExchange): void {
    const { line, headers } = exchange.request;
    const [, path = '', version] = line.split(' ');
    const entry = this.#open({
      ...NOTHING,
      protocol: version === 'HTTP/2' ? 'h2' : version === 'HTTP/1.0' ? 'http/1.0' : 'http/1.1',
      method: exchange.method,
      path: hidePath(path),
      host: headers.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? null,
    });
    entry.request = exchange.request;
    this.#entries.set(exchange, entry);
    // On HTTP/2 each frame says whose it is.
    if (!this.#http2) this.#latest = entry;
  }

  #answer(exchange: SeenExchange): void {
    const entry = this.#entries.get(exchange);
    if (!entry) return;
    if (entry.keeps) entry.response = exchange.response;
    const { status = null, upgrade = null } = exchange;
    entry.set({ status, upgrade, answerMs: Math.round(entry.age * 10) / 10 });
  }

  #end(exchange: SeenExchange, error: string | undefined): void {
    const entry = this.#entries.get(exchange);
    this.#entries.delete(exchange);
    // With its trailers.
    if (entry?.keeps) entry.response = exchange.response;
    entry?.end(error);
  }

  /** Read no further: what was open ends with the connection. */
  #lost(): void {
    this.#observer = undefined;
    this.#lostTrack = true;
    // Such a connection may go on for days; what was open there is not followed to its end.
    if (this.#http2) for (const entry of this.#entries.values()) entry.end();
    this.#latest ??= this.#open({ ...NOTHING, protocol: this.#http2 ? 'h2' : 'tcp' });
  }

  #open(seen: Seen): Entry<InboundRecord> {
    return this.#journal.open<InboundRecord>({ direction: 'in', ...this.#facts, ...seen });
  }
}
