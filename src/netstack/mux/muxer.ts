// The multiplexer: many streams over one transport, in yamux frames, either side may open. Driver of yamux.codec.ts and stream.ts.
// Round robin between streams, control frames first, one batch of at most 64 KiB per cork of the transport, written in setImmediate.
// Knows nothing of what a stream is for, nor whether the far end lives (netstack/link does). Used by both ends of a link.
import type { Duplex } from 'node:stream';
import { asKtError, KtError } from '../../errors.ts';
import { Budget } from './budget.ts';
import { ControlQueue } from './control-queue.ts';
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
  PING,
  putHeader,
  RST,
  SYN,
  WINDOW_UPDATE,
} from './yamux.codec.ts';

/** Open streams per link, both directions together. */
const STREAMS_MAX = 4_096;
/** Ids are 31 bits and are never used again (spec): after that a new link is needed. */
const STREAM_ID_MAX = 0x7fff_ffff;
/** One batch becomes one message of a message-oriented transport; an API server buffers messages whole. */
const BATCH_BYTES = 64 * 1024;
/** A batch with less room than this left is sent as it is. */
const FRAME_BYTES_MIN = 4 * 1024;
/** Payloads up to this size are copied beside their header: one write instead of two. */
const INLINE_BYTES = 2 * 1024;
/** Slabs for headers and small payloads. */
const SLAB_BYTES = 64 * 1024;
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
}

export class Muxer implements StreamHost {
  readonly stats = { bytesReceived: 0, bytesSent: 0, framesReceived: 0, framesSent: 0, batches: 0 };
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
  #ring: MuxStream[] = [];
  #opening: MuxStream[] = [];
  #scheduled = false;
  #blocked = false;
  #closed = false;
  #awayReceived = false;
  #nextId: number;
  #lastPeerId = 0;
  #nextPing = 1;
  #current: MuxStream | undefined;
  #currentFlags = 0;
  #slab = Buffer.allocUnsafe(SLAB_BYTES);
  #slabAt = 0;
  readonly #flushNow = (): void => this.#flush();

  constructor(transport: Duplex, options: MuxerOptions) {
    this.#transport = transport;
    this.#options = options;
    this.#nextId = options.role === 'client' ? 1 : 2;
    this.#parser = new FrameParser({
      onHeader: (type, flags, id, length) => this.#onHeader(type, flags, id, length),
      onPayload: (part) => {
        if (this.#current && !this.#current.receive(part))
          this.#violation(`stream ${this.#current.id} got more than its credit`);
      },
      onFrameEnd: () => this.#applyFlags(this.#current, this.#currentFlags),
      onViolation: (message) => this.#violation(message),
    });
    transport.on('data', (chunk: Buffer) => this.#onData(chunk));
    transport.on('drain', () => {
      this.#blocked = false;
      this.#schedule();
    });
    transport.on('end', () => this.destroy(new KtError('LINK_LOST', 'the other side closed the connection')));
    transport.on('error', (error) => this.destroy(asKtError(error, 'LINK_LOST')));
    transport.on('close', () => this.destroy(new KtError('LINK_LOST', 'the connection was closed')));
  }

  get closed(): boolean {
    return this.#closed;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** Bytes that wait in the transport or in streams to be sent. */
  get outstanding(): number {
    let bytes = this.#transport.writableLength;
    for (const stream of this.#ring) bytes += stream.sendable;
    return bytes;
  }

  /** Opens a stream; its first frame carries what was written to it by then. Throws LINK_LOST or STREAM_LIMIT. */
  open(): MuxStream {
    if (this.#closed) throw new KtError('LINK_LOST', 'the link is closed');
    if (this.#awayReceived) throw new KtError('LINK_LOST', 'the other side takes no new streams');
    if (this.#streams.size >= STREAMS_MAX)
      throw new KtError('STREAM_LIMIT', `more than ${STREAMS_MAX} streams at once`);
    if (this.#nextId > STREAM_ID_MAX) throw new KtError('STREAM_LIMIT', 'this link has no stream ids left');
    const stream = new MuxStream(this, this.#nextId, SYN);
    this.#nextId += 2;
    this.#add(stream);
    return stream;
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

  /** Tells the peer to open no more streams; those that are open go on. */
  goAway(): void {
    if (!this.#closed) this.#send(GO_AWAY, 0, 0, AWAY_NORMAL);
  }

  /** Ends the link and fails every stream with the reason. Safe to call again. */
  destroy(error: Error = new KtError('LINK_LOST', 'the link was closed')): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#parser.stop();
    const reason = asKtError(error, 'LINK_LOST');
    for (const stream of this.#streams.values()) stream.linkLost(reason);
    for (const ping of this.#pings.values()) ping.failed(reason);
    this.#streams.clear();
    this.#pings.clear();
    this.#active.clear();
    this.#ring = [];
    this.#opening = [];
    this.#transport.destroy();
    this.#options.onClose?.(reason);
  }

  // StreamHost

  wantsToSend(stream: MuxStream): void {
    if (stream.queuedToSend || this.#closed || stream.sendable === 0) return;
    stream.queuedToSend = true;
    this.#ring.push(stream);
    this.#schedule();
  }

  sendFin(stream: MuxStream): void {
    this.#send(WINDOW_UPDATE, FIN | this.#takeFlags(stream), stream.id, 0);
  }

  sendReset(stream: MuxStream): void {
    // A stream that the peer never heard of needs no reset.
    if (stream.pendingFlags !== SYN) this.#send(WINDOW_UPDATE, RST | this.#takeFlags(stream), stream.id, 0);
    stream.pendingFlags = 0;
  }

  sendCredit(stream: MuxStream, bytes: number): void {
    this.#send(WINDOW_UPDATE, this.#takeFlags(stream), stream.id, bytes);
  }

  creditTarget(stream: MuxStream): number {
    if (!this.#active.has(stream)) return this.#budget.streamTarget(Math.max(1, this.#active.size));
    const now = performance.now();
    for (const one of this.#active) if (now - one.lastDataAt > ACTIVE_MS) this.#active.delete(one);
    return this.#budget.streamTarget(this.#active.size);
  }

  sawBulk(stream: MuxStream): void {
    stream.lastDataAt = performance.now();
    this.#active.add(stream);
  }

  forget(stream: MuxStream): void {
    this.#streams.delete(stream.id);
    this.#active.delete(stream);
  }

  // Receiving

  #onData(chunk: Buffer): void {
    this.stats.bytesReceived += chunk.length;
    if (this.#budget.received(chunk.length, performance.now())) {
      this.ping().then(
        (rtt) => this.#budget.probeAnswered(rtt, performance.now()),
        () => undefined,
      );
    }
    this.#parser.push(chunk);
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
    ping?.answered(performance.now() - ping.at);
    return undefined;
  }

  #onGoAway(code: number): void {
    if (code === AWAY_NORMAL) this.#awayReceived = true;
    else
      this.destroy(new KtError('LINK_PROTOCOL', `the other side ended the link for a protocol error (code ${code})`));
  }

  /** A new stream of the peer. False: it was refused or the link is broken. */
  #accept(id: number): boolean {
    const theirs = id % 2 === (this.#options.role === 'client' ? 0 : 1);
    if (!theirs || id <= this.#lastPeerId) {
      this.#violation(`stream ${id} can't be opened by the peer`);
      return false;
    }
    this.#lastPeerId = id;
    if (this.#streams.size >= STREAMS_MAX || !this.#options.onStream) {
      this.#send(WINDOW_UPDATE, RST | ACK, id, 0);
      return false;
    }
    const stream = new MuxStream(this, id, ACK);
    this.#add(stream);
    this.#options.onStream(stream);
    return true;
  }

  #violation(message: string): void {
    if (this.#closed) return;
    this.#parser.stop();
    const away = Buffer.alloc(HEADER_BYTES);
    putHeader(away, 0, GO_AWAY, 0, 0, AWAY_PROTOCOL_ERROR);
    this.#transport.write(away);
    const error = new KtError('LINK_PROTOCOL', `not the mux protocol: ${message}`);
    // The reason leaves first; the streams learn of it at once.
    setImmediate(() => this.destroy(error));
  }

  // Sending

  #add(stream: MuxStream): void {
    this.#streams.set(stream.id, stream);
    this.#opening.push(stream);
    this.#schedule();
  }

  #takeFlags(stream: MuxStream): number {
    const flags = stream.pendingFlags;
    stream.pendingFlags = 0;
    return flags;
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
    const dones: ((error?: Error | null) => void)[] = [];
    while (!this.#closed && (this.#control.bytes > 0 || this.#ring.length > 0)) {
      if (this.#transport.writableNeedDrain) {
        this.#blocked = true;
        return;
      }
      this.#transport.cork();
      const sent = this.#writeBatch(dones);
      this.#transport.uncork();
      this.stats.bytesSent += sent;
      this.stats.batches += 1;
      for (const done of dones.splice(0)) done();
    }
  }

  /** New streams that nothing was written to yet are announced by a frame of their own. */
  #announce(): void {
    const opening = this.#opening;
    this.#opening = [];
    for (const stream of opening) {
      if (stream.pendingFlags !== 0 && !stream.queuedToSend && !stream.destroyed)
        this.#send(WINDOW_UPDATE, this.#takeFlags(stream), stream.id, 0);
    }
  }

  #writeBatch(dones: ((error?: Error | null) => void)[]): number {
    const transport = this.#transport;
    const control = this.#control.take(BATCH_BYTES);
    let bytes = 0;
    if (control.length > 0) {
      transport.write(control);
      bytes += control.length;
    }
    while (this.#ring.length > 0 && (bytes === 0 || BATCH_BYTES - bytes >= FRAME_BYTES_MIN + HEADER_BYTES)) {
      const stream = this.#ring.shift() as MuxStream;
      stream.queuedToSend = false;
      const length = Math.min(stream.sendable, BATCH_BYTES - bytes - HEADER_BYTES);
      if (length <= 0) continue;
      this.#writeFrame(stream, length, dones);
      bytes += HEADER_BYTES + length;
      this.wantsToSend(stream);
    }
    return bytes;
  }

  #writeFrame(stream: MuxStream, length: number, dones: ((error?: Error | null) => void)[]): void {
    const transport = this.#transport;
    const inline = length <= INLINE_BYTES;
    const frame = this.#allocate(inline ? HEADER_BYTES + length : HEADER_BYTES);
    putHeader(frame, 0, DATA, this.#takeFlags(stream), stream.id, length);
    this.stats.framesSent += 1;
    if (inline) {
      let at = HEADER_BYTES;
      stream.takeToSend(
        length,
        (part) => {
          at += part.copy(frame, at);
        },
        dones,
      );
      transport.write(frame);
    } else {
      transport.write(frame);
      stream.takeToSend(length, (part) => transport.write(part), dones);
    }
  }

  #allocate(bytes: number): Buffer {
    if (this.#slabAt + bytes > SLAB_BYTES) {
      this.#slab = Buffer.allocUnsafe(SLAB_BYTES);
      this.#slabAt = 0;
    }
    const part = this.#slab.subarray(this.#slabAt, this.#slabAt + bytes);
    this.#slabAt += bytes;
    return part;
  }
}
