// The client's half of the websocket handshake (RFC 6455 §4.1) over a connection that is there already (TLS, plain or through a proxy).
// The asking is http/ask-upgrade.ts's, the frames are connection.ts's.
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { askUpgrade } from '../http/ask-upgrade.ts';

/** RFC 6455 §1.3. */
const KEY_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
export interface UpgradeRequest {
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly protocol: string;
  readonly signal?: AbortSignal | undefined;
}

/** Asks for the upgrade. Gives the bytes that came with the answer. Rejects with UpgradeError or the socket's error; the socket is destroyed then. */
export function upgradeToWebSocket(
  socket: Socket,
  { path, host, headers, protocol, signal }: UpgradeRequest,
): Promise<Buffer> {
  const key = randomBytes(16).toString('base64');
  const accept = createHash('sha1')
    .update(key + KEY_SUFFIX)
    .digest('base64');
  return askUpgrade(socket, {
    method: 'GET',
    path,
    host,
    headers: {
      ...headers,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': key,
      'Sec-WebSocket-Protocol': protocol,
    },
    signal,
    faultOf: (response) => faultOf(response, accept, protocol),
  });
}

function faultOf({ headers }: IncomingMessage, accept: string, protocol: string): string | undefined {
  if (headers.upgrade?.toLowerCase() !== 'websocket') return 'the connection was switched, but not to websocket';
  if (headers['sec-websocket-accept'] !== accept)
    return 'the answer to the websocket handshake belongs to another request';
  if (headers['sec-websocket-extensions']) return 'the other side wants websocket extensions that nobody asked for';
  if (headers['sec-websocket-protocol'] !== protocol)
    return `the other side does not agree to the websocket protocol ${protocol}`;
  return undefined;
}
