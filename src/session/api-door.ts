// A way to the API server for programs that look for it as in a pod: HTTPS on 127.0.0.1 with a token of its own, everything passed on
// with the user's credentials (also those of a plugin, and through the company's proxy). The token is good at this door only, so no
// credentials of the user's leave kt. It changes nothing on the way but who asks. Watches and upgrades (exec, websockets) pass.
// Called by modes/workload/; what the program is told of it is modes/workload/api-access.ts.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Credentials } from '../cluster/credentials.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { asKtError } from '../errors.ts';
import { makeServerIdentity } from '../netstack/certificate.codec.ts';
import { listenError } from '../netstack/listener.ts';
import { joinStreams } from '../netstack/stream/pump.ts';

/** Connections of programs, and as many to the API server: informers hold one each. */
const CONNECTIONS_MAX = 256;
/** Days that the certificate is good for: longer than a program runs. */
const CERTIFICATE_DAYS = 30;
/** Milliseconds that a connection to the API server may idle: below the idle limits of load balancers. */
const IDLE_MS = 45_000;
/** Fields of one connection (RFC 9110 §7.6.1), and those that the door answers for. */
const NOT_PASSED = new Set([
  'authorization',
  'connection',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
]);

export interface ApiDoor {
  readonly port: number;
  readonly token: string;
  /** PEM; its own authority. */
  readonly certificate: string;
  close(): Promise<void>;
}

/** Rejects with LISTEN_FAILED. */
export async function openApiDoor(api: ClusterApi): Promise<ApiDoor> {
  const { certificate, privateKey } = makeServerIdentity({ now: new Date(), days: CERTIFICATE_DAYS, name: 'kt' });
  const token = randomBytes(24).toString('base64url');
  const closed = new AbortController();
  const agent = new DoorAgent(api, closed.signal);
  const allowed = (request: IncomingMessage): boolean => sameToken(request.headers.authorization ?? '', token);
  const server = createServer({ cert: certificate, key: privateKey, ALPNProtocols: ['http/1.1'] });
  server.maxConnections = CONNECTIONS_MAX;
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
  });
  server.on('request', (request, response) => {
    if (allowed(request)) void pass(api, agent, request, response);
    else answer(response, 401, 'Unauthorized', "this is kt's door to the API server, and the token is not the door's");
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => undefined);
    if (allowed(request)) void passUpgrade(api, request, socket, head, closed.signal);
    else socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  });
  await new Promise<void>((resolve, reject) => {
    const where = { host: '127.0.0.1', port: 0, setting: 'nothing: kt takes a free port' };
    server.once('error', (cause) => reject(listenError(cause, where)));
    server.listen(0, '127.0.0.1', resolve);
  });
  server.on('error', () => undefined);
  return {
    port: (server.address() as AddressInfo).port,
    token,
    certificate,
    close: () =>
      new Promise((resolve) => {
        closed.abort();
        agent.destroy();
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

class DoorAgent extends Agent {
  readonly #api: ClusterApi;
  readonly #closed: AbortSignal;

  constructor(api: ClusterApi, closed: AbortSignal) {
    super({ keepAlive: true, maxSockets: CONNECTIONS_MAX, timeout: IDLE_MS, scheduling: 'lifo' });
    this.#api = api;
    this.#closed = closed;
  }

  override createConnection(_: unknown, callback?: (error: Error | null, stream: Duplex) => void): undefined {
    const opened = callback as (error: Error | null, stream?: Duplex) => void;
    void this.#api.connect(this.#closed).then(({ socket }) => opened(null, socket), opened);
  }
}

/** Never rejects. */
async function pass(api: ClusterApi, agent: Agent, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    const credentials = await api.config.credentials.current(gone.signal);
    const url = upstreamUrl(api, request);
    const asked = httpRequest({
      agent,
      method: request.method,
      path: url.pathname + url.search,
      headers: { ...passedFields(request, credentials), Host: url.host, ...credentials.headers },
      signal: gone.signal,
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      asked.once('response', resolve).on('error', reject);
    });
    // A server that answers before it has read the whole body is no failure of the request.
    pipeline(request, asked).catch(() => undefined);
    const from = await answered;
    // A plugin's credentials that are no longer good: the program's next request has better ones.
    if (from.statusCode === 401) api.config.credentials.rejected(credentials);
    response.writeHead(from.statusCode ?? 502, passedFields(from));
    // Also without a body: a watch is answered long before its first event.
    response.flushHeaders();
    await pipeline(from, response);
  } catch (error) {
    const known = asKtError(error, 'API_UNREACHABLE');
    if (response.headersSent) response.destroy();
    else answer(response, 502, 'ServiceUnavailable', `kt can't reach the API server: ${known.message}`);
  }
}

async function passUpgrade(
  api: ClusterApi,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  closed: AbortSignal,
): Promise<void> {
  try {
    const { socket: far, credentials } = await api.connect(closed);
    far.on('error', () => undefined);
    const url = upstreamUrl(api, request);
    const fields = {
      ...passedFields(request, credentials),
      Host: url.host,
      Connection: 'Upgrade',
      ...credentials.headers,
    };
    const lines = Object.entries(fields).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}\r\n`));
    far.write(`${request.method ?? 'GET'} ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('')}\r\n`);
    if (head.length > 0) socket.unshift(head);
    await joinStreams(socket, far);
  } catch {
    socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  }
}

function upstreamUrl(api: ClusterApi, request: IncomingMessage): URL {
  // Only path and query are the program's, whatever form its target has.
  const { pathname, search } = new URL(request.url ?? '/', 'https://kubernetes.default.svc');
  return new URL(`${api.config.server}${pathname}${search}`);
}

/** Without those that the user's credentials set themselves. */
function passedFields(message: IncomingMessage, credentials?: Credentials): Record<string, string | string[]> {
  const own = new Set(Object.keys(credentials?.headers ?? {}).map((name) => name.toLowerCase()));
  const fields: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(message.headers)) {
    if (value !== undefined && !NOT_PASSED.has(name) && !own.has(name)) fields[name] = value;
  }
  // Node has taken the chunks apart and makes its own.
  delete fields['transfer-encoding'];
  return fields;
}

/** A Status, as every client of the API understands it. */
function answer(response: ServerResponse, code: number, reason: string, message: string): void {
  const body = JSON.stringify({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    code,
  });
  response.writeHead(code, { 'Content-Type': 'application/json', Connection: 'close' }).end(body);
}

/** Takes the same time for every wrong token: digests have one length. */
function sameToken(field: string, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text, 'latin1').digest();
  return timingSafeEqual(digest(field), digest(`Bearer ${token}`));
}
