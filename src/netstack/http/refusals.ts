// The texts for requests that the proxy can't carry: each guesses the user's mistake. Called by proxy.ts.
import type { IncomingMessage } from 'node:http';
import { KtError } from '../../errors.ts';
import { type Answer, errorAnswer } from './answer.ts';
import { HEADER_BYTES_MAX } from './outbound.ts';
import type { RequestTarget } from './request-target.codec.ts';

/** Why a request target is not served. */
export function explainTarget(request: RequestTarget, { method = 'GET', url = '', headers }: IncomingMessage): KtError {
  if (request.form === 'origin') {
    const here = headers.host ?? '127.0.0.1:PORT';
    return new KtError('USAGE', 'this is the proxy of kt (HTTP and SOCKS5), not a web server', {
      hint: `It leads into the cluster: curl --proxy http://${here} http://SERVICE/, or set HTTP_PROXY=http://${here}.`,
    });
  }
  if (request.form === 'foreign') {
    return new KtError('UNSUPPORTED', `this proxy carries ${request.scheme}:// only through CONNECT`, {
      hint: 'The program must ask for a tunnel (CONNECT host:port), or use the SOCKS5 side of this port.',
    });
  }
  return new KtError('USAGE', `'${url.slice(0, 200)}' is not a destination for ${method}`, {
    hint: method === 'CONNECT' ? 'Write host:port.' : 'Write http://host[:port]/path.',
  });
}

/** What node:http could not parse, as an answer. */
export function explainBroken(error: NodeJS.ErrnoException & { rawPacket?: Buffer }): Answer {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    const message = `the request line and header fields are longer than ${HEADER_BYTES_MAX} bytes`;
    return errorAnswer(new KtError('USAGE', message), 431);
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return errorAnswer(new KtError('USAGE', 'the header fields did not come in time'), 408);
  }
  const first = error.rawPacket?.subarray(0, 4).toString('latin1') ?? '';
  if (first.startsWith('\x16\x03')) {
    const hint = 'Write the proxy as http://127.0.0.1:PORT, also for https sites.';
    return errorAnswer(new KtError('USAGE', 'this looks like TLS; the proxy itself speaks none', { hint }));
  }
  if (first.startsWith('PRI ')) {
    const hint = 'For h2c use CONNECT (curl --proxytunnel) or SOCKS5.';
    return errorAnswer(new KtError('USAGE', 'HTTP/2 is not spoken to the proxy itself', { hint }));
  }
  return errorAnswer(new KtError('USAGE', `this is not an HTTP/1 request (${error.code ?? error.message})`));
}
