// One HTTP/1.x request on one upstream, and its answer: both bodies at the same time, each waiting for the slower side, and one outcome.
// Changes nothing but X-Forwarded-For, and Connection while the agent drains. What it can't read of an answer it does not judge: the
// caller gets the bytes as they are ('raw'). Which upstream, and what comes next, is http1.ts.
import type { Socket } from 'node:net';
import {
  endless,
  headEnd,
  parseResponse,
  type RequestHead,
  type ResponseHead,
  withClose,
  withForwardedFor,
} from '../../netstack/http/http1.codec.ts';
import { BodyCounter, type BodyKind, HttpFault, responseBody } from '../../netstack/http/http1-body.codec.ts';
import type { UpstreamSide } from './upstream-side.ts';
import { writeGathered } from './write-gathered.ts';

export type Outcome =
  /** The answer is whole. `keep`: so is the request, and the caller may send the next one; `reusable`: on this upstream too. */
  | { readonly kind: 'whole'; readonly keep: boolean; readonly reusable: boolean }
  /** Upgrade or CONNECT was accepted, or the answer is none of HTTP: bytes both ways from here. */
  | { readonly kind: 'raw' }
  /** The upstream ended (no `error`) or broke, before the answer or in it. */
  | { readonly kind: 'lost'; readonly begun: boolean; readonly error: Error | undefined }
  | { readonly kind: 'fault'; readonly begun: boolean; readonly fault: HttpFault };

export interface ExchangeRequest {
  readonly head: RequestHead;
  readonly body: BodyKind;
}

export class Exchange {
  readonly #client: Socket;
  readonly #upstream: UpstreamSide;
  readonly #request: RequestHead;
  readonly #requestBody: BodyCounter;
  readonly #draining: () => boolean;
  readonly #done: (outcome: Outcome) => void;
  /** A part of an answer's head. */
  #held: Buffer | undefined;
  #answer: ResponseHead | undefined;
  #answerBody: BodyCounter | undefined;
  /** More came than the answer: the upstream is out of step. */
  #surplus = false;
  /** The caller was asked to leave with this answer. */
  #closing = false;
  #over = false;

  constructor(
    client: Socket,
    upstream: UpstreamSide,
    request: ExchangeRequest,
    draining: () => boolean,
    done: (outcome: Outcome) => void,
  ) {
    this.#client = client;
    this.#upstream = upstream;
    this.#request = request.head;
    this.#requestBody = new BodyCounter(request.body);
    this.#draining = draining;
    this.#done = done;
  }

  /** Sends the head and what came behind it; says how many of those bytes are this request's. `done` may be called before it returns. */
  begin(address: string, early: Buffer): number {
    this.#upstream.onData = (chunk) => this.#fromUpstream(chunk);
    this.#upstream.onOver = (error) => this.#upstreamOver(error);
    this.#upstream.onDrain = () => void this.#client.resume();
    const taken = this.#count(early);
    if (taken < 0) return 0;
    this.#send(withForwardedFor(this.#request, address, early.subarray(0, taken)));
    return taken;
  }

  /** How many bytes of `chunk` are this request's; those are on their way. */
  fromClient(chunk: Buffer): number {
    const taken = this.#count(chunk);
    if (taken > 0 && !this.#upstream.over) this.#send(taken === chunk.length ? chunk : chunk.subarray(0, taken));
    return Math.max(0, taken);
  }

  get requestDone(): boolean {
    return this.#requestBody.done;
  }

  /** Nothing more comes from the caller. What it said is passed on, and so is that it ended: servers give up long answers then. */
  clientEnded(): void {
    if (!this.#over && this.#upstream.stream.writable) this.#upstream.stream.end();
  }

  clientDrained(): void {
    if (!this.#over) this.#upstream.stream.resume();
  }

  /** To be asked when a part of the request was taken: the answer may have been first. */
  settle(): void {
    if (this.#over || this.#answerBody?.done !== true) return;
    const persistent = this.#answer?.persistent === true && !this.#answerBody.untilClose;
    const reusable = persistent && !this.#surplus && !this.#upstream.over;
    if (this.requestDone) this.#finish({ kind: 'whole', keep: persistent && !this.#closing, reusable });
    // Nobody reads the rest of the request.
    else if (!reusable) this.#finish({ kind: 'whole', keep: false, reusable: false });
  }

  #count(chunk: Buffer): number {
    try {
      return this.#requestBody.take(chunk);
    } catch (error) {
      if (!(error instanceof HttpFault)) throw error;
      this.#finish({ kind: 'fault', begun: this.#answerBody !== undefined, fault: error });
      return -1;
    }
  }

  #send(bytes: Buffer): void {
    if (!writeGathered(this.#upstream.stream, bytes)) this.#client.pause();
  }

  #answerWith(bytes: Buffer): void {
    if (!writeGathered(this.#client, bytes)) this.#upstream.stream.pause();
  }

  #fromUpstream(chunk: Buffer): void {
    let bytes = chunk;
    let looked = 0;
    if (this.#held) {
      looked = this.#held.length;
      bytes = Buffer.concat([this.#held, chunk]);
      this.#held = undefined;
    }
    // Bytes in front of `at` have been judged and pass.
    let at = 0;
    while (this.#answerBody === undefined) {
      const end = headEnd(bytes, Math.max(at, looked));
      if (end < 0 && !endless(bytes.subarray(at))) {
        if (at > 0) this.#answerWith(bytes.subarray(0, at));
        if (at < bytes.length) this.#held = bytes.subarray(at);
        return;
      }
      const head = end < 0 ? undefined : parseResponse(bytes.subarray(at, end));
      if (head === undefined || this.#isSwitch(head)) return this.#raw(bytes);
      if (head.status >= 200) {
        try {
          this.#answerBody = new BodyCounter(responseBody(head, this.#request.method));
        } catch {
          return this.#raw(bytes);
        }
        this.#answer = head;
        if (this.#draining()) return this.#lastAnswer(head, bytes.subarray(0, at), bytes.subarray(end));
      }
      at = end;
    }
    this.#body(bytes, at);
    return undefined;
  }

  #lastAnswer(head: ResponseHead, before: Buffer, behind: Buffer): void {
    this.#closing = true;
    this.#answerWith(Buffer.concat([before, withClose(head)]));
    this.#body(behind, 0);
  }

  #body(bytes: Buffer, from: number): void {
    let end = from;
    try {
      end += this.#answerBody?.take(bytes, from) ?? 0;
    } catch {
      return this.#raw(bytes);
    }
    if (end > 0) this.#answerWith(end === bytes.length ? bytes : bytes.subarray(0, end));
    if (end < bytes.length) this.#surplus = true;
    this.settle();
    return undefined;
  }

  #isSwitch(head: ResponseHead): boolean {
    return head.status === 101 || (this.#request.method === 'CONNECT' && head.status >= 200 && head.status < 300);
  }

  #raw(bytes: Buffer): void {
    this.#client.write(bytes);
    this.#finish({ kind: 'raw' });
  }

  #upstreamOver(error: Error | undefined): void {
    if (this.#over) return;
    if (this.#held) this.#client.write(this.#held);
    if (this.#answerBody === undefined) this.#finish({ kind: 'lost', begun: this.#held !== undefined, error });
    else if (this.#answerBody.done || (this.#answerBody.untilClose && error === undefined))
      this.#finish({ kind: 'whole', keep: false, reusable: false });
    else this.#finish({ kind: 'lost', begun: true, error });
  }

  #finish(outcome: Outcome): void {
    if (this.#over) return;
    this.#over = true;
    this.#done(outcome);
  }
}
