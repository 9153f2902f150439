// A plain request in absolute-form: sends it to the destination and its answer back. Bodies stream both ways with back-pressure, trailers
// and 1xx answers pass, the client's going away cancels the other side (its FIN is that too, as for nginx and node:http). Called by proxy.ts.
//
// Who gets a pooled connection: requests that may be sent twice (safe method, no body). A pooled one may close at any moment, and
// then they are sent again. Everything else gets its own connection, which costs no round trip here.
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import { asKtError, KtError } from '../../errors.ts';
import type { Target } from '../dialer.ts';
import { reset } from '../stream/reset.ts';
import { errorAnswer, sendAnswer } from './answer.ts';
import { loginProblem } from './connect-client.ts';
import type { DialerAgent } from './dialer-agent.ts';
import { endToEndFields, fieldValues, pairs, withoutField } from './header-fields.codec.ts';
import { Outbound } from './outbound.ts';

/** RFC 9110 §9.2.1. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH']);
/** A request that may be sent twice is sent again after a stale pooled connection or a link lost before the answer. */
const ATTEMPTS_MAX = 3;

export interface ForwardOptions {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: Target;
  readonly authority: string;
  readonly path: string;
  readonly pooled: DialerAgent;
  readonly single: DialerAgent;
  /** The agents lead to another proxy; these fields are for it. */
  readonly hop?: readonly string[] | undefined;
  /** Called once, with the error where no answer came. */
  readonly onDone: (error?: KtError) => void;
}

export function forward(options: ForwardOptions): void {
  new Forward(options).start();
}

class Forward {
  readonly #options: ForwardOptions;
  readonly #cancel = new AbortController();
  readonly #hasBody: boolean;
  readonly #repeatable: boolean;
  #current: ClientRequest | undefined;
  #attempts = 0;
  #continued = false;

  constructor(options: ForwardOptions) {
    const { incoming } = options;
    this.#options = options;
    this.#hasBody = hasBody(incoming);
    this.#repeatable = !this.#hasBody && SAFE.has(incoming.method ?? '');
  }

  start(): void {
    const { response, incoming } = this.#options;
    const codings = fieldValues(incoming.rawHeaders, 'transfer-encoding').join(',').toLowerCase();
    if (codings !== '' && codings.trim() !== 'chunked') {
      this.#refuse(new KtError('UNSUPPORTED', `transfer coding '${codings}' is not served`));
      return;
    }
    response.sendDate = false;
    response.on('close', () => {
      if (response.writableFinished) return;
      this.#cancel.abort(new KtError('CANCELLED', 'the client went away'));
      this.#current?.destroy();
    });
    incoming.on('error', () => undefined);
    this.#attempt();
  }

  #attempt(): void {
    const { incoming, target, path, pooled, single } = this.#options;
    this.#attempts += 1;
    const agent = this.#repeatable && this.#attempts === 1 ? pooled : single;
    let outbound: Outbound;
    try {
      const fields = this.#fields(agent === pooled);
      outbound = new Outbound({
        agent,
        target,
        method: incoming.method ?? 'GET',
        path,
        fields,
        signal: this.#cancel.signal,
      });
    } catch (cause) {
      this.#refuse(new KtError('USAGE', 'the request has characters that HTTP does not allow', { cause }));
      return;
    }
    const { request } = outbound;
    this.#current = request;
    request.on('response', (answer) => this.#answer(answer));
    request.on('continue', () => this.#continue());
    request.on('information', ({ statusCode, rawHeaders }) => this.#inform(statusCode, rawHeaders));
    request.on('error', (cause) => void this.#failed(outbound, cause));
    this.#sendBody(request);
  }

  /** End-to-end fields, and the ones of the new hop. */
  #fields(keepAlive: boolean): string[] {
    const { incoming, authority, hop = [] } = this.#options;
    const fields = ['Host', authority, ...withoutField(endToEndFields(incoming.rawHeaders), 'host'), ...hop];
    const chunked = incoming.headers['transfer-encoding'] !== undefined;
    if (chunked) fields.push('Transfer-Encoding', 'chunked');
    // Without this, node:http would frame a POST that has no body as chunked.
    else if (incoming.headers['content-length'] === undefined && !SAFE.has(incoming.method ?? '')) {
      if (incoming.method !== 'DELETE') fields.push('Content-Length', '0');
    }
    const connection = keepAlive ? 'keep-alive' : 'close';
    const trailers = /(?:^|,)\s*trailers\s*(?:$|[,;])/i.test(String(incoming.headers.te ?? ''));
    if (trailers) fields.push('TE', 'trailers');
    fields.push('Connection', trailers ? `${connection}, TE` : connection);
    return fields;
  }

  #sendBody(request: ClientRequest): void {
    const { incoming } = this.#options;
    if (!this.#hasBody) {
      request.end();
      return;
    }
    // At once: the destination may want to say 100 or no before the body.
    request.flushHeaders();
    incoming.once('end', () => {
      if (incoming.rawTrailers.length > 0 && !request.destroyed) request.addTrailers(pairs(incoming.rawTrailers));
    });
    incoming.pipe(request);
    // Whoever answers early may close; the rest of the body is then read and thrown away, so that the client sees the answer.
    request.once('close', () => {
      incoming.unpipe(request);
      incoming.resume();
    });
  }

  #continue(): void {
    const { response } = this.#options;
    this.#continued = true;
    if (!response.headersSent && expectsContinue(this.#options.incoming)) response.writeContinue();
  }

  /** RFC 9110 §15.2: a proxy passes 1xx on. 100 has its own event. */
  #inform(status: number, raw: readonly string[]): void {
    const { response } = this.#options;
    if (response.headersSent) return;
    if (status === 102) response.writeProcessing();
    const link = fieldValues(raw, 'link');
    if (status !== 103 || link.length === 0) return;
    try {
      response.writeEarlyHints({ link });
    } catch {
      // node:http is strict about links; a hint that it does not take is left out, the answer itself follows.
    }
  }

  #answer(answer: IncomingMessage): void {
    const { response, incoming, onDone } = this.#options;
    if (response.destroyed) {
      answer.destroy();
      return;
    }
    // The client must not take it for a question of kt's own proxy.
    if (answer.statusCode === 407 && this.#options.hop) {
      answer.destroy();
      const hadPassword = this.#options.hop.length > 0;
      const { problem, hint } = loginProblem(answer.headers['proxy-authenticate'], hadPassword, 'HTTP_PROXY');
      this.#refuse(new KtError('CORPORATE_PROXY', `the company's proxy ${problem}`, { hint }));
      return;
    }
    const fields = endToEndFields(answer.rawHeaders);
    // The client still holds its body back and may never send it: the connection can't be used again.
    if (expectsContinue(incoming) && !this.#continued) fields.push('Connection', 'close');
    try {
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, fields);
    } catch (cause) {
      answer.destroy();
      this.#refuse(new KtError('DIAL_FAILED', 'the answer has characters that HTTP does not allow', { cause }));
      return;
    }
    answer.once('end', () => {
      if (answer.rawTrailers.length > 0) response.addTrailers(pairs(answer.rawTrailers));
    });
    // The header leaves now (events, long polls), yet in one packet with a body that is already here.
    // (The socket is corked, not the response: node:http loses chunks when a corked response ends.)
    const { socket } = response;
    socket?.cork();
    setImmediate(() => socket?.uncork());
    response.flushHeaders();
    answer.once('error', () => {
      // Without chunks and without a length, a plain end would say that this was all.
      if (!response.chunkedEncoding && answer.headers['content-length'] === undefined && socket) reset(socket);
    });
    pipeline(answer, response, (error) => onDone(error ? asKtError(error, 'STREAM_RESET') : undefined));
  }

  async #failed(outbound: Outbound, cause: Error): Promise<void> {
    const { response, onDone } = this.#options;
    const stale = outbound.request.reusedSocket;
    const error = await outbound.explain(cause);
    // An answer that has begun is ended by its pipeline; a client that has gone needs none.
    if (response.headersSent) return;
    if (response.destroyed) {
      onDone(error);
      return;
    }
    const lost = error.code === 'LINK_LOST' || error.code === 'LINK_DEAD';
    if (this.#repeatable && (stale || lost) && this.#attempts < ATTEMPTS_MAX) this.#attempt();
    else this.#refuse(error);
  }

  #refuse(error: KtError): void {
    const { response, incoming, onDone } = this.#options;
    onDone(error);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const close: Record<string, string> = expectsContinue(incoming) && !this.#continued ? { Connection: 'close' } : {};
    incoming.resume();
    sendAnswer(response, errorAnswer(error, undefined, close));
  }
}

/** RFC 9112 §6: a body is announced by one of these. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function expectsContinue({ headers }: IncomingMessage): boolean {
  return /^100-continue$/i.test(headers.expect ?? '');
}
