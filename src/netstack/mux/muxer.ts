// The multiplexer: many streams over one transport, in yamux frames, either side may open. Driver of yamux.codec.ts and stream.ts.
// Sends in setImmediate, all of a turn in one cork of the transport, in batches (send-round.ts), control frames first.
// Knows nothing of what a stream is for, nor whether the far end lives (netstack/link does). Used by both ends of a link.
import type { Duplex } from 'node:stream';
import { asKtError, KtError } from '../../errors.ts';
import type { Lender } from '../stream/lent-reader.ts';
import { Budget } from './budget.ts';
import { buffersUsed } from './buffer-memory.ts';
import { ControlQueue } from './control-queue.ts';
import { PeerIds } from './peer-ids.ts';
import { type Dones, SendRound } from './send-round.ts';
import { MuxStream, type StreamHost } from './stream.ts';
import {
  ACK,
  AWAY_NORMAL,
  AWAY_PROTOCOL_ERROR,
  DATA,
  FIN,
  FrameParser,
  GO_AWAY,
  HEADER_BYTES,
  INITIAL_WINDOW,
  PING,
  putHeader,
  RST,
  SYN,
  WINDOW_UPDATE,
} from './yamux.codec.ts';

/** Open streams per link, both directions together. */
const STREAMS_MAX = 4_096;
/** Ids are never used again (spec): after the last one a new link is needed. Half of the 32 bits, for peers that read them signed. */
const STREAM_ID_MAX = 0x7fff_ffff;
/** Pings of ours that wait for their answer. */
const PINGS_MAX = 64;
/** Milliseconds without data after which a bulk stream no longer counts as active. */
const ACTIVE_MS = 500;

export interface MuxerOptions {
  /** client opens odd stream ids, server even ones (spec). */
  readonly role: 'client' | 'server';
  readonly onStream?: (stream: MuxStream) => void;
  /** Called once, when the transport is gone or the protocol was broken; every stream has failed with the same reason. */
  readonly onClose?: (error: KtError) => void;
  /** Ids above are not used. Lower in tests only. */
  readonly streamIdMax?: number;
}

export class Muxer implements StreamHost {
  readonly lends: boolean;
  readonly stats = { bytesReceived: 0, bytesSent: 0, framesReceived: 0, batches: 0 };
  readonly #transport: Duplex;
  readonly #options: MuxerOptions;
  readonly #streams = new Map<number, MuxStream>();
  readonly #parser: FrameParser;
  readonly #budget = new Budget();
  readonly #control = new ControlQueue();
  readonly #active = new Set<MuxStream>();
  readonly #pings = new Map<
    number,
    { readonly at: number; readonly answered: (rtt: number) => void; readonly failed: (error: KtError) => void }
  >();
  readonly #round = new SendRound();
  /** Not announced to the peer yet (theirs: not acknowledged). */
  readonly #opening = new Set<MuxStream>();
  readonly #peerIds: PeerIds;
  /** Lent bytes on in this turn. */
  readonly #lenders = new Set<MuxStream>();
  #scheduled = false;
  #blocked = false;
  #closed = false;
  #fault: KtError | undefined;
  #awayReceived = false;
  #awaySent = false;
  #nextId: number;
  #nextPing = 1;
  #current: MuxStream | undefined;
  #currentFlags = 0;
  #sweptAt = 0;
  readonly #flushNow = (): void => this.#flush();

  constructor(transport: Duplex, options: MuxerOptions) {
    this.#transport = transport;
    this.#options = options;
    this.#nextId = options.role === 'client' ? 1 : 2;
    this.#peerIds = new PeerIds(options.role === 'client' ? 2 : 1);
    this.#parser = new FrameParser({
      onHeader: (type, flags, id, length) => this.#onHeader(type, flags, id, length),
      onPayload: (part) => {
        const fault = this.#current?.receive(part);
        if (fault !== undefined) this.#violation(`stream ${this.#current?.id ?? 0} got ${fault}`);
      },
      onFrameEnd: () => this.#applyFlags(this.#current, this.#currentFlags),
      onViolation: (message) => this.#violation(message),
    });
    this.lends = isLender(transport);
    if (isLender(transport)) transport.lendTo({ take: (chunk) => this.#onData(chunk), settle: () => this.#settle() });
    else transport.on('data', (chunk: Buffer) => this.#onData(chunk));
    transport.on('drain', () => {
      this.#blocked = false;
      this.#schedule();
    });
    transport.on('end', () => this.destroy(new KtError('LINK_LOST', 'the other side closed the connection')));
    transport.on('error', (error) => this.destroy(asKtError(error, 'LINK_LOST')));
    transport.on('close', () => this.destroy(new KtError('LINK_LOST', 'the connection was closed')));
    // A transport that died before this has no event left to tell.
    if (transport.destroyed)
      setImmediate(() => this.destroy(transport.errored ?? new KtError('LINK_LOST', 'the connection was closed')));
  }

  get closed(): boolean {
    return this.#closed;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** No stream can be opened now: STREAM_LIMIT, or the link is gone or going. */
  get full(): boolean {
    return this.#closed || this.#awayReceived || this.#streams.size >= STREAMS_MAX || this.#nextId > this.#idMax;
  }

  /** Bytes that wait in the transport or in streams to be sent. */
  get outstanding(): number {
    if (this.#closed) return 0;
    return this.#transport.writableLength + this.#control.bytes + this.#round.sendable;
  }

  /** Streams that bulk arrives on: a queue that a new stream's answers would wait in. */
  get bulkStreams(): number {
    if (this.#active.size > 0) this.#sweep(performance.now());
    return this.#active.size;
  }

  /** Opens a stream; its first frame carries what was written to it by then. Throws LINK_LOST or STREAM_LIMIT. */
  open(): MuxStream {
    if (this.#closed) throw new KtError('LINK_LOST', 'the link is closed');
    if (this.#awayReceived) throw new KtError('LINK_LOST', 'the other side takes no new streams');
    if (this.#streams.size >= STREAMS_MAX)
      throw new KtError('STREAM_LIMIT', `more than ${STREAMS_MAX} streams at once`);
    if (this.#nextId > this.#idMax) throw new KtError('STREAM_LIMIT', 'this link has no stream ids left');
    const stream = new MuxStream(this, this.#nextId, SYN);
    this.#nextId += 2;
    this.#add(stream);
    return stream;
  }

  get #idMax(): number {
    return this.#options.streamIdMax ?? STREAM_ID_MAX;
  }

  /** Round trip to the peer's muxer in milliseconds. Rejects when the link closes first or too many pings wait. */
  ping(): Promise<number> {
    return new Promise((answered, failed) => {
      if (this.#closed) failed(new KtError('LINK_LOST', 'the link is closed'));
      else if (this.#pings.size >= PINGS_MAX) failed(new KtError('LINK_LOST', 'pings are not answered'));
      else {
        const opaque = this.#nextPing;
        this.#nextPing = (this.#nextPing + 1) >>> 0;
        this.#pings.set(opaque, { at: performance.now(), answered, failed });
        this.#send(PING, SYN, 0, opaque);
      }
    });
  }

  /** Tells the peer to open no more streams; those that are open go on, later ones are reset. */
  goAway(): void {
    if (this.#awaySent || this.#closed) return;
    this.#awaySent = true;
    this.#send(GO_AWAY, 0, 0, AWAY_NORMAL);
  }

  /** Ends the link and fails every stream with the reason. Safe to call again. */
  destroy(error: Error = new KtError('LINK_LOST', 'the link was closed')): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#parser.stop();
    // A peer that breaks the protocol and hangs up broke the protocol.
    const reason = this.#fault ?? asKtError(error, 'LINK_LOST');
    for (const stream of this.#streams.values()) stream.linkLost(reason);
    for (const ping of this.#pings.values()) ping.failed(reason);
    this.#streams.clear();
    this.#pings.clear();
    this.#active.clear();
    this.#round.clear();
    this.#opening.clear();
    this.#transport.destroy();
    this.#options.onClose?.(reason);
  }

  // StreamHost

  wantsToSend(stream: MuxStream): void {
    if (this.#closed || stream.sendable === 0 || this.#round.has(stream)) return;
    this.#round.add(stream);
    this.#schedule();
  }

  sendFin(stream: MuxStream): void {
    this.#send(WINDOW_UPDATE, FIN | stream.takeFlags(), stream.id, 0);
  }

  sendReset(stream: MuxStream): void {
    // A stream that the peer never heard of needs no reset.
    const flags = stream.takeFlags();
    if (flags !== SYN) this.#send(WINDOW_UPDATE, RST | flags, stream.id, 0);
  }

  sendCredit(stream: MuxStream, bytes: number): void {
    this.#send(WINDOW_UPDATE, stream.takeFlags(), stream.id, bytes);
  }

  creditTarget(stream: MuxStream): number {
    const now = performance.now();
    if (now - this.#sweptAt > ACTIVE_MS) this.#sweep(now);
    const share = this.#budget.streamTarget(this.#active.size);
    // A request and its answer fit the window that every stream starts with, and cost no frame for more.
    return this.#active.has(stream) ? share : Math.min(share, INITIAL_WINDOW);
  }

  #sweep(now: number): void {
    this.#sweptAt = now;
    for (const one of this.#active) if (now - one.lastDataAt > ACTIVE_MS) this.#active.delete(one);
  }

  sawBulk(stream: MuxStream): void {
    stream.lastDataAt = performance.now();
    this.#active.add(stream);
  }

  lentOn(stream: MuxStream): void {
    if (this.lends) this.#lenders.add(stream);
  }

  forget(stream: MuxStream): void {
    this.#streams.delete(stream.id);
    this.#active.delete(stream);
    this.#opening.delete(stream);
    this.#round.delete(stream);
  }

  // Receiving

  #onData(chunk: Buffer): void {
    this.stats.bytesReceived += chunk.length;
    buffersUsed(chunk.length);
    // Only bulk is measured. A probe for every byte that comes would be answered by a probe for the probe, on an idle line too.
    if (this.#active.size > 0 && this.#budget.received(chunk.length, performance.now())) {
      this.ping().then(
        (rtt) => this.#budget.probeAnswered(rtt, performance.now()),
        () => this.#budget.probeLost(),
      );
    }
    this.#parser.push(chunk);
  }

  #settle(): boolean {
    let kept = false;
    for (const stream of this.#lenders) if (stream.settle()) kept = true;
    this.#lenders.clear();
    return kept;
  }

  #onHeader(type: number, flags: number, id: number, length: number): void {
    this.stats.framesReceived += 1;
    this.#current = undefined;
    if (type === PING) return this.#onPing(flags, length);
    if (type === GO_AWAY) return this.#onGoAway(length);
    if (id === 0) return this.#violation('a stream frame without a stream');
    if ((flags & SYN) !== 0 && !this.#accept(id)) return undefined;
    const stream = this.#streams.get(id);
    // Frames for a stream that has ended here are on their way still; what they hold is dropped.
    if (type === DATA) {
      this.#current = stream;
      this.#currentFlags = flags;
    } else {
      if (length > 0) stream?.addCredit(length);
      this.#applyFlags(stream, flags);
    }
    return undefined;
  }

  #applyFlags(stream: MuxStream | undefined, flags: number): void {
    if ((flags & FIN) !== 0) stream?.receiveFin();
    if ((flags & RST) !== 0) stream?.receiveReset();
  }

  #onPing(flags: number, opaque: number): void {
    if ((flags & SYN) !== 0) return this.#send(PING, ACK, 0, opaque);
    const ping = this.#pings.get(opaque);
    this.#pings.delete(opaque);
    const now = performance.now();
    if (ping) this.#budget.sample(now - ping.at, now);
    ping?.answered(now - (ping?.at ?? now));
    return undefined;
  }

  #onGoAway(code: number): void {
    if (code === AWAY_NORMAL) this.#awayReceived = true;
    else
      this.destroy(new KtError('LINK_PROTOCOL', `the other side ended the link for a protocol error (code ${code})`));
  }

  /** A new stream of the peer. False: it was refused or the link is broken. */
  #accept(id: number): boolean {
    if (!this.#peerIds.take(id)) {
      this.#violation(`stream ${id} can't be opened by the peer`);
      return false;
    }
    if (this.#streams.size >= STREAMS_MAX || !this.#options.onStream || this.#awaySent) {
      this.#send(WINDOW_UPDATE, RST | ACK, id, 0);
      return false;
    }
    const stream = new MuxStream(this, id, ACK);
    this.#add(stream);
    this.#options.onStream(stream);
    return true;
  }

  #violation(message: string): void {
    if (this.#closed || this.#fault) return;
    this.#fault = new KtError('LINK_PROTOCOL', `not the mux protocol: ${message}`);
    this.#parser.stop();
    const away = Buffer.alloc(HEADER_BYTES);
    putHeader(away, 0, GO_AWAY, 0, 0, AWAY_PROTOCOL_ERROR);
    this.#transport.write(away);
    // The reason leaves first.
    setImmediate(() => this.destroy());
  }

  // Sending

  #add(stream: MuxStream): void {
    this.#streams.set(stream.id, stream);
    this.#opening.add(stream);
    this.#schedule();
  }

  #send(type: number, flags: number, id: number, length: number): void {
    if (this.#closed) return;
    if (this.#control.push(type, flags, id, length)) this.#schedule();
    else this.destroy(new KtError('LINK_PROTOCOL', 'the other side asks faster than it reads the answers'));
  }

  #schedule(): void {
    if (this.#scheduled || this.#blocked || this.#closed) return;
    this.#scheduled = true;
    setImmediate(this.#flushNow);
  }

  #flush(): void {
    this.#scheduled = false;
    this.#announce();
    if (this.#closed || (this.#control.bytes === 0 && this.#round.size === 0)) return;
    const dones: Dones = [];
    // One write for all batches of a turn, where the transport is a socket.
    this.#transport.cork();
    while (!this.#closed && (this.#control.bytes > 0 || this.#round.size > 0)) {
      if (this.#transport.writableNeedDrain) {
        this.#blocked = true;
        break;
      }
      const sent = this.#round.writeBatch(this.#transport, this.#control, dones);
      this.stats.bytesSent += sent;
      buffersUsed(sent);
      this.stats.batches += 1;
      for (const done of dones.splice(0)) done();
    }
    this.#transport.uncork();
  }

  /** New streams that nothing was written to yet are announced by a frame of their own. */
  #announce(): void {
    for (const stream of this.#opening) {
      if (stream.pendingFlags !== 0 && !this.#round.has(stream))
        this.#send(WINDOW_UPDATE, stream.takeFlags(), stream.id, 0);
    }
    this.#opening.clear();
  }
}

function isLender(transport: Duplex): transport is Duplex & Lender {
  return typeof (transport as Partial<Lender>).lendTo === 'function';
}
