// One caller's HTTP/2 connection (prior knowledge: gRPC, h2c) at the ingress agent: each request goes to the laptop that claims it, or on to
// the origin. Headers, trailers, resets and back-pressure pass; X-Forwarded-For is added. HTTP/1.x is http1.ts.
// Sessions to the origin and to laptops live as long as the caller's connection.
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { KtError } from '../../errors.ts';
import { peerOfSocket, plainAddress } from './peer.ts';
import type { Claim, Upstreams } from './upstreams.ts';

/** Milliseconds of silence after which a laptop's session has to prove that it lives before a request is given to it, and the time for that. */
const PROVE_AFTER_MS = 1_000;
const PROVE_MS = 2_000;
/** Requests of one connection at once: what gRPC servers allow at most. */
const STREAMS_MAX = 1_000;
/** Milliseconds between the wish that a caller leaves and the end of its patience: more than a round trip. */
const NOTICE_MS = 500;
const STREAM_ID_MAX = 2 ** 31 - 1;
/** Bytes of a request or an answer that may wait for a slow reader. Enough for 2 Gbit/s within a cluster. */
const WINDOW_BYTES = 256 * 1024;
const SETTINGS = { initialWindowSize: WINDOW_BYTES, maxConcurrentStreams: STREAMS_MAX, enablePush: false };

const { HTTP2_HEADER_STATUS, NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_FLAG_END_STREAM } =
  constants;

export interface Http2Limits {
  readonly proveAfterMs?: number;
  readonly proveMs?: number;
}

/** Serves the connection to its end. The preface is still unread in `client`. Never rejects. */
export async function serveHttp2(
  client: Socket,
  upstreams: Upstreams,
  origin: Duplex | undefined,
  limits: Http2Limits = {},
): Promise<void> {
  const connection = new Http2Connection(client, upstreams, origin, limits);
  await connection.closed;
}

class Http2Connection {
  readonly closed: Promise<void>;
  readonly #upstreams: Upstreams;
  readonly #limits: Http2Limits;
  readonly #peer: string;
  readonly #address: string;
  readonly #server: Http2Server;
  readonly #laptops = new Map<string, LaptopSession>();
  /** To laptops and to the origin, those included that take nothing new. */
  readonly #sessions = new Set<ClientHttp2Session>();
  readonly #relayed = new Map<ServerHttp2Stream, ClientHttp2Stream>();
  #ended = false;
  #dialled: Duplex | undefined;
  #origin: Promise<ClientHttp2Session> | undefined;

  constructor(client: Socket, upstreams: Upstreams, origin: Duplex | undefined, limits: Http2Limits) {
    this.#upstreams = upstreams;
    this.#limits = limits;
    this.#address = plainAddress(client.remoteAddress ?? 'unknown');
    this.#peer = peerOfSocket(client);
    this.#dialled = origin;
    upstreams.holds?.(() => this.#held());
    this.#server = createServer({ settings: SETTINGS });
    this.closed = new Promise((resolve) => {
      client.once('close', () => {
        this.#end();
        resolve();
      });
    });
    this.#server.on('session', (session) => this.#session(session));
    this.#server.on('sessionError', () => client.destroy());
    this.#server.emit('connection', client);
  }

  #session(session: ServerHttp2Session): void {
    session.on('error', () => undefined);
    let asked = false;
    const leave = (): void => {
      if (!asked) askToLeave(session);
      asked = true;
    };
    const forget = this.#upstreams.onDrain?.(leave);
    session.once('close', () => forget?.());
    session.on('stream', (stream, headers, flags) => {
      stream.on('error', () => undefined);
      if (this.#upstreams.draining?.()) leave();
      this.#serve(stream, headers, (flags & NGHTTP2_FLAG_END_STREAM) !== 0).catch(() => {
        if (!stream.destroyed) stream.close(NGHTTP2_INTERNAL_ERROR);
      });
    });
  }

  async #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, whole: boolean): Promise<void> {
    const claim = this.#upstreams.match((name) => {
      const value = headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    });
    const laptop = claim && (await this.#laptop(claim).catch(() => undefined));
    const session = laptop ?? (await this.#originSession().catch(() => undefined));
    if (stream.destroyed) return;
    if (session === undefined) {
      stream.respond({ [HTTP2_HEADER_STATUS]: 503 }, { endStream: true });
      return;
    }
    const request = relay(
      stream,
      session,
      { ...headers, 'x-forwarded-for': forwardedFor(headers, this.#address) },
      whole,
    );
    if (request === undefined) return;
    this.#relayed.set(stream, request);
    stream.once('close', () => this.#relayed.delete(stream));
  }

  /** A session with the laptop that was heard of lately. Rejects where the laptop refuses or is silent. */
  async #laptop(claim: Claim): Promise<ClientHttp2Session> {
    // Two rules of one session may lead to two local ports.
    const key = `${claim.session} ${claim.rule}`;
    const kept = this.#laptops.get(key);
    if (kept) {
      const session = await kept.session;
      if (isUsable(session)) {
        if (await kept.lives()) return session;
        throw new KtError('DIAL_TIMEOUT', 'the laptop does not answer');
      }
    }
    // Somebody else may have opened one meanwhile.
    let laptop = this.#laptops.get(key);
    if (laptop === undefined || laptop === kept) {
      laptop = new LaptopSession(
        this.#upstreams.openLaptop(claim, this.#peer).then((stream) => this.#open(stream)),
        this.#limits,
      );
      this.#laptops.set(key, laptop);
      laptop.session.catch(() => this.#laptops.delete(key));
    }
    return laptop.session;
  }

  async #originSession(): Promise<ClientHttp2Session> {
    const kept = this.#origin;
    if (kept) {
      const session = await kept;
      // An origin that says GOAWAY (a pod that ends) goes on with what it has and takes nothing new.
      if (isUsable(session)) return session;
      if (this.#origin === kept) this.#origin = undefined;
    }
    this.#origin ??= this.#connectOrigin();
    return this.#origin;
  }

  async #connectOrigin(): Promise<ClientHttp2Session> {
    const dialled = this.#dialled?.destroyed === false ? this.#dialled : undefined;
    this.#dialled = undefined;
    try {
      return this.#open(dialled ?? (await this.#upstreams.openOrigin()));
    } catch (error) {
      this.#origin = undefined;
      throw error;
    }
  }

  #open(transport: Duplex): ClientHttp2Session {
    const session = connect('http://upstream', { createConnection: () => transport, settings: SETTINGS });
    session.on('error', () => undefined);
    session.once('close', () => this.#sessions.delete(session));
    this.#sessions.add(session);
    if (this.#ended) session.destroy();
    return session;
  }

  /** Bytes in the requests and answers that somebody does not read. */
  #held(): number {
    let sum = 0;
    for (const [stream, request] of this.#relayed)
      sum += stream.readableLength + stream.writableLength + request.readableLength + request.writableLength;
    return sum;
  }

  #end(): void {
    this.#ended = true;
    this.#dialled?.destroy();
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
  }
}

/**
 * RFC 9113 §6.8: the caller opens its next requests elsewhere; those that are open go on, then the connection ends. In two steps: what is on
 * its way to us when the first GOAWAY is, is served too; the second one says which was the last.
 */
function askToLeave(session: ServerHttp2Session): void {
  session.goaway(NGHTTP2_NO_ERROR, STREAM_ID_MAX);
  const timer = setTimeout(() => session.close(), NOTICE_MS);
  session.once('close', () => clearTimeout(timer));
}

/** A kept session with a laptop. */
class LaptopSession {
  readonly session: Promise<ClientHttp2Session>;
  readonly #limits: Http2Limits;
  #heardAt = performance.now();
  /** Resolves true when a ping is answered, however late, false when the session is over. */
  #asked: Promise<boolean> | undefined;
  #silent = false;

  constructor(session: Promise<ClientHttp2Session>, limits: Http2Limits) {
    this.#limits = limits;
    this.session = session;
    session.then(
      () => this.#heard(),
      () => undefined,
    );
  }

  /** It was heard of lately, or answers now. One that let somebody wait answers before anybody waits for it again. */
  async lives(): Promise<boolean> {
    const { proveAfterMs = PROVE_AFTER_MS, proveMs = PROVE_MS } = this.#limits;
    if (performance.now() - this.#heardAt < proveAfterMs) return true;
    this.#asked ??= this.#ask(await this.session);
    if (this.#silent) return false;
    const alive = await within(this.#asked, proveMs);
    // What is open on it goes on: a program that stands at a breakpoint answers no pings.
    if (!alive) this.#silent = this.#asked !== undefined;
    return alive;
  }

  async #ask(session: ClientHttp2Session): Promise<boolean> {
    const alive = await answers(session);
    this.#asked = undefined;
    this.#silent = false;
    if (alive) this.#heard();
    return alive;
  }

  #heard(): void {
    this.#heardAt = performance.now();
  }
}

const isUsable = (session: ClientHttp2Session): boolean => !session.closed && !session.destroyed;

function answers(session: ClientHttp2Session): Promise<boolean> {
  return new Promise((resolve) => {
    session.once('close', () => resolve(false));
    if (!session.ping((error) => resolve(error === null))) resolve(false);
  });
}

/** `answer`, or false after the time. */
function within(answer: Promise<boolean>, limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), limitMs);
    void answer.then((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}

function forwardedFor(headers: IncomingHttpHeaders, address: string): string {
  const before = headers['x-forwarded-for'];
  return before === undefined ? address : `${Array.isArray(before) ? before.join(', ') : before}, ${address}`;
}

/** One request and its answer, as they are. */
function relay(
  stream: ServerHttp2Stream,
  session: ClientHttp2Session,
  headers: IncomingHttpHeaders,
  whole: boolean,
): ClientHttp2Stream | undefined {
  let request: ClientHttp2Stream;
  try {
    request = session.request(headers, whole ? { endStream: true } : { endStream: false, waitForTrailers: true });
  } catch {
    stream.close(NGHTTP2_INTERNAL_ERROR);
    return undefined;
  }
  let sent: IncomingHttpHeaders | undefined;
  let received: IncomingHttpHeaders | undefined;
  stream.on('trailers', (trailers) => {
    sent = trailers;
  });
  // Without any, this is the empty frame that ends the stream; close() would reset it.
  request.on('wantTrailers', () => request.sendTrailers(sent ?? {}));
  if (!whole) stream.pipe(request);

  request.on('headers', (informational) => {
    if (!stream.headersSent && !stream.destroyed) stream.additionalHeaders(informational);
  });
  request.on('response', (answer, flags) => {
    if (stream.destroyed) return;
    const whole = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
    stream.respond(answer, whole ? { endStream: true } : { waitForTrailers: true });
    if (!whole) request.pipe(stream);
  });
  request.on('trailers', (trailers) => {
    received = trailers;
  });
  stream.on('wantTrailers', () => stream.sendTrailers(received ?? {}));

  request.on('error', () => undefined);
  request.on('close', () => {
    if (stream.destroyed) return;
    if (request.rstCode !== NGHTTP2_NO_ERROR) stream.close(request.rstCode);
    else if (!stream.headersSent) stream.close(NGHTTP2_INTERNAL_ERROR);
  });
  stream.on('close', () => {
    if (!request.destroyed) request.close(stream.rstCode === NGHTTP2_NO_ERROR ? NGHTTP2_CANCEL : stream.rstCode);
  });
  return request;
}
