// Channel 0 of a `v4.channel.k8s.io` port-forward as a Duplex: the first byte of each message is the channel (0 data, 1 error), the
// first two bytes on each channel are the port. Opened by upgrade.ts; carries a mux (session) or one connection (agentless).
// Sources: k8s.io/cri-streaming pkg/streaming/portforward/websocket.go; what was measured: limits in docs/limits.md.
import { Duplex } from 'node:stream';
import { KtError } from '../errors.ts';
import { WebSocketConnection } from '../netstack/websocket/connection.ts';
import { CLOSE_CODE } from '../netstack/websocket/frame.codec.ts';
import { portForwardError } from './port-forward-errors.ts';

/** Bytes of one message: from 64 KiB on, a bigger one gains nothing in the container runtime, which copies whole messages. */
const MESSAGE_MAX_BYTES = 64 * 1024;
/** Bytes that may wait for the reader before the socket is paused, and for the socket before the writer is. */
const BUFFER_BYTES = 256 * 1024;
/** Bytes of an error text that are kept. */
const ERROR_MAX_BYTES = 8 * 1024;
const DATA_CHANNEL = Buffer.from([0]);
/** Each channel begins with its port, as two bytes. */
const PORT_BYTES = 2;
/**
 * Milliseconds without data after which a stream that we have ended is closed. The protocol has no half-close: closing at once
 * would lose an answer that is on its way, and never closing would keep the pod's connection for ever.
 */
const LINGER_MS = 10_000;

export interface PortForwardOptions {
  /** For errors: `shop/orders-0:8080`. */
  readonly name: string;
  readonly mask: 'zero' | 'random';
}

type Done = (error?: Error | null) => void;

export class PortForwardStream extends Duplex {
  readonly #connection: WebSocketConnection;
  readonly #name: string;
  /** Channel of the message that is arriving; -1: its first byte did not come yet. */
  #channel = -1;
  /** Port bytes still to be dropped, for each channel. */
  readonly #toSkip = [PORT_BYTES, PORT_BYTES];
  #errorText = '';
  #paused = false;
  #waiting: Done | undefined;
  #linger: NodeJS.Timeout | undefined;

  constructor(socket: Duplex, head: Buffer, { name, mask }: PortForwardOptions) {
    super({ allowHalfOpen: true, readableHighWaterMark: BUFFER_BYTES, writableHighWaterMark: BUFFER_BYTES });
    this.#name = name;
    this.#connection = new WebSocketConnection(
      socket,
      {
        onData: (piece, start) => this.#message(piece, start),
        onDrain: () => this.#continue(),
        onClose: (code, reason, error) => this.#ended(code, reason, error),
      },
      head,
      { mask },
    );
  }

  /** Round trip of the websocket to the container runtime, in milliseconds. Not to the pod; unanswered while the pod does not read. */
  ping(): Promise<number> {
    return this.#connection.ping();
  }

  /** An empty message: idle timers of runtimes count messages only, pings don't reset them. */
  keepAlive(): void {
    this.#connection.send([DATA_CHANNEL], 1);
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
    let parts: Uint8Array[] = [DATA_CHANNEL];
    let length = 1;
    let ok = true;
    const flush = (): void => {
      if (length > 1) ok = this.#connection.send(parts, length);
      parts = [DATA_CHANNEL];
      length = 1;
    };
    for (const chunk of chunks) {
      for (let offset = 0; offset < chunk.length; ) {
        const part = chunk.subarray(offset, offset + MESSAGE_MAX_BYTES - (length - 1));
        parts.push(part);
        length += part.length;
        offset += part.length;
        if (length > MESSAGE_MAX_BYTES) flush();
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

  #message(piece: Buffer, start: boolean): void {
    if (start) this.#channel = -1;
    let bytes = piece;
    if (this.#channel < 0) {
      const [channel] = bytes;
      if (channel === undefined) return;
      this.#channel = channel;
      bytes = bytes.subarray(1);
    }
    const skip = Math.min(this.#toSkip[this.#channel] ?? 0, bytes.length);
    if (skip > 0) {
      this.#toSkip[this.#channel] = (this.#toSkip[this.#channel] ?? 0) - skip;
      bytes = bytes.subarray(skip);
    }
    if (bytes.length === 0 || this.destroyed) return;
    if (this.#channel === 0) this.#data(bytes);
    else if (this.#channel === 1 && this.#errorText.length < ERROR_MAX_BYTES) this.#errorText += bytes.toString('utf8');
  }

  #data(bytes: Buffer): void {
    if (this.#linger) this.#restartLinger();
    if (this.push(bytes)) return;
    this.#paused = true;
    this.#connection.pause();
  }

  #restartLinger(): void {
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => this.destroy(), LINGER_MS);
    this.#linger.unref();
  }

  #ended(code: number, reason: string, error: Error | undefined): void {
    clearTimeout(this.#linger);
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
