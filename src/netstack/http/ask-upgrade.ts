// Asks for another protocol on a connection that is there already (TLS, plain or through a proxy), RFC 9110 §7.8. Nothing is sent before the 101:
// proxies on the way throw it away. What the API server means by a refusal is judged in src/cluster/pod-socket.ts.
// Called by websocket/client.ts and by src/cluster/pod-socket.ts.
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** A Status, or a proxy's page: what is longer is cut. */
const BODY_MAX_BYTES = 64 * 1024;
/** Milliseconds for a refusal's body, which may never end. */
const BODY_MS = 3_000;

export interface UpgradeAsk {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly host: string;
  /** With Connection and Upgrade. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly signal?: AbortSignal | undefined;
  /** What is wrong with an answer that switched. */
  readonly faultOf: (response: IncomingMessage) => string | undefined;
}

/** An answer that is no switch, or not a right one (`status` 101 then). */
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

/** Gives the bytes that came with the answer. Rejects with UpgradeError or the socket's error; the socket is destroyed then. */
export function askUpgrade(socket: Socket, ask: UpgradeAsk): Promise<Buffer> {
  const { method, path, host, headers, signal, faultOf } = ask;
  const asked = new Promise<Buffer>((resolve, reject) => {
    const request = httpRequest({
      createConnection: () => socket,
      method,
      path,
      headers: { Host: host, ...headers },
      ...(signal ? { signal } : {}),
    });
    request.once('error', reject);
    request.once('upgrade', (response, _, head) => {
      const fault = faultOf(response);
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
