// Reads along on one HTTP/1.x connection from an ingress agent to the local app, both ways: requests, answers and where they end. Sans-io, and
// only a reader: the bytes have gone on their way. What it can't read without a doubt ends the reading (`lost`), never the connection.
// Called by inbound-tap.ts and, for its answer, by replay.ts.
import {
  endless,
  headEnd,
  parseRequest,
  parseResponse,
  type RequestHead,
  type ResponseHead,
} from '../../netstack/http/http1.codec.ts';
import { BodyCounter, requestBody, responseBody } from '../../netstack/http/http1-body.codec.ts';
import { linesOf, Sample, type SeenMessage } from './sample.ts';

/** Bytes of a request's body that are kept: what is longer can't be sent again. */
export const REQUEST_KEPT = 64 * 1024;
/** Bytes of an answer's body that are kept: what is shown. */
export const RESPONSE_KEPT = 1024;
/** Requests of one connection without an answer yet. The agent sends one. */
const WAITING_MAX = 64;

export interface SeenExchange {
  readonly method: string;
  readonly request: SeenMessage;
  response: SeenMessage | undefined;
  status: number | undefined;
  /** What the connection became; the bytes behind are not HTTP any more. */
  upgrade: string | undefined;
}

export interface ObserverEvents {
  request(exchange: SeenExchange): void;
  /** Its head; the one that counts, not 1xx. */
  answer(exchange: SeenExchange): void;
  /** The answer is whole. */
  end(exchange: SeenExchange): void;
  /** Nothing more will be read. */
  lost(): void;
}

export class Http1Observer {
  readonly #events: ObserverEvents;
  readonly #keep: { readonly request: number; readonly response: number };
  readonly #caller = new Side();
  readonly #app = new Side();
  readonly #waiting: SeenExchange[] = [];
  #reading = true;

  constructor(events: ObserverEvents, keep = { request: REQUEST_KEPT, response: RESPONSE_KEPT }) {
    this.#events = events;
    this.#keep = keep;
  }

  fromCaller(chunk: Buffer): void {
    this.#read(this.#caller, chunk, (raw) => this.#request(raw));
  }

  fromApp(chunk: Buffer): void {
    this.#read(
      this.#app,
      chunk,
      (raw) => this.#answer(raw),
      () => this.#answered(),
    );
  }

  /** No more of the app: an answer without a length ends with it. */
  appEnded(): void {
    if (this.#reading && this.#app.body?.untilClose === true) this.#answered();
  }

  /** Reads heads and bodies in turn. A fault of the message ends the reading. */
  #read(
    side: Side,
    chunk: Buffer,
    onHead: (raw: Buffer) => BodyCounter | undefined,
    onEnd = (): void => undefined,
  ): void {
    if (!this.#reading) return;
    try {
      let bytes = side.held ? Buffer.concat([side.held, chunk]) : chunk;
      side.held = undefined;
      while (bytes.length > 0 && this.#reading) {
        if (side.body === undefined) {
          const end = headEnd(bytes);
          if (end < 0) {
            if (endless(bytes)) return this.#lose();
            side.held = Buffer.from(bytes);
            return undefined;
          }
          const body = onHead(bytes.subarray(0, end));
          bytes = bytes.subarray(end);
          if (body === undefined) continue;
          side.body = body;
        }
        bytes = bytes.subarray(side.body.take(bytes));
        if (!side.body.done) continue;
        side.body = undefined;
        onEnd();
      }
      // A body of no bytes ends with its head.
      if (side.body?.done === true) {
        side.body = undefined;
        onEnd();
      }
    } catch {
      this.#lose();
    }
    return undefined;
  }

  #request(raw: Buffer): BodyCounter | undefined {
    const head = parseRequest(raw);
    if (head === undefined || this.#waiting.length >= WAITING_MAX) return this.#lose();
    const body = new Sample(this.#keep.request);
    const request = { ...linesOf(raw), body };
    const exchange = { method: head.method, request, response: undefined, status: undefined, upgrade: undefined };
    this.#waiting.push(exchange);
    const counter = new BodyCounter(requestBody(head), (bytes) => body.push(bytes));
    this.#events.request(exchange);
    return counter;
  }

  #answer(raw: Buffer): BodyCounter | undefined {
    const head = parseResponse(raw);
    const [exchange] = this.#waiting;
    if (head === undefined || exchange === undefined) return this.#lose();
    if (head.status < 200 && head.status !== 101) return undefined;
    const body = new Sample(this.#keep.response);
    exchange.response = { ...linesOf(raw), body };
    exchange.status = head.status;
    exchange.upgrade = upgradeOf(exchange, head);
    this.#events.answer(exchange);
    if (exchange.upgrade !== undefined) {
      this.#reading = false;
      return undefined;
    }
    return new BodyCounter(responseBody(head, exchange.method), (bytes) => body.push(bytes));
  }

  #answered(): void {
    this.#app.body = undefined;
    const exchange = this.#waiting.shift();
    if (exchange) this.#events.end(exchange);
  }

  #lose(): undefined {
    if (!this.#reading) return undefined;
    this.#reading = false;
    this.#caller.held = undefined;
    this.#app.held = undefined;
    this.#events.lost();
    return undefined;
  }
}

/** One direction. */
class Side {
  /** A part of a head. */
  held: Buffer | undefined;
  body: BodyCounter | undefined;
}

function upgradeOf({ method }: SeenExchange, head: ResponseHead | RequestHead): string | undefined {
  if (!('status' in head)) return undefined;
  if (head.status === 101) return head.field('upgrade') ?? 'unknown';
  return method === 'CONNECT' && head.status < 300 ? 'connect' : undefined;
}
