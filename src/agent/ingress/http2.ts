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
import { peerOfSocket, plainAddress } from './peer.ts';
import type { Claim, Upstreams } from './upstreams.ts';

/** Milliseconds of silence after which a laptop's session has to prove that it lives before a request is given to it, and the time for that. */
const PROVE_AFTER_MS = 1_000;
const PROVE_MS = 2_000;
/** Requests of one connection at once: what gRPC servers allow at most. */
const STREAMS_MAX = 1_000;
const SETTINGS = { initialWindowSize: 1024 * 1024, maxConcurrentStreams: STREAMS_MAX, enablePush: false };

const { HTTP2_HEADER_STATUS, NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_FLAG_END_STREAM } =
  constants;

/** Serves the connection to its end. The preface is still unread in `client`. Never rejects. */
export async function serveHttp2(client: Socket, upstreams: Upstreams, origin: Duplex | undefined): Promise<void> {
  const connection = new Http2Connection(client, upstreams, origin);
  await connection.closed;
}

class Http2Connection {
  readonly closed: Promise<void>;
  readonly #upstreams: Upstreams;
  readonly #peer: string;
  readonly #address: string;
  readonly #server: Http2Server;
  readonly #laptops = new Map<string, { session: ClientHttp2Session; provenAt: number }>();
  #dialled: Duplex | undefined;
  #origin: Promise<ClientHttp2Session> | undefined;

  constructor(client: Socket, upstreams: Upstreams, origin: Duplex | undefined) {
    this.#upstreams = upstreams;
    this.#address = plainAddress(client.remoteAddress ?? 'unknown');
    this.#peer = peerOfSocket(client);
    this.#dialled = origin;
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
    // RFC 9113 §6.8 (GOAWAY): the caller opens its next requests elsewhere; those that are open go on, then the connection ends.
    const forget = this.#upstreams.onDrain?.(() => session.close());
    session.once('close', () => forget?.());
    session.on('stream', (stream, headers, flags) => {
      stream.on('error', () => undefined);
      if (this.#upstreams.draining?.()) session.close();
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
    relay(stream, session, { ...headers, 'x-forwarded-for': forwardedFor(headers, this.#address) }, whole);
  }

  /** A session with the laptop that was heard of lately. Rejects where the laptop refuses or is silent. */
  async #laptop(claim: Claim): Promise<ClientHttp2Session> {
    // Two rules of one session may lead to two local ports.
    const key = `${claim.session} ${claim.rule}`;
    const kept = this.#laptops.get(key);
    if (kept && !kept.session.closed && !kept.session.destroyed) {
      if (performance.now() - kept.provenAt < PROVE_AFTER_MS || (await answers(kept.session))) {
        kept.provenAt = performance.now();
        return kept.session;
      }
      kept.session.destroy();
    }
    const session = open(await this.#upstreams.openLaptop(claim, this.#peer));
    this.#laptops.set(key, { session, provenAt: performance.now() });
    return session;
  }

  #originSession(): Promise<ClientHttp2Session> {
    this.#origin ??= this.#connectOrigin();
    return this.#origin;
  }

  async #connectOrigin(): Promise<ClientHttp2Session> {
    const dialled = this.#dialled?.destroyed === false ? this.#dialled : undefined;
    this.#dialled = undefined;
    try {
      const session = open(dialled ?? (await this.#upstreams.openOrigin()));
      session.once('close', () => {
        this.#origin = undefined;
      });
      return session;
    } catch (error) {
      this.#origin = undefined;
      throw error;
    }
  }

  #end(): void {
    this.#dialled?.destroy();
    void this.#origin?.then((session) => session.destroy()).catch(() => undefined);
    for (const { session } of this.#laptops.values()) session.destroy();
    this.#server.close();
  }
}

function open(transport: Duplex): ClientHttp2Session {
  const session = connect('http://upstream', { createConnection: () => transport, settings: SETTINGS });
  session.on('error', () => undefined);
  return session;
}

function answers(session: ClientHttp2Session): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), PROVE_MS);
    const done = (alive: boolean): void => {
      clearTimeout(timer);
      resolve(alive);
    };
    session.once('close', () => done(false));
    if (!session.ping((error) => done(error === null))) done(false);
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
): void {
  let request: ClientHttp2Stream;
  try {
    request = session.request(headers, whole ? { endStream: true } : { endStream: false, waitForTrailers: true });
  } catch {
    stream.close(NGHTTP2_INTERNAL_ERROR);
    return;
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
}
