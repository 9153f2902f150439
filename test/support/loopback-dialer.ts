// A Dialer for tests that dials real loopback sockets by a table of names. Its streams are plain Duplexes, not net.Sockets, and take
// bytes before the connect, as the streams of a link do. `hold` keeps dials undecided so that a test sees what happens meanwhile.
import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { KtError } from '../../src/errors.ts';
import type {
  Connection,
  DatagramFlow,
  Dialer,
  DialOptions,
  RecordType,
  ResolveAnswer,
  Target,
} from '../../src/netstack/dialer.ts';
import { reset } from '../../src/netstack/stream/reset.ts';

export interface LoopbackOptions {
  /** `name` or `name:port` → the loopback port that answers. */
  readonly names: Record<string, number>;
  /** `name` → what the dial fails with, after `hold`. */
  readonly failures?: Record<string, KtError>;
  /** Dials connect only after this has resolved. */
  readonly hold?: Promise<void> | undefined;
}

export interface DialRecord {
  readonly target: Target;
  readonly options: DialOptions;
  readonly stream: LoopbackStream;
}

export class LoopbackDialer implements Dialer {
  readonly dials: DialRecord[] = [];
  readonly flows: Target[] = [];
  openFlows = 0;
  hold: Promise<void> | undefined;
  onDial: ((target: Target) => void) | undefined;
  readonly names: Record<string, number>;
  readonly failures: Record<string, KtError>;
  /** As `failures`, but dial() itself rejects: the opening never left. */
  readonly rejections: Record<string, KtError> = {};
  readonly #waiters: (() => void)[] = [];

  constructor(options: LoopbackOptions) {
    this.names = options.names;
    this.failures = options.failures ?? {};
    this.hold = options.hold;
  }

  dial(target: Target, options: DialOptions = {}): Promise<Connection> {
    const stream = new LoopbackStream();
    this.dials.push({ target, options, stream });
    this.onDial?.(target);
    this.#wake();
    const rejection = this.rejections[target.host];
    if (rejection !== undefined) return Promise.reject(rejection);
    const opened = this.#open(target, stream, options);
    opened.catch((error: Error) => stream.destroy(error));
    const connection = { stream, opened };
    return options.settle ? opened.then(() => connection) : Promise.resolve(connection);
  }

  /** Resolves when `count` dials were made. */
  async dialled(count: number): Promise<void> {
    while (this.dials.length < count) await this.#changed();
  }

  /** Resolves when `count` flows were asked for. */
  async flowing(count: number): Promise<void> {
    while (this.flows.length < count) await this.#changed();
  }

  /** Resolves when no more than `count` flows are open. */
  async flowsClosed(count = 0): Promise<void> {
    while (this.openFlows > count) await this.#changed();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  async #open(target: Target, stream: LoopbackStream, { signal }: DialOptions): Promise<void> {
    const cancelled = new Promise<never>((_, reject) => {
      const cancel = (): void => reject(new KtError('CANCELLED', 'the dial was cancelled'));
      if (signal?.aborted) cancel();
      signal?.addEventListener('abort', cancel, { once: true });
    });
    cancelled.catch(() => undefined);
    await Promise.race([this.hold, cancelled]);
    const failure = this.failures[target.host];
    if (failure !== undefined) throw failure;
    await Promise.race([stream.connect(this.#port(target)), cancelled]);
  }

  #port(target: Target): number {
    const port = this.names[`${target.host}:${target.port}`] ?? this.names[target.host];
    if (port === undefined) throw new KtError('DIAL_NOT_FOUND', `no such name: ${target.host}`);
    return port;
  }

  resolve(name: string, type: RecordType): Promise<ResolveAnswer> {
    const found = this.names[name] !== undefined;
    return Promise.resolve({ found, records: found ? [{ type, name, ttl: 5, data: '127.0.0.1' }] : [] });
  }

  async datagrams(target: Target): Promise<DatagramFlow> {
    this.flows.push(target);
    this.#wake();
    await this.hold;
    const failure = this.failures[target.host];
    if (failure !== undefined) throw failure;
    const port = this.#port(target);
    const socket = createSocket('udp4');
    this.openFlows += 1;
    socket.once('close', () => {
      this.openFlows -= 1;
      this.#wake();
    });
    const flow: DatagramFlow = {
      send: (datagram) => socket.send(datagram, port, '127.0.0.1'),
      onDatagram: undefined,
      onClose: undefined,
      close: () => socket.close(),
    };
    socket.on('message', (datagram) => flow.onDatagram?.(datagram));
    socket.on('error', (error) => flow.onClose?.(error));
    return flow;
  }
}

/** Takes bytes at once and sends them when connected. */
export class LoopbackStream extends Duplex {
  /** Bytes that were written before the connect. */
  early = Buffer.alloc(0);
  #socket: Socket | undefined;
  #whenConnected: (() => void) | undefined;
  #connected = false;
  #received = 0;
  readonly #receiveWaiters: (() => void)[] = [];
  #earlyWaiters: { bytes: number; resolve: () => void }[] = [];

  constructor() {
    super({ allowHalfOpen: true, highWaterMark: 64 * 1024 });
    // A failed dial is told by `opened`; it must not become an uncaught exception besides.
    this.on('error', () => undefined);
  }

  /** Resolves when so many bytes were written while the dial was undecided. */
  async earlyBytes(bytes: number): Promise<Buffer> {
    if (this.early.length < bytes) await new Promise<void>((resolve) => this.#earlyWaiters.push({ bytes, resolve }));
    return this.early;
  }

  /** Resolves when so many bytes have come from the destination. */
  async receivedBytes(bytes: number): Promise<void> {
    while (this.#received < bytes) await new Promise<void>((resolve) => this.#receiveWaiters.push(resolve));
  }

  connect(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
      this.#socket = socket;
      socket.once('error', (error: NodeJS.ErrnoException) => {
        const refused = error.code === 'ECONNREFUSED';
        const known = new KtError(refused ? 'DIAL_REFUSED' : 'STREAM_RESET', error.message, { cause: error });
        reject(known);
        this.destroy(known);
      });
      socket.on('data', (chunk) => {
        this.#received += chunk.length;
        for (const wake of this.#receiveWaiters.splice(0)) wake();
        if (!this.push(chunk)) socket.pause();
      });
      socket.on('end', () => this.push(null));
      socket.on('close', () => this.destroy());
      socket.once('connect', () => {
        this.#connected = true;
        if (this.early.length > 0) socket.write(this.early);
        this.#whenConnected?.();
        resolve();
      });
    });
  }

  override _read(): void {
    this.#socket?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (this.#connected) {
      this.#socket?.write(chunk, callback);
      return;
    }
    this.early = Buffer.concat([this.early, chunk]);
    callback();
    for (const waiter of this.#earlyWaiters) if (this.early.length >= waiter.bytes) waiter.resolve();
  }

  override _final(callback: () => void): void {
    const end = (): void => {
      this.#socket?.end();
      callback();
    };
    if (this.#connected) end();
    else this.#whenConnected = end;
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    if (error === null || this.#socket === undefined) this.#socket?.destroy();
    else reset(this.#socket);
    callback(error);
  }
}
