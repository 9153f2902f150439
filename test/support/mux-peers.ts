// Both ends of a link for tests of the mux: two Muxers over a pair of Duplexes, or one Muxer and a peer that speaks single frames.
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import type { KtError } from '../../src/errors.ts';
import { Muxer, type MuxerOptions } from '../../src/netstack/mux/muxer.ts';
import type { MuxStream } from '../../src/netstack/mux/stream.ts';
import { FrameParser, HEADER_BYTES, putHeader } from '../../src/netstack/mux/yamux.codec.ts';
import { duplexPair, type PairEnd, type PairOptions } from './duplex-pair.ts';

export interface MuxEnd {
  readonly muxer: Muxer;
  readonly transport: PairEnd;
  /** Streams that the other side opened, in their order. */
  readonly accepted: MuxStream[];
  /** The reason given to onClose; it must be called once. */
  readonly closed: Promise<KtError>;
  /** Resolves with the next stream that the other side opens. */
  next(): Promise<MuxStream>;
}

export function muxEnd(transport: PairEnd, role: 'client' | 'server', options: Partial<MuxerOptions> = {}): MuxEnd {
  const accepted: MuxStream[] = [];
  const waiting: ((stream: MuxStream) => void)[] = [];
  let taken = 0;
  let close: (error: KtError) => void;
  const closed = new Promise<KtError>((resolve) => {
    let calls = 0;
    close = (error) => {
      calls += 1;
      if (calls > 1) throw new Error('onClose was called twice');
      resolve(error);
    };
  });
  const muxer = new Muxer(transport, {
    role,
    onStream: (stream) => {
      accepted.push(stream);
      const wanted = waiting.shift();
      if (!wanted) return;
      taken += 1;
      wanted(stream);
    },
    onClose: (error) => close(error),
    ...options,
  });
  return {
    muxer,
    transport,
    accepted,
    closed,
    next: () => {
      const stream = accepted[taken];
      if (!stream) return new Promise((resolve) => waiting.push(resolve));
      taken += 1;
      return Promise.resolve(stream);
    },
  };
}

export function muxPair(options: PairOptions = {}): [MuxEnd, MuxEnd] {
  const [left, right] = duplexPair(options);
  return [muxEnd(left, 'client'), muxEnd(right, 'server')];
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly length: number;
  payload: Buffer;
}

/** A peer that sends what the test says and writes down what comes. */
export class RawPeer {
  readonly transport: Duplex;
  readonly frames: Frame[] = [];
  /** Everything that came, for tests of the very bytes. */
  bytes = Buffer.alloc(0);
  ended = false;
  #wake: () => void = () => undefined;

  constructor(transport: Duplex) {
    this.transport = transport;
    const parser = new FrameParser({
      onHeader: (type, flags, id, length) => this.frames.push({ type, flags, id, length, payload: Buffer.alloc(0) }),
      onPayload: (part) => {
        const frame = this.frames.at(-1);
        if (frame) frame.payload = Buffer.concat([frame.payload, part]);
      },
      onFrameEnd: () => undefined,
      onViolation: (message) => {
        throw new Error(message);
      },
    });
    transport.on('data', (chunk: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, chunk]);
      parser.push(chunk);
      this.#wake();
    });
    const over = (): void => {
      this.ended = true;
      this.#wake();
    };
    transport.on('end', over).on('close', over).on('error', over);
  }

  /** Reads nothing more, until `transport.resume()`. */
  stopReading(): void {
    this.transport.pause();
  }

  send(type: number, flags: number, id: number, length: number, payload?: Uint8Array): void {
    this.transport.write(rawFrame(type, flags, id, length, payload));
  }

  data(flags: number, id: number, payload: Uint8Array): void {
    this.send(0, flags, id, payload.length, payload);
  }

  /** Payload bytes that came on a stream. */
  received(id: number): number {
    return this.frames.reduce((sum, frame) => sum + (frame.id === id ? frame.payload.length : 0), 0);
  }

  /** Resolves when `is` holds, asked after every chunk; rejects where the other side hangs up before. */
  async until(is: () => boolean): Promise<void> {
    while (!is()) {
      if (this.ended) throw new Error('the other side hung up');
      await this.#changed();
    }
  }

  /** Resolves with the first whole frame that `is` accepts. */
  async frame(is: (frame: Frame) => boolean): Promise<Frame> {
    let found: Frame | undefined;
    await this.until(() => {
      found = this.frames.find((one) => (one.type !== 0 || one.payload.length === one.length) && is(one));
      return found !== undefined;
    });
    return found as Frame;
  }

  async hungUp(): Promise<void> {
    while (!this.ended) await this.#changed();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

export function rawFrame(type: number, flags: number, id: number, length: number, payload?: Uint8Array): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + (payload?.length ?? 0));
  putHeader(frame, 0, type, flags, id, length);
  if (payload) frame.set(payload, HEADER_BYTES);
  return frame;
}

/** A Muxer and a raw peer of the other role. */
export function muxAndPeer(role: 'client' | 'server', options: Partial<MuxerOptions> = {}): [MuxEnd, RawPeer] {
  const [left, right] = duplexPair();
  return [muxEnd(left, role, options), new RawPeer(right)];
}

/** Everything until the end of the stream; rejects with its error. Not `for await`: that destroys a stream whose own end is on its way. */
export function readAll(stream: Duplex): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('end', () => resolve(Buffer.concat(chunks)));
    stream.once('close', () => reject(stream.errored ?? new Error('closed before its end')));
  });
}

/** Resolves with the error that the stream fails with, or undefined where it closes without one. */
export async function failure(stream: Duplex): Promise<Error | undefined> {
  if (!stream.closed) await once(stream, 'close').catch(() => undefined);
  return stream.errored ?? undefined;
}

/** The event loop has turned `count` times: what was on its way in this process has arrived. */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
