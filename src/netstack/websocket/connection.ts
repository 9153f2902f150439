// An open websocket on a socket: sends messages made of parts, gives out pieces of messages, answers pings, ends with a code.
// Not the handshake (client.ts) and no meaning of messages (src/cluster/port-forward.ts). Back-pressure is the socket's: `send` says
// false until `onDrain`, `pause` stops reading.
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { KtError } from '../../errors.ts';
import { LentReader } from '../stream/lent-reader.ts';
import { CLOSE_CODE, closePayload, FrameDecoder, FrameError, frameHeader, OPCODE, unmask } from './frame.codec.ts';

/** Milliseconds for the other side to answer our close frame. */
const CLOSE_MS = 2_000;
/** Pings that wait for their answer: more at once would mean that nobody waits for them. */
const PINGS_MAX = 8;
/**
 * RFC 6455 §5.3 wants keys that scripts can't foresee, for the sake of proxies that read plain text. Inside of TLS there is none, and a key
 * of zeros saves a pass over every byte.
 */
const ZERO_MASK = Buffer.alloc(4);

export interface ConnectionHandlers {
  /** A piece of a message: `start` its first, `end` its last. The buffer may be kept, unless the connection `lends`. */
  onData(piece: Buffer, start: boolean, end: boolean): void;
  /** Where it `lends`: after the last pieces of a turn. True: some are still in use. */
  onSettle?(): boolean;
  onDrain(): void;
  /** Once, at the end. `code` 1006: the connection broke; then `error` says how, where that is known. */
  onClose(code: number, reason: string, error?: Error): void;
}

export interface ConnectionOptions {
  readonly role?: 'client' | 'server';
  /** `zero` where the socket is encrypted, else `random`. Only clients mask. */
  readonly mask?: 'zero' | 'random';
  readonly maxFrameBytes?: number;
}

export class WebSocketConnection {
  /** Pieces are only lent (stream/lent-reader.ts). */
  readonly lends: boolean;
  readonly #socket: Duplex;
  readonly #handlers: ConnectionHandlers;
  readonly #decoder: FrameDecoder;
  readonly #mask: 'none' | 'zero' | 'random';
  readonly #pings: {
    readonly sent: number;
    readonly resolve: (ms: number) => void;
    readonly reject: (error: Error) => void;
  }[] = [];
  #pingNumber = 0;
  #closeSent = false;
  #broken = false;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;
  #code: number = CLOSE_CODE.abnormal;
  #reason = '';
  #error: Error | undefined;

  /** `head`: bytes that came with the answer to the handshake. They are given out in the next turn, so that handlers can be complete. */
  constructor(socket: Duplex, handlers: ConnectionHandlers, head: Buffer, options: ConnectionOptions = {}) {
    this.#socket = socket;
    this.#handlers = handlers;
    const role = options.role ?? 'client';
    this.#mask = role === 'server' ? 'none' : (options.mask ?? 'random');
    this.#decoder = new FrameDecoder(
      {
        data: (piece, start, end) => handlers.onData(piece, start, end),
        ping: (payload) => this.#control(OPCODE.pong, payload),
        pong: (payload) => this.#pong(payload),
        close: (code, reason) => this.#closed(code, reason),
      },
      { role, ...(options.maxFrameBytes === undefined ? {} : { maxFrameBytes: options.maxFrameBytes }) },
    );
    const reader = LentReader.of(socket);
    this.lends = reader !== undefined;
    if (!reader) socket.on('data', this.#onData);
    socket.on('drain', () => handlers.onDrain());
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.once('end', () => socket.destroy());
    socket.once('close', this.#onSocketClose);
    if (head.length > 0) socket.unshift(head);
    reader?.lend({ take: this.#onData, settle: () => handlers.onSettle?.() ?? false });
  }

  /** True once a close was sent or seen: nothing more can be sent. */
  get closing(): boolean {
    return this.#closeSent || this.#ended;
  }

  /** Sends one binary message, `length` bytes in `parts`. False: wait for onDrain before the next one. The parts are not copied (zero mask). */
  send(parts: readonly Uint8Array[], length: number): boolean {
    if (this.closing) return true;
    return this.#frame(OPCODE.binary, parts, length);
  }

  /** Gathers what is sent until the returned function is called into one write. */
  cork(): () => void {
    this.#socket.cork();
    return () => this.#socket.uncork();
  }

  /** Milliseconds until the peer's answer. Rejects when the connection ends before it. A peer that does not read does not answer either. */
  ping(): Promise<number> {
    if (this.closing || this.#pings.length >= PINGS_MAX) {
      return Promise.reject(
        new KtError('LINK_LOST', this.closing ? 'the websocket is closed' : 'earlier pings were not answered'),
      );
    }
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE((this.#pingNumber = (this.#pingNumber + 1) >>> 0));
    return new Promise((resolve, reject) => {
      this.#pings.push({ sent: performance.now(), resolve, reject });
      this.#control(OPCODE.ping, payload);
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#ended) this.#socket.resume();
  }

  /** Says goodbye and waits, for a bounded time, for the other side's. What it sends until then still arrives. */
  close(code: number = CLOSE_CODE.normal, reason = ''): void {
    if (this.closing) return;
    this.#control(OPCODE.close, closePayload(code, reason));
    this.#closeSent = true;
    this.#code = code;
    this.#reason = reason;
    this.#timer = setTimeout(() => this.#socket.destroy(), CLOSE_MS);
    this.#socket.resume();
  }

  /** Ends at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#broken) return;
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#error = new KtError('LINK_PROTOCOL', `the websocket's other side sent ${error.message}`, { cause: error });
      this.#broken = true;
      if (!this.closing) this.#control(OPCODE.close, closePayload(error.closeCode, ''));
      this.#code = CLOSE_CODE.abnormal;
      this.#closeSent = true;
      this.#socket.end();
      // What it still sends is read and thrown away, but not for ever.
      this.#timer ??= setTimeout(() => this.#socket.destroy(), CLOSE_MS);
    }
  };

  readonly #onSocketClose = (): void => {
    this.#ended = true;
    clearTimeout(this.#timer);
    for (const { reject } of this.#pings.splice(0)) reject(new KtError('LINK_LOST', 'the websocket was closed'));
    this.#handlers.onClose(this.#code, this.#reason, this.#error);
  };

  #closed(code: number, reason: string): void {
    this.#code = code;
    this.#reason = reason;
    // §5.5.1: the answer carries the same code; one that may not be sent is answered without.
    if (!this.#closeSent)
      this.#control(OPCODE.close, code === CLOSE_CODE.noCode ? Buffer.alloc(0) : closePayload(code, ''));
    this.#closeSent = true;
    this.#socket.end();
    this.#timer ??= setTimeout(() => this.#socket.destroy(), CLOSE_MS);
    this.#socket.resume();
  }

  #pong(payload: Buffer): void {
    const number = payload.length === 4 ? payload.readUInt32BE() : -1;
    // Answers may leave out pings before the last (§5.5.3); an answer to no ping is a heartbeat (§5.5.3) and means nothing here.
    const age = (this.#pingNumber - number) >>> 0;
    if (number < 0 || age >= this.#pings.length) return;
    const now = performance.now();
    for (const { sent, resolve } of this.#pings.splice(0, this.#pings.length - age)) resolve(now - sent);
  }

  #control(opcode: number, payload: Buffer): void {
    if (this.closing || !this.#socket.writable) return;
    // A peer that pings but never reads must not fill our memory: its pings are not answered then.
    if (opcode === OPCODE.pong && this.#socket.writableNeedDrain) return;
    this.#socket.cork();
    this.#frame(opcode, [payload], payload.length);
    this.#socket.uncork();
  }

  #frame(opcode: number, parts: readonly Uint8Array[], length: number): boolean {
    if (!this.#socket.writable) return true;
    const random = this.#mask === 'random';
    const mask = random ? randomBytes(4) : this.#mask === 'zero' ? ZERO_MASK : undefined;
    let ok = this.#socket.write(frameHeader(opcode, length, mask));
    let offset = 0;
    for (const part of parts) {
      if (part.length === 0) continue;
      let bytes = part;
      if (random && mask) {
        // The caller's bytes stay as they are.
        bytes = Buffer.from(part);
        offset = unmask(bytes, mask, offset);
      }
      ok = this.#socket.write(bytes);
    }
    return ok;
  }
}
