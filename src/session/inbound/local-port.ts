// One local port of the laptop as inbound streams reach it: a TCP connection, or a refusal at once where the port was silent a moment ago.
// A program that hangs (stopped in a debugger, its backlog full) lets each connection wait: the first one does, those behind it are
// refused, so that the original pods answer, until a probe finds that it takes connections again. Called by serve-inbound.ts and modes/hold.ts.
import { connect, type Socket } from 'node:net';

/** Milliseconds for the local port: it is this machine, and the agent waits for 2 s altogether. */
const LOCAL_MS = 1_500;
/** Milliseconds between probes of a silent port. */
const PROBE_MS = 500;
/** IPv6's loopback second: some development servers listen on `localhost` there only. */
const LOOPBACKS = ['127.0.0.1', '::1'];

export interface LocalPortLimits {
  readonly localMs?: number;
  readonly probeMs?: number;
}

export class LocalPort {
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
  readonly #localMs: number;
  readonly #probeMs: number;
  #silent = false;

  constructor(port: number, protocol: 'TCP' | 'UDP', { localMs = LOCAL_MS, probeMs = PROBE_MS }: LocalPortLimits = {}) {
    this.port = port;
    this.protocol = protocol;
    this.#localMs = localMs;
    this.#probeMs = probeMs;
  }

  /** It let a connection wait, and takes none yet. */
  get silent(): boolean {
    return this.#silent;
  }

  /** Rejects where neither loopback address answers. */
  async connect(): Promise<Socket> {
    if (this.#silent) throw new Error('it did not answer a moment ago');
    try {
      return await connectLocal(this.port, this.#localMs);
    } catch (error) {
      if (error instanceof Silent) this.#doubt();
      throw error;
    }
  }

  #doubt(): void {
    if (this.#silent) return;
    this.#silent = true;
    void this.#probe();
  }

  /** Ends with the process, or when the port takes or refuses a connection: both say at once what is the matter. */
  async #probe(): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, this.#probeMs).unref());
      try {
        (await connectLocal(this.port, this.#localMs)).destroy();
        break;
      } catch (error) {
        if (!(error instanceof Silent)) break;
      }
    }
    this.#silent = false;
  }
}

class Silent extends Error {}

/** To whichever loopback address answers; all of them together have `limitMs`. Rejects with what the first one said. */
export async function connectLocal(port: number, limitMs = LOCAL_MS): Promise<Socket> {
  const end = performance.now() + limitMs;
  let last: unknown;
  for (const host of LOOPBACKS) {
    try {
      return await connectTo(host, port, Math.max(0, end - performance.now()));
    } catch (error) {
      last ??= error;
    }
  }
  throw last;
}

function connectTo(host: string, port: number, limitMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const timer = setTimeout(() => socket.destroy(new Silent('no answer')), limitMs);
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
    socket.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}
