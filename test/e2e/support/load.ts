// A steady load of new connections through the SOCKS5 proxy, each with one HTTP request, and a record of how each one went.
// Used by faults.test.ts: what matters is which dials fail, and when the first one succeeds again.
import { connect, type Socket } from 'node:net';
import { SocksClient } from 'socks';

/** Milliseconds between two new connections. */
const PERIOD_MS = 40;
/** Milliseconds after which a request counts as failed; above everything that kt promises. */
const LIMIT_MS = 40_000;

export interface Attempt {
  readonly startedAt: number;
  endedAt: number;
  /** undefined = answered. */
  error: string | undefined;
}

export class Load {
  readonly attempts: Attempt[] = [];
  readonly #proxy: { host: string; port: number };
  readonly #timer: NodeJS.Timeout;
  readonly #running = new Set<Promise<void>>();
  readonly #waiting = new Set<() => void>();

  constructor(proxy: string, host = 'gateway') {
    const [address = '', port = ''] = proxy.split(':');
    this.#proxy = { host: address, port: Number(port) };
    this.#timer = setInterval(() => this.#start(host), PERIOD_MS);
  }

  /** Resolves with the first attempt, started at or after `since`, that was answered. */
  answeredSince(since: number): Promise<Attempt> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.attempts.find((one) => one.startedAt >= since && one.endedAt > 0 && one.error === undefined);
        if (!found) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Attempts that were started in the time and failed. */
  failedBetween(from: number, to: number): Attempt[] {
    return this.attempts.filter((one) => one.startedAt >= from && one.startedAt <= to && one.error !== undefined);
  }

  /** No new connections; resolves when the open ones have ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#running);
  }

  #start(host: string): void {
    const attempt: Attempt = { startedAt: Date.now(), endedAt: 0, error: undefined };
    this.attempts.push(attempt);
    const run = request(this.#proxy, host)
      .catch((error: Error) => {
        attempt.error = error.message;
      })
      .then(() => {
        attempt.endedAt = Date.now();
        this.#running.delete(run);
        for (const look of this.#waiting) look();
      });
    this.#running.add(run);
  }
}

async function request(proxy: { host: string; port: number }, host: string): Promise<void> {
  const { socket } = await SocksClient.createConnection({
    proxy: { ...proxy, type: 5 },
    command: 'connect',
    destination: { host, port: 80 },
    timeout: LIMIT_MS,
  });
  await answer(socket, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
}

function answer(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = '';
    socket.setTimeout(LIMIT_MS, () => socket.destroy(new Error('no answer')));
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
    });
    socket.on('close', () =>
      received.startsWith('HTTP/1.1 200') ? resolve() : reject(new Error(`cut off after ${received.length} bytes`)),
    );
    socket.resume();
    socket.write(text);
  });
}

/** One stream that stays open and receives all the time; `failed` resolves with the time at which it broke. */
export function holdOpen(proxy: string): {
  readonly failed: Promise<number>;
  readonly flowing: Promise<void>;
  close(): void;
} {
  const [host = '', port = ''] = proxy.split(':');
  const socket = connect(Number(port), host);
  let flows: () => void = () => undefined;
  const flowing = new Promise<void>((resolve) => {
    flows = resolve;
  });
  const failed = new Promise<number>((resolve) => {
    socket.on('close', () => resolve(Date.now()));
  });
  socket.on('error', () => undefined);
  socket.on('data', () => flows());
  socket.write('GET http://stream/events HTTP/1.1\r\nHost: stream\r\n\r\n');
  return { failed, flowing, close: () => socket.destroy() };
}
