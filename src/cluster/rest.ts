// The Kubernetes REST API with one user's credentials: JSON requests on kept-alive connections, streams for watches, connections for
// upgrades. Knows no kind of object. Called by everything in src/cluster.
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContext } from 'node:tls';
import { asKtError, KtError } from '../errors.ts';
import { connectToApi, secureContext } from './api-connection.ts';
import type { ClusterConfig } from './config.ts';
import { connectionError } from './connection-errors.ts';
import type { Credentials } from './credentials.ts';
import { answerError } from './status.ts';

/** Milliseconds for a whole request. */
const REQUEST_MS = 30_000;
/** Milliseconds that a connection may idle: below the idle limits of load balancers. */
const IDLE_MS = 45_000;
/** Connections at once: a burst of access reviews and watches; more would be load for the API server without gain. */
const CONNECTIONS_MAX = 32;
/** A list of all pods of a big namespace is some MiB. */
const RESPONSE_MAX_BYTES = 64 * 1024 * 1024;
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

interface Identity {
  readonly credentials: Credentials;
  readonly secure: () => SecureContext;
  readonly agent: Agent;
}

export class ClusterApi {
  readonly config: ClusterConfig;
  readonly #closed = new AbortController();
  #identity: Identity | undefined;

  constructor(config: ClusterConfig) {
    this.config = config;
  }

  /**
   * Sends a request and gives the JSON answer. Rejects with a KtError: RIGHTS_MISSING, CREDENTIALS_REJECTED, API_STATUS (cause: the Status),
   * API_UNREACHABLE, API_TLS, API_PROXY, CANCELLED.
   */
  async request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const limit = AbortSignal.timeout(options.timeoutMs ?? REQUEST_MS);
    const signal = AbortSignal.any([limit, this.#closed.signal, ...(options.signal ? [options.signal] : [])]);
    try {
      const response = await this.open(method, path, { ...options, signal });
      const text = await readText(response, RESPONSE_MAX_BYTES);
      return (text === '' ? undefined : JSON.parse(text)) as T;
    } catch (error) {
      throw this.#explain(error, limit, options.signal);
    }
  }

  /** Sends a request and gives the answer's body as a stream, once its status says success. The caller reads or destroys it. */
  async open(method: string, path: string, options: RequestOptions = {}): Promise<IncomingMessage> {
    for (let retried = false; ; retried = true) {
      const identity = await this.#current(options.signal);
      const response = await this.#send(identity, method, path, options);
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return response;
      const body = await readText(response, ERROR_MAX_BYTES).catch(() => '');
      if (status === 401 && !retried && this.config.credentials.rejected(identity.credentials)) continue;
      throw answerError({ method, path, status, body, credentials: identity.credentials, config: this.config });
    }
  }

  /** A new connection that nobody else uses, with the header fields of the user: for upgrades. */
  async connect(signal?: AbortSignal): Promise<{ socket: Socket; credentials: Credentials }> {
    const both = signal ? AbortSignal.any([signal, this.#closed.signal]) : this.#closed.signal;
    const { credentials, secure } = await this.#current(both);
    return { credentials, socket: await connectToApi(this.config, secure, both) };
  }

  /** Ends kept connections and requests under way. */
  close(): void {
    this.#closed.abort();
    this.#identity?.agent.destroy();
  }

  async #current(signal?: AbortSignal): Promise<Identity> {
    if (this.#closed.signal.aborted) throw new KtError('CANCELLED', 'the connection to the cluster was closed');
    const credentials = await this.config.credentials.current(signal);
    const before = this.#identity;
    const { certificate, key } = credentials;
    // Connections carry the client certificate: with another one they must not be used again.
    if (before && before.credentials.certificate === certificate && before.credentials.key === key) {
      return { ...before, credentials };
    }
    let context: SecureContext | undefined;
    const secure = (): SecureContext => (context ??= secureContext(this.config.tls, certificate, key));
    const agent = new ApiAgent(this.config, secure);
    this.#identity = { credentials, secure, agent };
    if (before) endIdle(before.agent);
    return this.#identity;
  }

  #send(
    { agent, credentials }: Identity,
    method: string,
    path: string,
    options: RequestOptions,
  ): Promise<IncomingMessage> {
    const url = new URL(`${this.config.server}${path}`);
    for (const [name, value] of Object.entries(options.query ?? {}))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const body = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body));
    const headers: Record<string, string | readonly string[]> = {
      Accept: 'application/json',
      'User-Agent': 'kt',
      ...credentials.headers,
    };
    if (body)
      Object.assign(headers, {
        'Content-Type': options.contentType ?? 'application/json',
        'Content-Length': String(body.length),
      });
    return new Promise((resolve, reject) => {
      const request = httpRequest({
        agent,
        method,
        host: url.hostname,
        port: url.port,
        path: url.pathname + url.search,
        headers: { Host: url.host, ...headers },
        ...(options.signal ? { signal: options.signal } : {}),
      });
      request.once('response', resolve).once('error', reject);
      request.end(body);
    });
  }

  #explain(error: unknown, limit: AbortSignal, signal: AbortSignal | undefined): KtError {
    if (error instanceof KtError && error.code !== 'CANCELLED') return error;
    if (signal?.aborted || this.#closed.signal.aborted)
      return new KtError('CANCELLED', 'the request to the API server was cancelled', { cause: error });
    if (limit.aborted)
      return connectionError(
        Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT', cause: error }),
        this.config.server,
      );
    if (error instanceof SyntaxError)
      return asKtError(
        new Error('the API server answered with something that is not JSON', { cause: error }),
        'API_STATUS',
      );
    return connectionError(error, this.config.server);
  }
}

class ApiAgent extends Agent {
  readonly #config: ClusterConfig;
  readonly #secure: () => SecureContext;

  constructor(config: ClusterConfig, secure: () => SecureContext) {
    super({ keepAlive: true, maxSockets: CONNECTIONS_MAX, timeout: IDLE_MS, scheduling: 'lifo' });
    this.#config = config;
    this.#secure = secure;
  }

  override createConnection(_: unknown, callback?: (error: Error | null, stream: Duplex) => void): undefined {
    connectToApi(this.#config, this.#secure).then(
      (socket) => callback?.(null, socket),
      (error: Error) => (callback as ((error: Error) => void) | undefined)?.(error),
    );
  }
}

function endIdle(agent: Agent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

async function readText(response: IncomingMessage, limit: number): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > limit) {
      response.destroy();
      throw new KtError('API_STATUS', `the API server's answer is larger than ${limit / 1024} KiB`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}
