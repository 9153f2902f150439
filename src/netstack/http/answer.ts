// What the proxy says in its own name: errors and help, as plain text with the error's code in a header. Never an answer of a destination.
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { ErrorCode, KtError } from '../../errors.ts';

/** The status for an error. 502 where the destination is at fault, 504 where nobody answered in time, 503 where the link is gone. */
export function statusFor(code: ErrorCode): number {
  switch (code) {
    case 'DIAL_TIMEOUT':
    case 'LINK_PARKED':
      return 504;
    case 'DIAL_DENIED':
      return 403;
    case 'LINK_LOST':
    case 'LINK_DEAD':
    case 'STREAM_LIMIT':
      return 503;
    case 'USAGE':
      return 400;
    case 'UNSUPPORTED':
      return 501;
    case 'INTERNAL':
      return 500;
    default:
      return 502;
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

export function errorAnswer(
  error: KtError,
  status = statusFor(error.code),
  headers: Record<string, string> = {},
): Answer {
  const body = `kt: ${error.message}\n${error.hint === undefined ? '' : `${error.hint}\n`}`;
  return {
    status,
    headers: {
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': String(Buffer.byteLength(body)),
      'X-Kt-Error': error.code,
      ...headers,
    },
    body,
  };
}

export function sendAnswer(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, headers);
  response.end(body);
}

/** For sockets that node:http has let go (CONNECT, upgrades, broken requests). The connection ends after it. */
export function encodeAnswer({ status, headers, body }: Answer): Buffer {
  const fields = Object.entries({ ...headers, Connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\n${fields.join('')}\r\n${body}`, 'utf8');
}
