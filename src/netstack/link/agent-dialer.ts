// The dialer that goes through the agent: each dial is one stream on a link of the pool.
// Does not decide what goes this way (netstack/route). Passes test/compliance/dialer.ts.
import { asKtError, KtError } from '../../errors.ts';
import type { Connection, DatagramFlow, Dialer, DialOptions, RecordType, ResolveAnswer, Target } from '../dialer.ts';
import type { MuxStream } from '../mux/stream.ts';
import { DatagramDecoder, encodeDatagram } from '../stream/datagram.codec.ts';
import type { OpenHeader } from '../stream/header.codec.ts';
import { parseAnswer } from './answer.codec.ts';
import type { LinkPool } from './pool.ts';
import { settle } from './settle.ts';

/** Milliseconds for the far end's connect: what people wait at most, and less than the 15 s of SOCKS clients. */
const DIAL_MS = 10_000;
/** Milliseconds on top, for the way to the agent and back on a slow line, before the laptop gives up by itself. */
const ANSWER_GRACE_MS = 5_000;
/** Bytes of one answer to a name; 1,000 addresses of a headless Service are about 100 KB. */
const ANSWER_BYTES_MAX = 1024 * 1024;
/** Attempts of a dial whose link died before the answer; each one waits for a link (LINK_PARKED ends it). */
const ATTEMPTS_MAX = 5;

const lost = (error: unknown): boolean =>
  error instanceof KtError && (error.code === 'LINK_LOST' || error.code === 'LINK_DEAD');

export class AgentDialer implements Dialer {
  readonly #pool: LinkPool;

  constructor(pool: LinkPool) {
    this.#pool = pool;
  }

  async dial(target: Target, options: DialOptions = {}): Promise<Connection> {
    const timeoutMs = options.timeoutMs ?? DIAL_MS;
    const header: OpenHeader = { v: 1, kind: 'tcp', host: target.host, port: target.port, timeoutMs };
    for (let attempt = 1; ; attempt += 1) {
      const connection = await this.#open(header, timeoutMs, options.signal);
      if (!options.settle) return connection;
      try {
        await connection.opened;
        return connection;
      } catch (error) {
        // Nothing of the program's was sent yet, so to try again is safe.
        if (!lost(error) || attempt >= ATTEMPTS_MAX) throw error;
      }
    }
  }

  async resolve(name: string, type: RecordType, options: DialOptions = {}): Promise<ResolveAnswer> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const { timeoutMs = DIAL_MS, signal } = options;
        const { stream, opened } = await this.#open({ v: 1, kind: 'resolve', host: name, type }, timeoutMs, signal);
        stream.end();
        const [bytes] = await Promise.all([collect(stream, timeoutMs + ANSWER_GRACE_MS, signal), opened]);
        return parseAnswer(bytes);
      } catch (error) {
        if (!lost(error) || attempt >= ATTEMPTS_MAX) throw asKtError(error, 'DIAL_FAILED');
      }
    }
  }

  async datagrams(target: Target, options: DialOptions = {}): Promise<DatagramFlow> {
    const { stream } = await this.#open(
      { v: 1, kind: 'udp', host: target.host, port: target.port },
      options.timeoutMs ?? DIAL_MS,
      options.signal,
    );
    const decoder = new DatagramDecoder();
    let closed = false;
    const close = (error?: Error): void => {
      if (closed) return;
      closed = true;
      flow.onClose?.(error);
    };
    const flow: DatagramFlow = {
      onDatagram: undefined,
      onClose: undefined,
      send: (datagram) => {
        if (!closed && !stream.writableNeedDrain) stream.write(encodeDatagram(datagram));
      },
      close: () => {
        stream.end();
        stream.destroy();
      },
    };
    stream.on('data', (chunk: Buffer) => {
      for (const datagram of decoder.push(chunk)) flow.onDatagram?.(datagram);
    });
    stream.on('error', close);
    stream.on('close', () => close());
    stream.on('end', () => stream.end());
    return flow;
  }

  async #open(
    header: OpenHeader,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Connection & { stream: MuxStream }> {
    const link = await this.#pool.acquire(signal);
    const stream = link.openStream(header);
    return { stream, opened: settle(stream, timeoutMs + ANSWER_GRACE_MS, signal) };
  }
}

/** Everything until the end, within the limits of size and time. */
async function collect(stream: MuxStream, limitMs: number, signal: AbortSignal | undefined): Promise<Buffer> {
  const cancel = (): void => stream.reset(new KtError('CANCELLED', 'the lookup was cancelled'));
  const late = (): void => stream.reset(new KtError('DIAL_TIMEOUT', `no whole answer within ${limitMs} ms`));
  const timer = setTimeout(late, limitMs);
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > ANSWER_BYTES_MAX) throw new KtError('LINK_PROTOCOL', 'the answer to a name is too long');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', cancel);
  }
}
