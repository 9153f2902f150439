// The Kubernetes REST API with one user's credentials: JSON requests on kept-alive connections, streams for watches, connections for
// upgrades. Knows no kind of object. Called by everything in src/cluster.
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import type { SecureContext } from 'node:tls';
import { KtError } from '../errors.ts';
import { connectToApi, secureContext } from './api-connection.ts';
import type { ClusterConfig } from './config.ts';
import { connectionError, timedOut } from './connection-errors.ts';
import type { Credentials } from './credentials.ts';
import { readJson, readText } from './response-body.ts';
import { answerError } from './status.ts';
import { TimeLimit } from './time-limit.ts';

/** Milliseconds for a whole request. */
const REQUEST_MS = 30_000;
/** Milliseconds that a connection may idle: below the idle limits of load balancers. */
const IDLE_MS = 45_000;
/** Connections at once: a burst of access reviews and watches; more would be load for the API server without gain. */
const CONNECTIONS_MAX = 32;
/** Attempts of a request that a busy API server puts off, and the longest wait between them (client-go: 10, and what the server says). */
const BUSY_ATTEMPTS = 4;
const BUSY_WAIT_MAX_MS = 5_000;
/** A Status, or the page of a proxy. */
const ERROR_MAX_BYTES = 64 * 1024;

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface RequestOptions {
  /** JSON. */
  readonly body?: unknown;
  readonly query?: Query | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For patches: `application/merge-patch+json` and its like. */
  readonly contentType?: string | undefined;
  readonly timeoutMs?: number | undefined;
}

/** One client certificate and the connections that carry it. */
interface Identity {
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly secure: () => SecureContext;
  readonly agent: Agent;
}

export class ClusterApi {
  readonly config: ClusterConfig;
  readonly #closed = new AbortController();
  #identity: Identity | undefined;
  /** Milliseconds that the server's clock is ahead of ours. */
  #aheadMs = 0;

  constructor(config: ClusterConfig) {
    this.config = config;
  }

  /**
   * Sends a request and gives the JSON answer. Rejects with a KtError: RIGHTS_MISSING, CREDENTIALS_REJECTED, CREDENTIALS_PLUGIN,
   * API_STATUS (cause: the Status), API_UNREACHABLE, API_TLS, API_PROXY, CANCELLED.
   */
  async request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    return this.#limited(options, async (limit) => readJson<T>(await this.#open(method, path, options, limit)));
  }

  /**
   * Sends a request and gives the answer's body as a stream, once its status says success; rejects as `request` does. `timeoutMs`
   * counts until then; `signal` also ends the stream. The caller reads it to its end or destroys it.
   */
  async open(method: string, path: string, options: RequestOptions = {}): Promise<IncomingMessage> {
    return this.#limited(options, async (limit) => {
      const response = await this.#open(method, path, options, limit);
      response.on('error', () => undefined);
      const abort = (): void => void response.destroy(new KtError('CANCELLED', 'the request was cancelled'));
      for (const end of [this.#closed.signal, options.signal]) {
        end?.addEventListener('abort', abort, { once: true });
        response.once('close', () => end?.removeEventListener('abort', abort));
      }
      return response;
    });
  }

  /** A new connection that nobody else uses, and the header fields of the user: for upgrades. `lend`: see connectToApi. */
  async connect(
    signal?: AbortSignal,
    lend = false,
  ): Promise<{ readonly socket: Socket; readonly credentials: Credentials }> {
    const both = signal ? AbortSignal.any([signal, this.#closed.signal]) : this.#closed.signal;
    const credentials = await this.config.credentials.current(both);
    return { credentials, socket: await connectToApi(this.config, this.#identify(credentials).secure, both, lend) };
  }

  /** The API server's clock in milliseconds, to the second: ages of its objects must not depend on this laptop's. Until it has answered, ours. */
  now(): number {
    return Date.now() + this.#aheadMs;
  }

  /** Ends kept connections and requests under way. */
  close(): void {
    this.#closed.abort();
    this.#identity?.agent.destroy();
  }

  /** Connections carry the client certificate: with another one they must not be used again. */
  #identify({ certificate, key }: Credentials): Identity {
    if (this.#closed.signal.aborted) throw new KtError('CANCELLED', 'the connection to the cluster was closed');
    const before = this.#identity;
    if (before && before.certificate === certificate && before.key === key) return before;
    let context: SecureContext | undefined;
    const secure = (): SecureContext => {
      context ??= secureContext(this.config.tls, certificate, key);
      return context;
    };
    this.#identity = { certificate, key, secure, agent: new ApiAgent(this.config, secure, this.#closed.signal) };
    if (before) endIdle(before.agent);
    return this.#identity;
  }

  /** Runs `work` within its time, while the caller wants it, and until this API is closed. */
  async #limited<T>(options: RequestOptions, work: (limit: TimeLimit) => Promise<T>): Promise<T> {
    const ends = [this.#closed.signal, ...(options.signal ? [options.signal] : [])];
    const limit = new TimeLimit(options.timeoutMs ?? REQUEST_MS, ends);
    try {
      return await work(limit);
    } catch (error) {
      if (limit.cancelled)
        throw new KtError('CANCELLED', 'the request to the API server was cancelled', { cause: error });
      if (!limit.signal.aborted) throw connectionError(error, this.config);
      // Other kept connections may be dead in the same way: after the laptop slept, say.
      if (this.#identity) endIdle(this.#identity.agent);
      throw timedOut(this.config, error);
    } finally {
      limit.release();
    }
  }

  async #open(method: string, path: string, options: RequestOptions, limit: TimeLimit): Promise<IncomingMessage> {
    const { signal } = limit;
    let renewed = false;
    for (let attempt = 1; ; attempt += 1) {
      const credentials = await limit.untimed(this.config.credentials.current(signal));
      const response = await this.#send(credentials, method, path, { ...options, signal });
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return response;
      const body = await readText(response, ERROR_MAX_BYTES).catch(() => '');
      const pause = retryAfter(response, status);
      if (pause !== undefined && attempt < BUSY_ATTEMPTS) await wait(pause, undefined, { signal });
      else if (status === 401 && !renewed && this.config.credentials.rejected(credentials)) renewed = true;
      else throw answerError({ method, path, status, body, credentials, config: this.config });
    }
  }

  async #send(
    credentials: Credentials,
    method: string,
    path: string,
    options: RequestOptions & { signal: AbortSignal },
  ): Promise<IncomingMessage> {
    const { agent } = this.#identify(credentials);
    const url = new URL(this.config.server + path);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const body = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body));
    const type = body && { 'Content-Type': options.contentType ?? 'application/json', 'Content-Length': body.length };
    const headers = { Host: url.host, Accept: 'application/json', 'User-Agent': 'kt', ...type, ...credentials.headers };
    return new Promise((resolve, reject) => {
      const request = httpRequest({ agent, method, path: url.pathname + url.search, headers, signal: options.signal });
      // node:http tells of an abort only once the request has its connection, which may take long.
      const abort = (): void => reject(options.signal.reason as Error);
      options.signal.addEventListener('abort', abort, { once: true });
      request.once('close', () => options.signal.removeEventListener('abort', abort));
      let answered = false;
      request.once('response', (response) => {
        answered = true;
        const date = Date.parse(response.headers.date ?? '');
        if (!Number.isNaN(date)) this.#aheadMs = date - Date.now();
        resolve(response);
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        // A connection that breaks within the answer: whoever reads it is told by its stream.
        if (answered) return;
        // The server closed a kept connection while the request was on its way. Only what changes nothing is asked again.
        const stale = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
        if (stale && method === 'GET' && !options.signal.aborted)
          resolve(this.#send(credentials, method, path, options));
        else reject(error);
      });
      request.end(body);
    });
  }
}

class ApiAgent extends Agent {
  readonly #config: ClusterConfig;
  readonly #secure: () => SecureContext;
  readonly #closed: AbortSignal;

  constructor(config: ClusterConfig, secure: () => SecureContext, closed: AbortSignal) {
    super({ keepAlive: true, maxSockets: CONNECTIONS_MAX, timeout: IDLE_MS, scheduling: 'lifo' });
    this.#config = config;
    this.#secure = secure;
    this.#closed = closed;
  }

  override createConnection(_: unknown, callback?: (error: Error | null, stream: Duplex) => void): undefined {
    const opened = callback as (error: Error | null, stream?: Duplex) => void;
    void connectToApi(this.#config, this.#secure, this.#closed).then((socket) => opened(null, socket), opened);
  }
}

function endIdle(agent: Agent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

/** Milliseconds to wait before asking again, where a busy server says so (429, or a 5xx with Retry-After). */
function retryAfter(response: IncomingMessage, status: number): number | undefined {
  const field = response.headers['retry-after'];
  const seconds = Number(field);
  if (field === undefined || !(status === 429 || status >= 500) || !(seconds >= 0)) return undefined;
  return Math.min(seconds * 1000, BUSY_WAIT_MAX_MS);
}
