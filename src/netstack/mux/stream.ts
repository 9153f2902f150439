// One multiplexed byte stream: a Duplex with half-close, credit in both directions, and a reset with a reason.
// Scheduling and frames are the muxer's (StreamHost); the phases are half-close.machine.ts.
import { Duplex } from 'node:stream';
import { KtError } from '../../errors.ts';
import type { Borrower, Lender } from '../stream/lent-reader.ts';
import { nextPhase, type PhaseEvent, type StreamPhase } from './half-close.machine.ts';
import { INITIAL_WINDOW } from './yamux.codec.ts';

/** Bytes that wait for the reader before credit stops. */
const READ_MARK = 64 * 1024;
/** Bytes that wait to be sent before the writer is told to stop: four reads of a socket, so that it is not stopped at each. */
const WRITE_MARK = 256 * 1024;
/** A stream that carried more than this is bulk and shares the budget with the other bulk streams. */
const BULK_BYTES = 128 * 1024;
/** Payloads up to this size are copied, so that a few bytes that nobody reads do not keep a 64 KiB chunk alive. */
const COPY_BYTES = 2048;

/** What a stream asks of its muxer. */
export interface StreamHost {
  /** Received bytes are only lent: what is kept must be copied. */
  readonly lends: boolean;
  /** The stream lent bytes on: ask it at the end of the turn. */
  lentOn(stream: MuxStream): void;
  /** The stream has bytes to send and credit for them. */
  wantsToSend(stream: MuxStream): void;
  sendFin(stream: MuxStream): void;
  sendReset(stream: MuxStream): void;
  sendCredit(stream: MuxStream, bytes: number): void;
  /** Credit that the peer should have on this stream, in bytes. */
  creditTarget(stream: MuxStream): number;
  /** A bulk stream got data at this moment. */
  sawBulk(stream: MuxStream): void;
  forget(stream: MuxStream): void;
}

type Done = (error?: Error | null) => void;

export class MuxStream extends Duplex implements Lender {
  readonly id: number;
  /** Flags (SYN or ACK) that the next frame has to carry. Muxer's. */
  pendingFlags: number;
  /** performance.now() of the last data. Muxer's. */
  lastDataAt = 0;
  readonly #host: StreamHost;
  #phase: StreamPhase = 'open';
  #sendWindow = INITIAL_WINDOW;
  #receiveWindow = INITIAL_WINDOW;
  #receivedBytes = 0;
  #sentBytes = 0;
  #prefix: ((chunk: Buffer) => Buffer | undefined) | undefined;
  #borrower: Borrower | undefined;
  // Chunks that wait to be sent; `#at` is the first, `#offset` bytes of it are sent.
  #chunks: Buffer[] = [];
  #dones: (Done | undefined)[] = [];
  #at = 0;
  #offset = 0;
  #waiting = 0;

  constructor(host: StreamHost, id: number, pendingFlags: number) {
    super({ allowHalfOpen: true, readableHighWaterMark: READ_MARK, writableHighWaterMark: WRITE_MARK });
    this.#host = host;
    this.id = id;
    this.pendingFlags = pendingFlags;
    // The peer decides when a reset comes, also between two owners of the stream; it must not become an uncaught exception.
    this.on('error', () => undefined);
  }

  /** As those of net.Socket, with what the link itself says on it. */
  get bytesRead(): number {
    return this.#receivedBytes;
  }

  get bytesWritten(): number {
    return this.#sentBytes;
  }

  /** The flags, once. Muxer's. */
  takeFlags(): number {
    const flags = this.pendingFlags;
    this.pendingFlags = 0;
    return flags;
  }

  /** Bytes that could be sent now. */
  get sendable(): number {
    return Math.min(this.#waiting, this.#sendWindow);
  }

  /** Breaks the stream off: the peer gets a reset, whoever uses it here gets `error`. */
  reset(error: Error = new KtError('STREAM_RESET', 'the connection was broken off')): void {
    this.destroy(error);
  }

  /**
   * Gives the first bytes to `take` instead of the reader, until it returns what follows them (empty, where nothing does).
   * For a status in front of the program's bytes, while the reader may already be attached.
   */
  takePrefix(take: (chunk: Buffer) => Buffer | undefined): void {
    this.#prefix = take;
  }

  /** Takes up to `limit` sendable bytes and gives them to `use`, in order; callbacks of finished writes go to `dones`. */
  takeToSend(limit: number, use: (part: Buffer) => void, dones: Done[]): void {
    let left = Math.min(limit, this.sendable);
    this.#sendWindow -= left;
    this.#waiting -= left;
    this.#sentBytes += left;
    while (left > 0) {
      const chunk = this.#chunks[this.#at] as Buffer;
      const take = Math.min(left, chunk.length - this.#offset);
      use(take === chunk.length ? chunk : chunk.subarray(this.#offset, this.#offset + take));
      left -= take;
      this.#offset += take;
      if (this.#offset < chunk.length) continue;
      const done = this.#dones[this.#at];
      if (done) dones.push(done);
      this.#at += 1;
      this.#offset = 0;
    }
    if (this.#at === this.#chunks.length) {
      this.#chunks = [];
      this.#dones = [];
      this.#at = 0;
    }
  }

  /** The peer gave credit. */
  addCredit(bytes: number): void {
    this.#sendWindow += bytes;
    if (this.#waiting > 0) this.#host.wantsToSend(this);
  }

  /** Bytes of a DATA frame. Returns what is wrong with them where they break the protocol. */
  receive(part: Buffer): string | undefined {
    // Destroyed while the frame was coming in.
    if (this.#phase === 'closed') return undefined;
    if (this.#phase === 'remoteEnded') return 'data after its end';
    this.#receiveWindow -= part.length;
    if (this.#receiveWindow < 0) return 'more than its credit';
    this.#receivedBytes += part.length;
    if (this.#receivedBytes > BULK_BYTES) this.#host.sawBulk(this);
    let bytes: Buffer | undefined = part;
    if (this.#prefix) {
      bytes = this.#prefix(this.#host.lends ? Buffer.from(part) : part);
      if (bytes === undefined || this.destroyed) return undefined;
      this.#prefix = undefined;
    }
    if (bytes.length > 0 && this.#deliver(bytes)) this.#giveCredit();
    return undefined;
  }

  /** Bytes that come while the stream flows and none wait go to `borrower`, which listens to 'data' too, unless others listen beside it. */
  lendTo(borrower: Borrower): void {
    this.#borrower = borrower;
  }

  /** At the end of a turn in which bytes were lent on. True: some are still in use. Muxer's. */
  settle(): boolean {
    return this.#borrower?.settle() ?? false;
  }

  /** False: the reader has enough. */
  #deliver(bytes: Buffer): boolean {
    const flows = this.readableFlowing === true && this.readableLength === 0;
    if (this.#borrower && flows && this.listenerCount('data') === 1) {
      this.#borrower.take(bytes);
      this.#host.lentOn(this);
      return !this.destroyed;
    }
    return this.push(this.#host.lends || bytes.length <= COPY_BYTES ? Buffer.from(bytes) : bytes);
  }

  receiveFin(): void {
    if (!this.#step('recvFin')) return;
    this.push(null);
  }

  receiveReset(): void {
    if (this.#step('recvReset')) this.destroy(new KtError('STREAM_RESET', 'the other side broke the connection off'));
  }

  linkLost(reason: KtError): void {
    if (this.#step('linkLost')) this.destroy(reason);
  }

  override _read(): void {
    // Nothing to ask for: the peer sends as it has credit.
  }

  /** Every way of reading but a direct 'data' comes through here; `_read` does not: it is called once per push, before the buffer is empty. */
  override read(size?: number): Buffer | null {
    const chunk = super.read(size) as Buffer | null;
    if (chunk !== null) this.#giveCredit();
    return chunk;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    if (chunk.length === 0) return done();
    this.#queue(chunk, done);
    return this.#host.wantsToSend(this);
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: Done): void {
    const full = chunks.filter(({ chunk }) => chunk.length > 0);
    if (full.length === 0) return done();
    for (const [index, { chunk }] of full.entries()) this.#queue(chunk, index === full.length - 1 ? done : undefined);
    return this.#host.wantsToSend(this);
  }

  override _final(done: Done): void {
    if (this.#phase === 'open' || this.#phase === 'remoteEnded') {
      this.#host.sendFin(this);
      this.#step('sendFin');
    }
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    if (this.#step('sendReset')) this.#host.sendReset(this);
    this.#prefix = undefined;
    const dones = this.#dones.slice(this.#at);
    this.#chunks = [];
    this.#dones = [];
    this.#at = 0;
    this.#waiting = 0;
    done(error);
    for (const one of dones) one?.(error ?? new KtError('STREAM_RESET', 'the stream was destroyed'));
  }

  #queue(chunk: Buffer, done: Done | undefined): void {
    this.#chunks.push(chunk);
    this.#dones.push(done);
    this.#waiting += chunk.length;
  }

  /** Credit = what the peer should have, less what it has and what nobody has read; sent when a quarter of it is free. */
  #giveCredit(): void {
    // Nothing came yet: the initial window is enough, and a stream that is only opened costs no frame.
    if (this.#receivedBytes === 0 || this.#phase === 'remoteEnded' || this.#phase === 'closed') return;
    const target = this.#host.creditTarget(this);
    const free = target - this.#receiveWindow - this.readableLength;
    if (free < target / 4) return;
    this.#receiveWindow += free;
    this.#host.sendCredit(this, free);
  }

  /** False where the event means nothing any more. */
  #step(event: PhaseEvent): boolean {
    const next = nextPhase(this.#phase, event);
    if (next === undefined) return false;
    this.#phase = next;
    if (next === 'closed') this.#host.forget(this);
    return true;
  }
}
