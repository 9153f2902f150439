// The client's half of the websocket handshake (RFC 6455 §4.1) over a connection that is there already (TLS, plain or through a proxy).
// Nothing is sent before the 101: proxies on the way throw it away. What the API server means by a refusal is judged in src/cluster/upgrade.ts.
import { createHash, randomBytes } from 'node:crypto';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** RFC 6455 §1.3. */
const KEY_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** A Status, or a proxy's page: what is longer is cut. */
const BODY_MAX_BYTES = 64 * 1024;
/** Milliseconds for a refusal's body, which may never end. */
const BODY_MS = 3_000;

export interface UpgradeRequest {
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly protocol: string;
  readonly signal?: AbortSignal | undefined;
}

/** An answer that is no switch to websocket, or not a right one (`status` 101 then). */
export class UpgradeError extends Error {
  readonly status: number;
  readonly body: string;

  constructor(status: number, body: string, message = `the upgrade was answered with ${status}`) {
    super(message);
    this.name = 'UpgradeError';
    this.status = status;
    this.body = body;
  }
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
  const asked = new Promise<Buffer>((resolve, reject) => {
    const request = httpRequest({
      createConnection: () => socket,
      method: 'GET',
      path,
      headers: {
        Host: host,
        ...headers,
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': key,
        'Sec-WebSocket-Protocol': protocol,
      },
      ...(signal ? { signal } : {}),
    });
    request.once('error', reject);
    request.once('upgrade', (response, _, head) => {
      const fault = faultOf(response, accept, protocol);
      if (fault) reject(new UpgradeError(101, '', fault));
      else resolve(head);
    });
    request.once('response', (response) => {
      void readBody(response).then((body) => reject(new UpgradeError(response.statusCode ?? 0, body)));
    });
    request.end();
  });
  return asked.catch((error: unknown) => {
    socket.on('error', () => undefined).destroy();
    throw error;
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

async function readBody(response: IncomingMessage): Promise<string> {
  const timer = setTimeout(() => response.destroy(), BODY_MS);
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of response as AsyncIterable<Buffer>) {
      pieces.push(piece);
      length += piece.length;
      if (length >= BODY_MAX_BYTES) break;
    }
  } catch {
    // What came until here has to do.
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(pieces).toString('utf8', 0, BODY_MAX_BYTES);
}
