// One caller's HTTP/1.x connection at the ingress agent: each request goes to the laptop that claims it, or on to the origin, and nobody
// else notices. Heads and bodies pass as the bytes that they are; only X-Forwarded-For is added. Framing is http1.codec.ts.
//
// The ways an exchange ends: (1) both messages are whole: the next request; (2) Upgrade or CONNECT was accepted: raw from then on;
// (3) the laptop refuses before it got a byte: the origin answers (fail-open); (4) the laptop or origin goes away before its answer:
// 502, or the connection is closed as the origin did; (5) in the middle of an answer: the caller's connection is reset.
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { joinStreams } from '../../netstack/stream/pump.ts';
import { reset } from '../../netstack/stream/reset.ts';
import {
  BodyCounter,
  type BodyKind,
  HttpFault,
  headEnd,
  parseRequest,
  parseResponse,
  type RequestHead,
  type ResponseHead,
  requestBody,
  responseBody,
  withClose,
  withForwardedFor,
} from './http1.codec.ts';
import { peerOfSocket, plainAddress } from './peer.ts';
import { Pull } from './pull.ts';
import type { Upstreams } from './upstreams.ts';

/** Milliseconds for a kept-alive caller's next request while the agent drains, which is answered with the wish to leave; then it is closed. */
const IDLE_DRAIN_MS = 2_000;

/** Serves the connection to its end. `client` is paused; `origin` is a connection to the origin that was dialled already. Never rejects. */
export async function serveHttp1(client: Socket, upstreams: Upstreams, origin: Duplex | undefined): Promise<void> {
  const connection = new Http1Connection(client, upstreams, origin);
  try {
    while (await connection.exchange());
    connection.end();
  } catch (error) {
    connection.fail(error);
  }
}

class Http1Connection {
  readonly #client: Pull;
  readonly #socket: Socket;
  readonly #upstreams: Upstreams;
  readonly #peer: string;
  #origin: Pull | undefined;
  #current: Pull | undefined;
  /** An answer has begun: nothing else may be said any more. */
  #answering = false;
  #taken = false;
  /** Between two requests. */
  #idle = false;

  constructor(client: Socket, upstreams: Upstreams, origin: Duplex | undefined) {
    this.#socket = client;
    this.#client = new Pull(client);
    this.#upstreams = upstreams;
    this.#peer = peerOfSocket(client);
    if (origin) this.#keep(new Pull(origin));
    const forget = upstreams.onDrain?.(() => this.#drain());
    client.once('close', () => {
      forget?.();
      if (!this.#taken) for (const side of [this.#origin, this.#current]) side?.stream.destroy();
    });
  }

  /** One request and its answer. False: there is no next one. */
  async exchange(): Promise<boolean> {
    this.#answering = false;
    this.#idle = true;
    if (this.#origin?.over) this.#origin.stream.destroy();
    const raw = await readHead(this.#client);
    this.#idle = false;
    if (raw === undefined) return false;
    const request = parseRequest(raw);
    const body = requestBody(request);
    const claim = this.#upstreams.match((name) => request.field(name));
    const laptop = claim && (await this.#upstreams.openLaptop(claim, this.#peer).catch(() => undefined));
    const answer = laptop ? await this.#toLaptop(request, body, new Pull(laptop)) : await this.#toOrigin(request, body);
    if (answer === undefined) return false;
    const asked = request.version === 11 ? !request.has('close') : request.has('keep-alive');
    return asked && answer && !this.#client.over;
  }

  /** In order: what was written still leaves. */
  end(): void {
    if (this.#taken) return;
    this.#socket.end();
    for (const side of [this.#origin, this.#current]) side?.stream.destroy();
    // What the caller still sends is nobody's; its own end closes the socket.
    this.#socket.resume();
  }

  fail(error: unknown): void {
    for (const side of [this.#origin, this.#current]) side?.stream.destroy();
    if (this.#socket.destroyed) return;
    if (error instanceof HttpFault && !this.#answering) {
      this.#say(error.status, error.message);
      this.#socket.end();
      this.#socket.resume();
    } else reset(this.#socket);
  }

  #drain(): void {
    const seen = this.#socket.bytesRead;
    const close = (): void => {
      if (this.#idle && this.#socket.bytesRead === seen) this.#socket.end();
    };
    if (this.#idle) setTimeout(close, IDLE_DRAIN_MS).unref();
  }

  async #toLaptop(request: RequestHead, body: BodyKind, laptop: Pull): Promise<boolean | undefined> {
    this.#current = laptop;
    try {
      return await this.#forward(request, body, laptop);
    } catch (error) {
      if (this.#answering || this.#socket.destroyed || error instanceof HttpFault) throw error;
      this.#say(502, 'the laptop that took this request went away before it answered');
      return undefined;
    } finally {
      // A new stream for each request: the laptop's yes to it is the proof that it is there.
      if (!this.#taken) laptop.stream.destroy();
      this.#current = undefined;
    }
  }

  async #toOrigin(request: RequestHead, body: BodyKind): Promise<boolean | undefined> {
    const kept = this.#origin?.fresh ? this.#origin : undefined;
    if (kept === undefined) this.#origin?.stream.destroy();
    let origin = kept;
    for (;;) {
      if (origin === undefined) {
        try {
          origin = this.#keep(new Pull(await this.#upstreams.openOrigin()));
        } catch (error) {
          this.#say(503, `no original pod answers: ${(error as Error).message}`);
          return undefined;
        }
      }
      try {
        return await this.#forward(request, body, origin);
      } catch (error) {
        const empty = body.kind === 'length' && body.bytes === 0;
        // A kept connection may close while the request is on its way; without a body it can be sent again.
        if (origin !== kept || !empty || this.#answering || this.#socket.destroyed) throw error;
        origin.stream.destroy();
        origin = undefined;
      }
    }
  }

  /** Sends the request and its answer back. True: the caller's connection can be used again; undefined: it is raw or ending. */
  async #forward(request: RequestHead, body: BodyKind, upstream: Pull): Promise<boolean | undefined> {
    const address = plainAddress(this.#socket.remoteAddress ?? 'unknown');
    await upstream.write(withForwardedFor(request, address));
    let sent = false;
    const sending = pass(this.#client, upstream, new BodyCounter(body)).then(() => {
      sent = true;
    });
    // Its failure matters only where no answer came.
    sending.catch(() => undefined);
    const answer = await this.#answer(request, upstream);
    if (answer === 'raw') {
      this.#taken = true;
      await joinStreams(this.#client.release(), upstream.release());
      return undefined;
    }
    if (!answer.reusable) this.#dropOrigin(upstream);
    // An answer before the body's end: the rest of it is still in the way of the next request.
    if (!sent && !answer.reusable) return undefined;
    await sending;
    return answer.keep;
  }

  async #answer(request: RequestHead, upstream: Pull): Promise<'raw' | { keep: boolean; reusable: boolean }> {
    for (;;) {
      const raw = await readHead(upstream);
      if (raw === undefined) throw new Error('it closed the connection without an answer');
      const response = parseResponse(raw);
      const switched = response.status === 101 || (request.method === 'CONNECT' && isSuccess(response));
      if (response.status < 200 && !switched) {
        await this.#client.write(raw);
        continue;
      }
      this.#answering = true;
      const counter = new BodyCounter(responseBody(response, request.method));
      const delimited = responseBody(response, request.method).kind !== 'close';
      const draining = !switched && this.#upstreams.draining?.() === true;
      await this.#client.write(draining ? withClose(response) : raw);
      if (switched) return 'raw';
      await pass(upstream, this.#client, counter);
      const reusable = delimited && (response.version === 11 ? !response.has('close') : response.has('keep-alive'));
      return { keep: reusable && !draining, reusable };
    }
  }

  /** It serves the next requests too, until it ends: then our half is closed at once, not with the next request. */
  #keep(origin: Pull): Pull {
    this.#origin = origin;
    origin.stream.once('end', () => {
      if (this.#idle) origin.stream.destroy();
    });
    return origin;
  }

  #dropOrigin(upstream: Pull): void {
    upstream.stream.destroy();
    if (this.#origin === upstream) this.#origin = undefined;
  }

  #say(status: number, message: string): void {
    const text = `kt: ${message}\n`;
    this.#answering = true;
    this.#socket.write(
      `HTTP/1.1 ${status} kt\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
    );
  }
}

const isSuccess = ({ status }: ResponseHead): boolean => status >= 200 && status < 300;

/** The next head; undefined where the stream ended before its first byte. What follows it stays in the stream. */
async function readHead(side: Pull): Promise<Buffer | undefined> {
  let held: Buffer = Buffer.alloc(0);
  for (;;) {
    const chunk = await side.read();
    if (chunk === null) {
      if (held.length === 0) return undefined;
      throw new Error('the connection ended in the middle of a head');
    }
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    // RFC 9112 §2.2: an empty line before a request is to be ignored.
    while (held.length >= 2 && held[0] === 13 && held[1] === 10) held = held.subarray(2);
    const end = headEnd(held);
    if (end < 0) continue;
    side.unread(held.subarray(end));
    return held.subarray(0, end);
  }
}

/** Carries a body. A body that only the connection's end delimits ends with it. */
async function pass(from: Pull, to: Pull, counter: BodyCounter): Promise<void> {
  while (!counter.done) {
    const chunk = await from.read();
    if (chunk === null) {
      if (counter.untilClose) return;
      throw new Error('the connection ended in the middle of a body');
    }
    const taken = counter.take(chunk);
    from.unread(chunk.subarray(taken));
    if (taken > 0) await to.write(chunk.subarray(0, taken));
  }
}
