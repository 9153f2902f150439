// Small real servers and programs for the tests of the laptop's listeners: each on a free loopback port, all closed by `stop()`.
import { execFile } from 'node:child_process';
import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Peer {
  readonly port: number;
  stop(): Promise<void>;
}

/** Listens on a free loopback port; `stop` closes what is open too. */
export function started(server: Server | HttpServer): Promise<Peer> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : 0,
        stop: () =>
          new Promise((done) => {
            server.close(() => done());
            for (const socket of sockets) socket.destroy();
          }),
      });
    });
  });
}

/** A TCP server that half-closes as its handler says. */
export function tcpServer(onSocket: (socket: Socket) => void): Promise<Peer> {
  return started(createServer({ allowHalfOpen: true, noDelay: true }, onSocket));
}

/** Sends back what comes; ends when the client ends. */
export function echoServer(): Promise<Peer> {
  return tcpServer((socket) => socket.pipe(socket));
}

export function httpServer(listener: RequestListener, prepare?: (server: HttpServer) => void): Promise<Peer> {
  const server = createHttpServer(listener);
  prepare?.(server);
  return started(server);
}

/** A port where nobody listens. */
export async function deadPort(): Promise<number> {
  const peer = await echoServer();
  await peer.stop();
  return peer.port;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** curl without the user's configuration and proxy settings. */
export function curl(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'] ?? '' };
    execFile(
      'curl',
      ['-q', '-sS', '--max-time', '15', ...args],
      { env, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
      },
    );
  });
}

/** A client that speaks bytes: writes what it is told, reads what it is asked for. */
export class RawClient {
  readonly socket: Socket;
  /** Resolves when the other side has closed, by FIN or by RST. */
  readonly closed: Promise<void>;
  ended = false;
  error: NodeJS.ErrnoException | undefined;
  #held = Buffer.alloc(0);
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    this.socket.on('data', (chunk: Buffer) => {
      this.#held = Buffer.concat([this.#held, chunk]);
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      const over = (): void => {
        this.ended = true;
        this.#wake();
        resolve();
      };
      this.socket.on('end', over).on('close', over);
      this.socket.on('error', (error) => {
        this.error = error;
        over();
      });
    });
  }

  /** Bytes that came and were not read yet. */
  get heldBytes(): number {
    return this.#held.length;
  }

  send(bytes: string | Uint8Array, encoding: BufferEncoding = 'latin1'): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, encoding) : bytes);
    return this;
  }

  /** Bytes in hex, spaces allowed. */
  hex(bytes: string): this {
    return this.send(Buffer.from(bytes.replaceAll(' ', ''), 'hex'));
  }

  /** The next `count` bytes; fewer where the other side ends before. */
  async read(count: number): Promise<Buffer> {
    await this.#until(() => this.#held.length >= count);
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }

  async readHex(count: number): Promise<string> {
    return (await this.read(count)).toString('hex');
  }

  /** Up to and with `mark`, as latin1. */
  async readTo(mark: string): Promise<string> {
    await this.#until(() => this.#held.includes(mark, 0, 'latin1'));
    const index = this.#held.indexOf(mark, 0, 'latin1');
    return (await this.read(index < 0 ? this.#held.length : index + mark.length)).toString('latin1');
  }

  /** Everything until the other side ends. */
  async readAll(): Promise<Buffer> {
    await this.#until(() => false);
    return this.read(this.#held.length);
  }

  end(): this {
    this.socket.end();
    return this;
  }

  async #until(enough: () => boolean): Promise<void> {
    while (!enough() && !this.ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
