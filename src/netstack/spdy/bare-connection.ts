// A socket that was switched to another protocol, with the face of a websocket's connection: bytes instead of messages. Used by
// src/cluster/port-forward-stream.ts for SPDY without a websocket around it.
import type { Duplex } from 'node:stream';
import { LentReader } from '../stream/lent-reader.ts';
import type { ConnectionHandlers } from '../websocket/connection.ts';
import { CLOSE_CODE } from '../websocket/frame.codec.ts';

/** Milliseconds for what was sent to leave. */
const CLOSE_MS = 2_000;

export class BareConnection {
  /** Bytes are only lent (stream/lent-reader.ts). */
  readonly lends: boolean;
  readonly #socket: Duplex;
  #error: Error | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(socket: Duplex, handlers: ConnectionHandlers, head: Buffer) {
    this.#socket = socket;
    const reader = LentReader.of(socket);
    this.lends = reader !== undefined;
    const take = (bytes: Buffer): void => handlers.onData(bytes, false, false);
    if (!reader) socket.on('data', take);
    socket.on('drain', () => handlers.onDrain());
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.once('end', () => socket.destroy());
    socket.once('close', () => {
      clearTimeout(this.#timer);
      // There is no goodbye: whoever knows the bytes knows whether they were all.
      handlers.onClose(this.#closing ? CLOSE_CODE.normal : CLOSE_CODE.abnormal, '', this.#error);
    });
    if (head.length > 0) socket.unshift(head);
    reader?.lend({ take, settle: () => handlers.onSettle?.() ?? false });
  }

  /** False: wait for onDrain before the next ones. */
  send(parts: readonly Uint8Array[]): boolean {
    if (!this.#socket.writable) return true;
    let ok = true;
    for (const part of parts) ok = this.#socket.write(part);
    return ok;
  }

  cork(): () => void {
    this.#socket.cork();
    return () => this.#socket.uncork();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#socket.end();
    this.#socket.resume();
    this.#timer = setTimeout(() => this.#socket.destroy(), CLOSE_MS);
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
