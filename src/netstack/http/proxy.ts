// The HTTP proxy: node:http parses, this file decides what each request is (plain, upgrade, CONNECT, none of a proxy's business) and hands
// it on. Does not listen: mixed-port.ts gives it sockets. Routes are the dialer's matter.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { KtError } from '../../errors.ts';
import type { Credentials } from '../credentials.ts';
import type { Dialer, PlainHop, Target } from '../dialer.ts';
import type { ProxyLog, ProxyLogEntry } from '../proxy-log.ts';
import { closeGently } from '../stream/close-gently.ts';
import { dialAndJoin } from '../stream/dial-and-join.ts';
import { parseAuthority } from '../target.codec.ts';
import { type Answer, encodeAnswer, errorAnswer, sendAnswer } from './answer.ts';
import { challenge } from './authenticate.ts';
import { DialerAgent } from './dialer-agent.ts';
import { forward, hasBody } from './forward.ts';
import { HEADER_BYTES_MAX } from './outbound.ts';
import { PAC_PATH, PAC_TYPE } from './pac.codec.ts';
import { explainBroken, explainTarget } from './refusals.ts';
import { parseRequestTarget } from './request-target.codec.ts';
import { upgrade } from './upgrade.ts';

/** Milliseconds for a whole header section. Bodies have no limit of time: uploads and long polls take what they take. */
const HEADERS_MS = 30_000;
/** Milliseconds that a client's connection may idle between requests; nginx has 75 s, browsers keep theirs for minutes. */
const KEEP_ALIVE_MS = 75_000;

export interface HttpProxyOptions {
  readonly dialer: Dialer;
  /** Asked for where set. */
  readonly auth?: Credentials | undefined;
  readonly log?: ProxyLog | undefined;
  /** Default HEADERS_MS. */
  readonly headersMs?: number | undefined;
  /** The PAC file that this proxy serves, as it is now. Asked for without a password: browsers have none for it. */
  readonly pac?: (() => string) | undefined;
}

interface Request {
  readonly target: Target;
  readonly authority: string;
  readonly path: string;
}

interface Agents {
  readonly pooled: DialerAgent;
  readonly single: DialerAgent;
}

interface Hop extends Agents {
  readonly fields: readonly string[];
}

const agentsOf = (dialer: Dialer): Agents => ({
  pooled: new DialerAgent(dialer, { pooled: true }),
  single: new DialerAgent(dialer, { pooled: false }),
});

export class HttpProxy {
  readonly #options: HttpProxyOptions;
  readonly #server: Server;
  readonly #pooled: DialerAgent;
  readonly #single: DialerAgent;
  /** Connections to proxies that take requests as they came. */
  readonly #hops = new WeakMap<Dialer, Agents>();
  /** Sockets in the middle of an answer, which an error page must not be written into. */
  readonly #answering = new WeakMap<Duplex, ServerResponse>();

  constructor(options: HttpProxyOptions) {
    const { dialer, headersMs = HEADERS_MS } = options;
    this.#options = options;
    ({ pooled: this.#pooled, single: this.#single } = agentsOf(dialer));
    this.#server = createServer({
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: headersMs,
      connectionsCheckingInterval: Math.min(headersMs, 5_000),
      requestTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // An upgrade that carries a body goes as a plain request: a proxy may leave Upgrade out (RFC 9110 §7.8).
      shouldUpgradeCallback: (incoming) => !hasBody(incoming),
    });
    this.#server.maxHeadersCount = 0;
    const onRequest = (incoming: IncomingMessage, response: ServerResponse): void => this.#plain(incoming, response);
    // With and without Expect: what a client expects, the destination decides.
    this.#server.on('request', onRequest).on('checkContinue', onRequest).on('checkExpectation', onRequest);
    this.#server.on('upgrade', (incoming, socket, head) => this.#upgrade(incoming, socket, head));
    this.#server.on('connect', (incoming, socket, head) => void this.#connect(incoming, socket, head));
    this.#server.on('clientError', (error, socket) => this.#broken(error, socket));
    // node:http starts its check of headersTimeout on this event; this server never listens by itself.
    this.#server.emit('listening');
  }

  /** Takes the socket over; bytes in its buffer count. It must have an 'error' listener. */
  accept(socket: Socket): void {
    this.#server.emit('connection', socket);
  }

  close(): void {
    this.#server.close(() => undefined);
    this.#server.closeAllConnections();
    this.#pooled.destroy();
    this.#single.destroy();
  }

  #plain(incoming: IncomingMessage, response: ServerResponse): void {
    this.#answering.set(incoming.socket, response);
    if (this.#options.pac && incoming.url === PAC_PATH && incoming.method === 'GET') {
      incoming.resume();
      response.writeHead(200, { 'Content-Type': PAC_TYPE, 'Cache-Control': 'no-cache' }).end(this.#options.pac());
      return;
    }
    const denied = challenge(incoming, this.#options.auth);
    const request = parseRequestTarget(incoming.url ?? '', incoming.method);
    if (denied !== undefined || request.form !== 'absolute') {
      const answer = denied ?? errorAnswer(explainTarget(request, incoming));
      this.#log('http', { event: 'rejected', reason: answer.body.trimEnd() });
      incoming.resume();
      sendAnswer(response, answer);
      return;
    }
    const { target, authority, path } = request;
    const { dialer } = this.#options;
    if (dialer.plainHop === undefined) this.#forward(incoming, response, { target, authority, path });
    else void this.#byHop(incoming, response, { target, authority, path });
  }

  /** To a proxy that wants the request as it came, where the route is that. */
  async #byHop(incoming: IncomingMessage, response: ServerResponse, request: Request): Promise<void> {
    let hop: PlainHop | undefined;
    const gone = new AbortController();
    const cancel = (): void => gone.abort();
    response.once('close', cancel);
    try {
      hop = await this.#options.dialer.plainHop?.(request.target, { signal: gone.signal });
    } catch {
      // The dial itself will fail in the same way, and say so.
    }
    response.off('close', cancel);
    if (!hop) return this.#forward(incoming, response, request);
    const agents = this.#hops.get(hop.dialer) ?? agentsOf(hop.dialer);
    this.#hops.set(hop.dialer, agents);
    const { authority, path } = request;
    return this.#forward(
      incoming,
      response,
      { ...request, path: `http://${authority}${path}` },
      { ...agents, fields: hop.fields },
    );
  }

  #forward(incoming: IncomingMessage, response: ServerResponse, request: Request, hop?: Hop): void {
    const { target, authority, path } = request;
    forward({
      incoming,
      response,
      target,
      authority,
      path,
      pooled: hop?.pooled ?? this.#pooled,
      single: hop?.single ?? this.#single,
      hop: hop?.fields,
      onDone: (error) => this.#done('http', target, error),
    });
  }

  #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    const denied = challenge(incoming, this.#options.auth);
    const request = parseRequestTarget(incoming.url ?? '', incoming.method);
    if (denied !== undefined || request.form !== 'absolute') {
      this.#reject('upgrade', socket, denied ?? errorAnswer(explainTarget(request, incoming)));
      return;
    }
    // Only on a Node without shouldUpgradeCallback: where the body ends can't be told any more.
    if (hasBody(incoming)) {
      this.#reject('upgrade', socket, errorAnswer(new KtError('UNSUPPORTED', 'an upgrade with a body is not served')));
      return;
    }
    if (head.length > 0) socket.unshift(head);
    const { target, authority, path } = request;
    upgrade({
      incoming,
      socket,
      target,
      authority,
      path,
      single: this.#single,
      onOpened: () => this.#log('upgrade', { event: 'opened', target }),
      onDone: (error) => this.#done('upgrade', target, error),
    });
  }

  async #connect(incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const denied = challenge(incoming, this.#options.auth);
    const target = parseAuthority(incoming.url ?? '');
    if (denied !== undefined || target === undefined) {
      this.#reject('connect', socket, denied ?? errorAnswer(explainTarget({ form: 'malformed' }, incoming)));
      return;
    }
    if (head.length > 0) socket.unshift(head);
    const { error } = await dialAndJoin({
      client: socket,
      dialer: this.#options.dialer,
      target,
      onOpened: () => {
        this.#log('connect', { event: 'opened', target });
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      },
      onFailed: (error) => closeGently(socket, encodeAnswer(errorAnswer(error))),
    });
    this.#done('connect', target, error);
  }

  /** Bytes that are not HTTP, too many of them, or too slow. */
  #broken(error: NodeJS.ErrnoException, socket: Duplex): void {
    if (error.code === 'ECONNRESET' || !socket.writable || this.#answering.get(socket)?.headersSent === true) {
      socket.destroy();
      return;
    }
    this.#reject('http', socket, explainBroken(error));
  }

  #reject(door: ProxyLogEntry['door'], socket: Duplex, answer: Answer): void {
    this.#log(door, { event: 'rejected', reason: answer.body.trimEnd() });
    closeGently(socket, encodeAnswer(answer));
  }

  #done(door: ProxyLogEntry['door'], target: Target, error: Error | undefined): void {
    const code = error instanceof KtError ? error.code : undefined;
    this.#log(door, { event: error === undefined ? 'ended' : 'failed', target, code, reason: error?.message });
  }

  #log(door: ProxyLogEntry['door'], entry: Omit<ProxyLogEntry, 'door'>): void {
    this.#options.log?.({ door, ...entry });
  }
}
