// The bytes of a port-forward, over a websocket or bare, as a Duplex; how messages hold them is the framing's (port-forward-framing.ts).
// Opened by upgrade.ts; carries a mux (session) or one connection (agentless). What was measured: limits in docs/limits.md.
import { Duplex } from 'node:stream';
import { KtError } from '../errors.ts';
import { BareConnection } from '../netstack/spdy/bare-connection.ts';
import type { Borrower, Lender } from '../netstack/stream/lent-reader.ts';
import { type ConnectionHandlers, WebSocketConnection } from '../netstack/websocket/connection.ts';
import { CLOSE_CODE } from '../netstack/websocket/frame.codec.ts';
import { portForwardError } from './port-forward-errors.ts';
import type { Framing, FramingSink } from './port-forward-framing.ts';

/**
 * Bytes of one message: from 64 KiB on, a bigger one gains nothing in the container runtime, which copies whole messages. A little more, for the
 * mux's headers beside 64 KiB.
 */
const MESSAGE_MAX_BYTES = 65 * 1024;
/** Bytes that may wait for the reader before the socket is paused, and for the socket before the writer is. */
const BUFFER_BYTES = 256 * 1024;
/** Bytes of an error text that are kept. */
const ERROR_MAX_BYTES = 8 * 1024;
/**
 * Milliseconds without data after which a stream that we have ended is closed. The protocol has no half-close: closing at once
 * would lose an answer that is on its way, and never closing would keep the pod's connection for ever.
 */
const LINGER_MS = 10_000;

export interface PortForwardOptions {
  /** For errors: `shop/orders-0:8080`. */
  readonly name: string;
  /** 'none': there is no websocket, the framing is all. */
  readonly mask: 'zero' | 'random' | 'none';
  readonly framing: Framing;
}

/** Milliseconds in which the reason comes behind the end of the data: the runtime sends both in the same moment, in either order. */
const REASON_MS = 100;

type Done = (error?: Error | null) => void;

export class PortForwardStream extends Duplex implements Lender {
  /** There is no websocket. */
  readonly bare: boolean;
  readonly #connection: WebSocketConnection | BareConnection;
  readonly #name: string;
  readonly #framing: Framing;
  #errorText = '';
  #paused = false;
  #waiting: Done | undefined;
  #linger: NodeJS.Timeout | undefined;
  /** The data has ended; why may still come. */
  #reason: NodeJS.Timeout | undefined;
  #borrower: Borrower | undefined;

  constructor(socket: Duplex, head: Buffer, { name, mask, framing }: PortForwardOptions) {
    super({ allowHalfOpen: true, readableHighWaterMark: BUFFER_BYTES, writableHighWaterMark: BUFFER_BYTES });
    this.#name = name;
    this.bare = mask === 'none';
    this.#framing = framing;
    const sink: FramingSink = {
      data: (bytes) => this.#data(bytes),
      errorText: (bytes) => {
        if (this.#errorText.length < ERROR_MAX_BYTES) this.#errorText += bytes.toString('utf8');
      },
      end: (reset) => {
        if (reset) this.#ended(CLOSE_CODE.abnormal, '', undefined);
        else if (this.#errorText !== '') this.#ended(CLOSE_CODE.normal, '', undefined);
        else this.#reason ??= setTimeout(() => this.#ended(CLOSE_CODE.normal, '', undefined), REASON_MS);
      },
      reply: (message) => void this.#connection.send([message], message.length),
      violation: (message) =>
        void this.destroy(new KtError('LINK_PROTOCOL', `the port-forward to ${name} got ${message}`)),
    };
    const handlers: ConnectionHandlers = {
      onData: (piece, start) => {
        if (!this.destroyed) framing.receive(piece, start, sink);
      },
      onSettle: () => this.#borrower?.settle() ?? false,
      onDrain: () => this.#continue(),
      onClose: (code, reason, error) => this.#ended(code, reason, error),
    };
    this.#connection =
      mask === 'none'
        ? new BareConnection(socket, handlers, head)
        : new WebSocketConnection(socket, handlers, head, { mask });
    for (const message of framing.opening) this.#connection.send([message], message.length);
  }

  /** From now on bytes go to `borrower` instead of the reader, without back-pressure: the mux has its own. Its end is an event as ever. */
  lendTo(borrower: Borrower): void {
    for (let chunk = this.read() as Buffer | null; chunk; chunk = this.read() as Buffer | null) borrower.take(chunk);
    this.#borrower = borrower;
    this.resume();
  }

  /** Round trip of the websocket, in milliseconds. Not to the pod; unanswered while the pod does not read. */
  ping(): Promise<number> {
    if (this.#connection instanceof WebSocketConnection) return this.#connection.ping();
    return Promise.reject(new KtError('UNSUPPORTED', 'there is no websocket to ping'));
  }

  /** A message without data: idle timers of runtimes count messages only, pings of the websocket don't reset them. */
  keepAlive(): void {
    const message = this.#framing.keepAlive();
    this.#connection.send([message], message.length);
  }

  override _read(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#connection.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: Done): void {
    this.#send([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: Done): void {
    this.#restartLinger();
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    clearTimeout(this.#linger);
    clearTimeout(this.#reason);
    // An orderly end says goodbye, so that the runtime need not log a broken connection.
    if (error) this.#connection.destroy();
    else this.#connection.close(CLOSE_CODE.normal);
    done(error);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(error);
  }

  /** Sends chunks as messages of at most MESSAGE_MAX_BYTES, in one write to the socket; no chunk is copied or joined. */
  #send(chunks: readonly Buffer[], done: Done): void {
    const uncork = this.#connection.cork();
    let parts: Uint8Array[] = [];
    let length = 0;
    let ok = true;
    const flush = (): void => {
      if (length === 0) return;
      const header = this.#framing.header(length);
      ok = this.#connection.send([header, ...parts], header.length + length);
      parts = [];
      length = 0;
    };
    for (const chunk of chunks) {
      // Rather a shorter message than a chunk in two.
      if (length + chunk.length > MESSAGE_MAX_BYTES) flush();
      for (let offset = 0; offset < chunk.length; ) {
        const part = chunk.subarray(offset, offset + MESSAGE_MAX_BYTES - length);
        parts.push(part);
        length += part.length;
        offset += part.length;
        if (length === MESSAGE_MAX_BYTES) flush();
      }
    }
    flush();
    uncork();
    if (ok) done();
    else this.#waiting = done;
  }

  #continue(): void {
    const done = this.#waiting;
    this.#waiting = undefined;
    done?.();
  }

  #data(bytes: Buffer): void {
    if (this.destroyed) return;
    if (this.#linger) this.#restartLinger();
    if (this.#borrower) return this.#borrower.take(bytes);
    // Bytes that came with the answer to the handshake are given out while the connection is being made.
    const connection = this.#connection as WebSocketConnection | BareConnection | undefined;
    if (this.push(connection?.lends === false ? bytes : Buffer.from(bytes))) return;
    this.#paused = true;
    connection?.pause();
  }

  #restartLinger(): void {
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => this.destroy(), LINGER_MS);
    this.#linger.unref();
  }

  #ended(code: number, reason: string, error: Error | undefined): void {
    clearTimeout(this.#linger);
    clearTimeout(this.#reason);
    if (this.destroyed) return;
    if (this.#errorText !== '') this.destroy(portForwardError(this.#errorText, this.#name));
    else if (code === CLOSE_CODE.normal) this.#close();
    else this.destroy(brokenError(code, reason, error, this.#name));
  }

  /** The other side ended in order: what it sent can still be read; nothing can be written. */
  #close(): void {
    this.push(null);
    this.#continue();
    if (!this.writableEnded) this.end();
  }
}

function brokenError(code: number, reason: string, error: Error | undefined, name: string): KtError {
  if (error instanceof KtError) return error;
  const how =
    code === CLOSE_CODE.abnormal
      ? (error?.message ?? 'it ended without a goodbye')
      : `closed with ${code}${reason ? ` (${reason})` : ''}`;
  return new KtError('LINK_LOST', `the port-forward to ${name} broke: ${how}`, { cause: error });
}
