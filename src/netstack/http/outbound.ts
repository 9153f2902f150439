// One request of the proxy to a destination: opens it on a DialerAgent and explains its failure. Knows nothing of the client's side.
// Called by forward.ts and upgrade.ts.
import { type ClientRequest, request } from 'node:http';
import { asKtError, KtError } from '../../errors.ts';
import type { Connection, Target } from '../dialer.ts';
import { formatAuthority } from '../target.codec.ts';
import type { DialerAgent, DialRequestArgs } from './dialer-agent.ts';

/** Bytes of a request's or an answer's header section. Node has 16 KiB, nginx 32; a proxy must not be the narrowest place. */
export const HEADER_BYTES_MAX = 64 * 1024;

export interface OutboundOptions {
  readonly agent: DialerAgent;
  readonly target: Target;
  readonly method: string;
  readonly path: string;
  /** Flat and complete, Host and framing included. */
  readonly fields: readonly string[];
  readonly signal: AbortSignal;
}

export class Outbound {
  readonly request: ClientRequest;
  readonly #target: Target;
  #connection: Connection | undefined;

  /** Throws where node:http refuses a character of the path or of a field. */
  constructor({ agent, target, method, path, fields, signal }: OutboundOptions) {
    this.#target = target;
    const args: DialRequestArgs = {
      agent,
      target,
      host: target.host,
      port: target.port,
      method,
      path,
      headers: fields,
      maxHeaderSize: HEADER_BYTES_MAX,
      dialSignal: signal,
      onConnection: (connection) => {
        this.#connection = connection;
      },
    };
    this.request = request(args);
    // 0 lifts the limit of 2,000 fields beyond which node:http drops fields silently; HEADER_BYTES_MAX bounds them.
    this.request.maxHeadersCount = 0;
  }

  /** Why it failed: the dial's own reason, where it was the dial. */
  async explain(cause: Error): Promise<KtError> {
    const dial = await dialFailure(this.#connection);
    if (dial !== undefined) return dial;
    if (cause instanceof KtError) return cause;
    const where = formatAuthority(this.#target);
    const code = 'code' in cause ? String(cause.code) : '';
    if (code === 'HPE_HEADER_OVERFLOW') {
      return new KtError('DIAL_FAILED', `${where} answered with more than ${HEADER_BYTES_MAX} bytes of header fields`, {
        cause,
      });
    }
    if (code.startsWith('HPE_')) {
      const hint = 'Is that port an HTTP port? For HTTPS write https://, for other protocols use SOCKS5.';
      return new KtError('DIAL_FAILED', `${where} answered with something that is not HTTP/1`, { hint, cause });
    }
    return new KtError('STREAM_RESET', `${where} closed the connection before it answered`, { cause });
  }
}

/** The rejection of `opened`, if it is decided: a failed dial destroys its stream, so by then it is. */
async function dialFailure(connection: Connection | undefined): Promise<KtError | undefined> {
  if (connection === undefined) return undefined;
  const decided = connection.opened.then(
    () => undefined,
    (error: unknown) => asKtError(error, 'DIAL_FAILED'),
  );
  const undecided = new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)));
  return Promise.race([decided, undecided]);
}
