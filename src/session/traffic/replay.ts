// Sends an inbound request again to the local app, byte for byte but for the framing of its body, and gives both answers. The caller in the
// cluster gets nothing of it. Called by the board's action `replay`.
import { KtError } from '../../errors.ts';
import { connectLocal } from '../inbound/local-port.ts';
import { messageDetail } from './detail.ts';
import type { Entry } from './entry.ts';
import { Http1Observer, RESPONSE_KEPT, type SeenExchange } from './http1-observer.machine.ts';
import type { SeenMessage } from './sample.ts';
import type { Replayed } from './types.ts';

/** Milliseconds for the answer: somebody waits at the screen, perhaps with a debugger at a breakpoint. */
const ANSWER_MS = 60_000;
/** Of the connection that was; the body is framed anew. */
const LEFT_OUT = /^(content-length|transfer-encoding|connection|keep-alive|expect|te|trailer)$/i;

/** Rejects with USAGE where this request can't be sent again, LISTEN_FAILED where nobody answers on the port, DIAL_TIMEOUT. */
export async function replay(entry: Entry | undefined, limitMs = ANSWER_MS): Promise<Replayed> {
  const request = entry?.request;
  if (!entry || !request)
    throw new KtError('USAGE', 'this request is not kept any more, or was no HTTP', {
      hint: 'the latest ones can be replayed',
    });
  const { record } = entry;
  if (record.direction !== 'in') throw new KtError('USAGE', 'only what comes in can be replayed');
  if (record.upgrade !== null || record.protocol === 'h2')
    throw new KtError('USAGE', `${record.upgrade ?? 'HTTP/2'} can't be replayed, only plain HTTP/1.1 requests`);
  if (request.body.bytes > request.body.kept)
    throw new KtError('USAGE', `only ${request.body.kept} of the ${request.body.bytes} bytes of its body are kept`);
  const began = performance.now();
  const { response, status } = await send(record.local, request, record.method ?? 'GET', limitMs);
  const ms = Math.round((performance.now() - began) * 10) / 10;
  const before = entry.response ? messageDetail(entry.response, false) : null;
  return {
    before: { response: before, status: record.status, ms: record.ms },
    after: { response: messageDetail(response, false), status, ms },
  };
}

function bytesOf({ line, headers, body }: SeenMessage, method: string): Buffer {
  const bare = headers.filter(([name]) => !LEFT_OUT.test(name));
  const length = body.bytes > 0 || !['GET', 'HEAD', 'DELETE', 'OPTIONS'].includes(method);
  const fields = [...bare, ['Connection', 'close'], ...(length ? [['Content-Length', String(body.bytes)]] : [])];
  const head = [line, ...fields.map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), body.content]);
}

async function send(
  port: number,
  request: SeenMessage,
  method: string,
  limitMs: number,
): Promise<{ response: SeenMessage; status: number }> {
  const bytes = bytesOf(request, method);
  const socket = await connectLocal(port).catch((cause: unknown) => {
    throw new KtError('LISTEN_FAILED', `nothing answers on the local port ${port}`, { cause });
  });
  try {
    return await new Promise((resolve, reject) => {
      const late = (): void =>
        reject(new KtError('DIAL_TIMEOUT', `port ${port} did not answer within ${limitMs / 1000} s`));
      const timer = setTimeout(late, limitMs);
      const broken = (why: string): void => reject(new KtError('STREAM_RESET', `the local app ${why}`));
      const end = ({ response, status }: SeenExchange): void => {
        if (response && status !== undefined) resolve({ response, status });
      };
      const answer = (exchange: SeenExchange): void => {
        if (exchange.upgrade !== undefined) end(exchange);
      };
      const observer = new Http1Observer(
        { request: () => undefined, answer, end, lost: () => broken('answered something that is not HTTP') },
        { request: 0, response: RESPONSE_KEPT },
      );
      observer.fromCaller(bytes);
      socket.on('data', (chunk: Buffer) => observer.fromApp(chunk));
      socket.on('end', () => {
        observer.appEnded();
        broken('closed the connection before its answer was whole');
      });
      socket.on('error', (error) => broken(`broke the connection off: ${error.message}`));
      socket.on('close', () => clearTimeout(timer));
      socket.write(bytes);
    });
  } finally {
    socket.destroy();
  }
}
