// Reads along on one HTTP/2 connection from an ingress agent to the local app (gRPC, h2c): each stream is an exchange, as those of HTTP/1.x are.
// Sans-io, and only a reader: what it can't read ends the reading (`lost`), never the connection. Called by inbound-tap.ts.
import { type Field, HpackDecoder } from '../../netstack/http/hpack.codec.ts';
import { REQUEST_KEPT, RESPONSE_KEPT, type SeenExchange } from './http1-observer.machine.ts';
import { type FrameEvents, FrameReader } from './http2-frames.machine.ts';
import { Sample, type SeenMessage } from './sample.ts';

/** Streams of one connection that have no answer yet. */
const STREAMS_MAX = 2_000;

export interface Http2Events {
  request(exchange: SeenExchange): void;
  answer(exchange: SeenExchange): void;
  end(exchange: SeenExchange, error?: string): void;
  bytes(exchange: SeenExchange, received: number, sent: number): void;
  lost(): void;
}

export class Http2Observer {
  readonly #events: Http2Events;
  readonly #streams = new Map<number, SeenExchange>();
  readonly #caller: FrameReader;
  readonly #app: FrameReader;
  #reading = true;

  constructor(events: Http2Events) {
    this.#events = events;
    this.#caller = new FrameReader(this.#side(true), true);
    this.#app = new FrameReader(this.#side(false), false);
  }

  fromCaller(chunk: Buffer): void {
    this.#read(this.#caller, chunk);
  }

  fromApp(chunk: Buffer): void {
    this.#read(this.#app, chunk);
  }

  #read(side: FrameReader, chunk: Buffer): void {
    if (!this.#reading) return;
    try {
      side.push(chunk);
    } catch {
      // A table that lost step reads nonsense from here on.
      this.#reading = false;
      this.#streams.clear();
      this.#events.lost();
    }
  }

  #side(caller: boolean): FrameEvents {
    const decoder = new HpackDecoder();
    return {
      headers: (stream, block, endStream) => {
        const fields = decoder.decode(block);
        if (caller) this.#request(stream, fields, block.length);
        else this.#answer(stream, fields, block.length);
        if (endStream && !caller) this.#end(stream);
      },
      promised: (block) => void decoder.decode(block),
      data: (stream, piece) => {
        const exchange = this.#streams.get(stream);
        (caller ? exchange?.request : exchange?.response)?.body.push(piece);
      },
      endStream: (stream) => {
        if (!caller) this.#end(stream);
      },
      // NO_ERROR behind a whole answer: the app does not want the rest of the request.
      reset: (stream, code) =>
        this.#end(stream, `reset by the ${caller ? 'caller' : 'local app'} (HTTP/2 error ${code})`),
      bytes: (stream, count) => {
        const exchange = this.#streams.get(stream);
        if (exchange) this.#events.bytes(exchange, caller ? count : 0, caller ? 0 : count);
      },
    };
  }

  #request(stream: number, fields: readonly Field[], bytes: number): void {
    const known = this.#streams.get(stream);
    // Trailers.
    if (known) return;
    if (this.#streams.size >= STREAMS_MAX) throw new Error('too many streams');
    const method = pseudo(fields, ':method');
    const authority = pseudo(fields, ':authority');
    const headers = [...(authority === '' ? [] : [['host', authority] as const]), ...ordinary(fields)];
    const line = `${method} ${pseudo(fields, ':path') || authority} HTTP/2`;
    const request: SeenMessage = { line, headers, headBytes: bytes, body: new Sample(REQUEST_KEPT) };
    const exchange: SeenExchange = { method, request, response: undefined, status: undefined, upgrade: undefined };
    this.#streams.set(stream, exchange);
    this.#events.request(exchange);
  }

  #answer(stream: number, fields: readonly Field[], bytes: number): void {
    const exchange = this.#streams.get(stream);
    if (!exchange) return;
    const status = Number(pseudo(fields, ':status'));
    if (exchange.response) {
      // Trailers: gRPC's status is in them.
      const { headers, headBytes, ...rest } = exchange.response;
      exchange.response = { ...rest, headers: [...headers, ...ordinary(fields)], headBytes: headBytes + bytes };
      return;
    }
    if (status < 200) return;
    const body = new Sample(RESPONSE_KEPT);
    exchange.response = { line: `HTTP/2 ${status}`, headers: ordinary(fields), headBytes: bytes, body };
    exchange.status = status;
    this.#events.answer(exchange);
  }

  #end(stream: number, error?: string): void {
    const exchange = this.#streams.get(stream);
    if (!exchange) return;
    this.#streams.delete(stream);
    this.#events.end(exchange, error);
  }
}

const pseudo = (fields: readonly Field[], name: string): string => fields.find(([one]) => one === name)?.[1] ?? '';
const ordinary = (fields: readonly Field[]): Field[] => fields.filter(([name]) => !name.startsWith(':'));
