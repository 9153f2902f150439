// One caller's HTTP/1.x connection at the ingress agent: each request goes to the laptop that claims it, or on to the origin, and nobody
// else notices. This file reads the requests' heads and chooses; what happens to one request is http1-exchange.ts. One kept-alive origin
// connection per caller's connection; a new stream to the laptop for each request, because its yes is the proof that it is there.
//
// The ways it ends: (1) either side asked for it: FIN behind the answer; (2) raw from some point on (Upgrade, CONNECT, what can't be read);
// (3) the laptop refuses before it got a byte: no end, the origin answers (fail-open); (4) the laptop goes away before its answer: the origin
// answers what may be asked twice, else 502;
// (5) the origin goes away: the caller sees FIN or RST as the origin sent it; (6) idle for long, or asked to leave while idle.
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { KtError } from '../../errors.ts';
import { endless, headEnd, parseRequest } from '../../netstack/http/http1.codec.ts';
import { HttpFault, requestBody } from '../../netstack/http/http1-body.codec.ts';
import { closeGently } from '../../netstack/stream/close-gently.ts';
import { joinStreams } from '../../netstack/stream/pump.ts';
import { reset } from '../../netstack/stream/reset.ts';
import { Exchange, type ExchangeRequest, type Outcome } from './http1-exchange.ts';
import { peerOfSocket, plainAddress } from './peer.ts';
import { UpstreamSide } from './upstream-side.ts';
import type { Claim, Upstreams } from './upstreams.ts';

/** Milliseconds for a kept-alive caller's next request while the agent drains, which is answered with the wish to leave; then it is closed. */
const IDLE_DRAIN_MS = 1_000;
/** Milliseconds for the rest of a head (nginx, Node: 60 s). */
const HEAD_MS = 60_000;
/** Milliseconds without a request and without an origin that would decide it: longer than callers' pools keep a connection. */
const IDLE_MS = 600_000;
/** Milliseconds for a caller to see our FIN. */
const CLOSING_MS = 2_000;
/** The same where it may still be sending what nobody reads: it should find its answer, not a RST (nginx: lingering_time). */
const LINGER_MS = 30_000;

const EMPTY = Buffer.alloc(0);
/** RFC 9110 §9.2.2: sent twice, they do what they do once. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/**
 * Serves the connection until it is closed, or raw and somebody else's. `client` is paused and has an 'error' listener; `origin` is a
 * connection to the origin that was dialled already. Never rejects.
 */
export function serveHttp1(client: Socket, upstreams: Upstreams, origin: Duplex | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (client.destroyed) {
      origin?.destroy();
      resolve();
      return;
    }
    client.once('close', () => resolve());
    new Http1Connection(client, upstreams, origin).start();
  });
}

/** head: one is being read. choosing: where it goes. exchange: it is there. over: nobody listens to the caller any more. */
type Phase = 'head' | 'choosing' | 'exchange' | 'over';

class Http1Connection {
  readonly #client: Socket;
  readonly #upstreams: Upstreams;
  readonly #address: string;
  #phase: Phase = 'head';
  /** Bytes that came early: of a head, or of the next requests. At most what one read gives behind a head, because the caller is paused then. */
  #held: Buffer = EMPTY;
  /** The caller has half-closed. */
  #ended = false;
  #headTimer: NodeJS.Timeout | undefined;
  #origin: UpstreamSide | undefined;
  /** Whoever has the request that is in progress. */
  #current: UpstreamSide | undefined;
  #exchange: Exchange | undefined;

  readonly #onData = (chunk: Buffer): void => this.#fromClient(chunk);
  readonly #onEnd = (): void => this.#clientEnded();
  readonly #onDrain = (): void => {
    this.#exchange?.clientDrained();
    if (this.#phase === 'head') this.#next();
  };
  readonly #onIdle = (): void => {
    if (this.#phase === 'head' && this.#origin === undefined) this.#finish(CLOSING_MS);
  };

  constructor(client: Socket, upstreams: Upstreams, origin: Duplex | undefined) {
    this.#client = client;
    this.#upstreams = upstreams;
    this.#address = plainAddress(client.remoteAddress ?? 'unknown');
    if (origin) this.#keep(new UpstreamSide(origin));
  }

  start(): void {
    const client = this.#client;
    this.#upstreams.holds?.(() => this.#held.length);
    const forget = this.#upstreams.onDrain?.(() => this.#askToLeave());
    client.once('close', () => {
      forget?.();
      clearTimeout(this.#headTimer);
      this.#leave();
    });
    client.on('data', this.#onData).on('end', this.#onEnd).on('drain', this.#onDrain).on('timeout', this.#onIdle);
    client.setTimeout(IDLE_MS);
    client.resume();
  }

  #fromClient(chunk: Buffer): void {
    if (this.#phase === 'head') this.#readHead(chunk);
    else if (this.#phase === 'choosing') this.#hold(chunk);
    else if (this.#phase === 'exchange') {
      const exchange = this.#exchange;
      const taken = exchange?.fromClient(chunk) ?? 0;
      if (taken < chunk.length && this.#phase === 'exchange') this.#hold(chunk.subarray(taken));
      exchange?.settle();
    }
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    this.#client.pause();
  }

  #clientEnded(): void {
    this.#ended = true;
    if (this.#phase === 'head') this.#finish(CLOSING_MS);
    else if (this.#held.length === 0) this.#exchange?.clientEnded();
  }

  /** For the next request: those that came early first. */
  #next(): void {
    this.#phase = 'head';
    this.#exchange = undefined;
    this.#current = undefined;
    // A caller that asks and asks and reads nothing must not fill the memory with its answers.
    if (this.#client.writableNeedDrain) return void this.#client.pause();
    const held = this.#held;
    this.#held = EMPTY;
    if (held.length > 0) this.#readHead(held);
    if (this.#phase !== 'head') return undefined;
    if (this.#ended) return this.#finish(CLOSING_MS);
    return void this.#client.resume();
  }

  #readHead(chunk: Buffer): void {
    let looked = this.#held.length;
    let bytes = looked === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = EMPTY;
    // RFC 9112 §2.2: an empty line before a request is to be ignored.
    for (; bytes.length >= 2 && bytes[0] === 13 && bytes[1] === 10; looked = 0) bytes = bytes.subarray(2);
    const end = headEnd(bytes, looked);
    if (end < 0 && !endless(bytes)) {
      this.#held = bytes;
      if (bytes.length > 0)
        this.#headTimer ??= setTimeout(() => this.#refuse(408, 'the rest of the request did not come'), HEAD_MS);
      return;
    }
    clearTimeout(this.#headTimer);
    this.#headTimer = undefined;
    const head = end < 0 ? undefined : parseRequest(bytes.subarray(0, end));
    if (head === undefined) {
      this.#unreadable(bytes);
      return;
    }
    try {
      const request = { head, body: requestBody(head) };
      this.#choose(request, bytes.subarray(end));
    } catch (error) {
      if (!(error instanceof HttpFault)) throw error;
      this.#refuse(400, error.message);
    }
  }

  #choose(request: ExchangeRequest, early: Buffer): void {
    const claim = this.#upstreams.match((name) => request.head.field(name));
    if (claim === undefined && this.#origin) return this.#begin(request, early, this.#origin);
    this.#hold(early);
    return this.#open(claim, (side) => this.#begin(request, this.#takeHeld(), side));
  }

  /** It may hide a length or a second request from us and not from others: all that comes from here on goes to one of them as it is. */
  #unreadable(bytes: Buffer): void {
    this.#hold(bytes);
    this.#open(this.#upstreams.match(undefined), (side) => this.#raw(side));
  }

  #takeHeld(): Buffer {
    const held = this.#held;
    this.#held = EMPTY;
    return held;
  }

  /** To the laptop that claims it, else (fail-open) to the origin. */
  #open(claim: Claim | undefined, use: (side: UpstreamSide) => void): void {
    this.#phase = 'choosing';
    this.#upstream(claim).then(
      (side) => {
        if (this.#phase === 'choosing') use(side);
        else side.stream.destroy();
      },
      (error: Error) => this.#refuse(503, error.message),
    );
  }

  async #upstream(claim: Claim | undefined): Promise<UpstreamSide> {
    const peer = peerOfSocket(this.#client);
    const laptop = claim && (await this.#upstreams.openLaptop(claim, peer).catch(() => undefined));
    if (laptop) return new UpstreamSide(laptop);
    return this.#origin ?? this.#keep(new UpstreamSide(await this.#upstreams.openOrigin()));
  }

  /** It serves the next requests too, until it says something unasked (its end, a late 408). */
  #keep(side: UpstreamSide): UpstreamSide {
    this.#origin = side;
    side.idle(() => {
      this.#forget(side);
      // Nobody else decides now how long the caller may be idle.
      this.#client.setTimeout(IDLE_MS);
    });
    return side;
  }

  #forget(side: UpstreamSide): void {
    if (this.#origin === side) this.#origin = undefined;
    side.stream.destroy();
  }

  #begin(request: ExchangeRequest, early: Buffer, side: UpstreamSide): void {
    this.#phase = 'exchange';
    this.#current = side;
    const draining = (): boolean => this.#upstreams.draining?.() === true;
    const ends = (outcome: Outcome): void => this.#ends(request, side, outcome);
    const exchange = new Exchange(this.#client, side, request, draining, ends);
    this.#exchange = exchange;
    const taken = exchange.begin(this.#address, early);
    if (this.#phase !== 'exchange') return;
    if (taken < early.length) this.#hold(early.subarray(taken));
    else if (this.#ended) exchange.clientEnded();
    // To hear of its next bytes and of its end.
    else if (!this.#client.readableFlowing && !side.stream.writableNeedDrain) this.#client.resume();
  }

  #ends(request: ExchangeRequest, side: UpstreamSide, outcome: Outcome): void {
    const toOrigin = side === this.#origin;
    const closingMs = this.#exchange?.requestDone === false ? LINGER_MS : CLOSING_MS;
    if (outcome.kind === 'raw') return this.#raw(side);
    if (outcome.kind === 'whole') {
      side.served += 1;
      if (!toOrigin) {
        side.idle(() => undefined);
        closeGently(side.stream);
      } else if (outcome.reusable) this.#keep(side);
      else this.#forget(side);
      if (outcome.keep && request.head.persistent) return this.#next();
      return this.#finish(closingMs);
    }
    if (outcome.kind === 'fault')
      return outcome.begun ? this.#abort() : this.#refuse(400, outcome.fault.message, closingMs);
    // The laptop is gone with its link: what does no more when it is done twice, the original pods do (fail-open). An app that broke its own
    // connection is another matter: whoever debugs it wants to see that.
    if (!outcome.begun && !toOrigin && isLinkLoss(outcome.error) && isRepeatable(request))
      return this.#open(undefined, (fresh) => this.#begin(request, this.#takeHeld(), fresh));
    if (!outcome.begun && !toOrigin)
      return this.#refuse(502, 'the laptop that took this request went away before it answered', closingMs);
    if (!outcome.begun && side.served > 0 && isRepeatable(request)) {
      // A kept connection may close while the request is on its way.
      this.#forget(side);
      return this.#open(undefined, (fresh) => this.#begin(request, this.#takeHeld(), fresh));
    }
    return outcome.error ? this.#abort() : this.#finish(closingMs);
  }

  #raw(side: UpstreamSide): void {
    const client = this.#client;
    const held = this.#takeHeld();
    if (this.#origin === side) this.#origin = undefined;
    this.#current = undefined;
    this.#leave();
    client.off('data', this.#onData).off('end', this.#onEnd).off('drain', this.#onDrain).off('timeout', this.#onIdle);
    client.setTimeout(0);
    client.pause();
    const upstream = side.release();
    if (held.length > 0) upstream.write(held);
    void joinStreams(client, upstream);
  }

  #refuse(status: number, message: string, closingMs = LINGER_MS): void {
    if (this.#phase === 'over') return;
    const text = `kt: ${message}\n`;
    const fields = `Content-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close`;
    this.#client.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${fields}\r\n\r\n${text}`);
    this.#finish(closingMs);
  }

  /** FIN behind what was written. What the caller still sends is nobody's. */
  #finish(closingMs: number): void {
    this.#leave();
    const client = this.#client;
    client.end(() => {
      const timer = setTimeout(() => client.destroy(), closingMs);
      client.once('close', () => clearTimeout(timer));
    });
    client.resume();
  }

  #abort(): void {
    this.#leave();
    reset(this.#client);
  }

  #leave(): void {
    this.#phase = 'over';
    for (const side of [this.#origin, this.#current]) side?.stream.destroy();
    this.#origin = undefined;
    this.#current = undefined;
    this.#exchange = undefined;
  }

  #askToLeave(): void {
    const seen = this.#client.bytesRead;
    const close = (): void => {
      if (this.#phase === 'head' && this.#client.bytesRead === seen) this.#finish(0);
    };
    if (this.#phase === 'head') setTimeout(close, IDLE_DRAIN_MS).unref();
  }
}

const isRepeatable = ({ head, body }: ExchangeRequest): boolean =>
  IDEMPOTENT.has(head.method) && body.kind === 'length' && body.bytes === 0;

const isLinkLoss = (error: Error | undefined): boolean =>
  error instanceof KtError && (error.code === 'LINK_LOST' || error.code === 'LINK_DEAD');
