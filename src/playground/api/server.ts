// The playground's API server: HTTPS on a loopback port. Authenticates, authorizes, routes to objects, watches, logs, reviews and
// port-forwards, and writes every error as a Status. Driver only; the rules are in the files beside it. Started by playground.ts.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ServerIdentity } from '../../netstack/certificate.codec.ts';
import type { Store } from '../store.ts';
import { discover } from './discovery.ts';
import { answerLog, type LogSource } from './log.ts';
import { type Body, Objects, selectorOf } from './objects.ts';
import { acceptPortForward, type PodPorts } from './portforward.ts';
import { REVIEWS, review } from './reviews.ts';
import { parseRoute, type Route } from './route.ts';
import { ApiError, badRequest, methodNotAllowed, noSuchPath } from './status.ts';
import { wantsTable } from './table.ts';
import type { User, Users } from './users.ts';
import { runWatch } from './watch.ts';

/** As the real API server. */
const BODY_MAX_BYTES = 3 * 1024 * 1024;
/** Watches, port-forwards and kept-alive clients of one demo; more is a loop that has gone wrong. */
const CONNECTIONS_MAX = 1_000;
const KEEP_ALIVE_MS = 120_000;

export interface ApiServerOptions {
  readonly identity: ServerIdentity;
  readonly store: Store;
  readonly users: Users;
  readonly allocateIp: () => string;
  readonly pods: LogSource & PodPorts;
}

export class ApiServer {
  readonly objects: Objects;
  readonly #options: ApiServerOptions;
  readonly #server: Server;
  readonly #upgraded = new Set<Duplex>();
  readonly #closing = new AbortController();

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.objects = new Objects(options.store, options.allocateIp);
    const { certificate, privateKey } = options.identity;
    this.#server = createServer(
      { cert: certificate, key: privateKey, ALPNProtocols: ['http/1.1'] },
      (request, response) => {
        this.#answer(request, response).catch((error: unknown) => fail(response, error));
      },
    );
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.keepAliveTimeout = KEEP_ALIVE_MS;
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  /** The port on 127.0.0.1. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const socket of this.#upgraded) socket.destroy();
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeAllConnections();
    await closed;
  }

  #admit(request: IncomingMessage): { route: Route; user: User } {
    const route = parseRoute(request.method ?? 'GET', request.url ?? '/');
    const user = this.#options.users.authenticate(request.headers.authorization);
    if (route.resource === undefined) this.#options.users.authorizePath(user, route.path);
    else
      this.#options.users.authorize(user, {
        verb: route.verb,
        group: route.resource.group,
        resource: route.resource.name,
        subresource: route.subresource,
        namespace: route.namespace ?? (route.resource.name === 'namespaces' ? route.name : undefined),
        name: route.name,
      });
    return { route, user };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { route, user } = this.#admit(request);
    if (route.resource === undefined) {
      if (request.method !== 'GET') throw methodNotAllowed();
      // `kubectl apply` asks for this in protobuf, where no bytes are an empty document: nothing to validate by.
      if (route.path === '/openapi/v2') {
        response.writeHead(200, { 'content-type': 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf' }).end();
        return;
      }
      const found = discover(route.path);
      if (found === undefined) throw noSuchPath();
      if (typeof found === 'string') response.writeHead(200, { 'content-type': 'text/plain' }).end(found);
      else write(response, 200, found);
      return;
    }
    const { type, group, name } = route.resource;
    if (type === undefined) {
      if (!REVIEWS.some((known) => known.group === group && known.name === name)) throw noSuchPath();
      if (route.verb !== 'create') throw methodNotAllowed();
      write(
        response,
        201,
        review(this.#options.users, user, name, (await readBody(request)).value as Record<string, unknown>),
      );
      return;
    }
    const asTable = wantsTable(request.headers.accept);
    if (route.verb === 'watch') return this.#watch(route, response, asTable);
    if (route.subresource === 'log') return answerLog(this.#options.store, this.#options.pods, route, response);
    if (route.subresource === 'portforward') throw badRequest('Upgrade request required');
    const answer = this.objects.handle(type, route, await readBody(request), asTable);
    if (answer.warning !== undefined) response.setHeader('Warning', `299 - ${JSON.stringify(answer.warning)}`);
    write(response, answer.code, answer.body);
  }

  #watch(route: Route, response: ServerResponse, asTable: boolean): void {
    const type = route.resource?.type;
    if (type === undefined) throw noSuchPath();
    const query = route.query;
    const seconds = Number(query.get('timeoutSeconds') ?? '');
    const byName = route.name;
    const selected = selectorOf(type, query);
    response.setHeader('Content-Type', 'application/json');
    runWatch(
      this.#options.store,
      {
        type,
        namespace: route.namespace,
        matches: byName === undefined ? selected : (object) => object.metadata.name === byName && selected(object),
        resourceVersion: query.get('resourceVersion') ?? '',
        bookmarks: query.get('allowWatchBookmarks') === 'true',
        initialEvents: query.get('sendInitialEvents') === 'true',
        timeoutSeconds: seconds > 0 ? seconds : undefined,
        asTable,
      },
      response,
      this.#closing.signal,
    );
    response.flushHeaders();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    this.#upgraded.add(socket);
    socket.once('close', () => this.#upgraded.delete(socket));
    try {
      const { route } = this.#admit(request);
      if (route.subresource !== 'portforward')
        throw badRequest('the playground runs no commands in its pods, it only forwards ports');
      acceptPortForward(this.#options.store, this.#options.pods, route, request, socket, head);
    } catch (error) {
      const body = JSON.stringify(asStatus(error));
      const code = asStatus(error).code;
      socket.end(
        `HTTP/1.1 ${code} ${asStatus(error).reason ?? 'Error'}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
    }
  }
}

function asStatus(error: unknown): ApiError['body'] {
  if (error instanceof ApiError) return error.body;
  const message = error instanceof Error ? error.message : String(error);
  return new ApiError(500, 'InternalError', `Internal error occurred: ${message}`).body;
}

function write(response: ServerResponse, code: number, value: unknown): void {
  const text = JSON.stringify(value);
  response.writeHead(code, {
    'content-type': 'application/json',
    'cache-control': 'no-cache, private',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) response.destroy();
  else write(response, asStatus(error).code, asStatus(error));
}

/** Throws 400 and 413. An empty body is undefined. */
async function readBody(request: IncomingMessage): Promise<Body> {
  const contentType = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > BODY_MAX_BYTES)
      throw new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${BODY_MAX_BYTES}`);
    chunks.push(chunk as Buffer);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (text === '') return { contentType, value: undefined };
  if (contentType !== '' && !contentType.endsWith('json')) return { contentType, value: text };
  try {
    return { contentType, value: JSON.parse(text) };
  } catch (cause) {
    throw badRequest(
      `couldn't get version/kind; json parse error: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  }
}
