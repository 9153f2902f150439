// A server on the loopback interface that the tests script as they need: HTTPS with optional client certificates, or plain HTTP.
// Not an API server: what a real one does is shown by test/e2e.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';
import type { ClusterConfig } from '../../../src/cluster/config.ts';
import type { Credentials } from '../../../src/cluster/credentials.ts';
import { ClusterApi } from '../../../src/cluster/rest.ts';
import { pem } from './tls.ts';

export interface FakeApi {
  readonly url: string;
  readonly port: number;
  /** Connections that were accepted until now. */
  readonly connections: () => number;
  readonly sockets: Set<Socket>;
  close(): void;
}

interface FakeApiOptions {
  readonly plain?: boolean;
  readonly upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

export async function startFakeApi(handle: Handler, options: FakeApiOptions = {}): Promise<FakeApi> {
  const handler = (request: IncomingMessage, response: ServerResponse): void => void handle(request, response);
  const server = options.plain
    ? createServer(handler)
    : createSecureServer(
        {
          cert: pem('server.pem'),
          key: pem('server.key'),
          ca: pem('ca.pem'),
          requestCert: true,
          rejectUnauthorized: false,
        },
        handler,
      );
  let count = 0;
  const sockets = new Set<Socket>();
  server.on(options.plain ? 'connection' : 'secureConnection', (socket: Socket) => {
    count += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
  });
  if (options.upgrade) server.on('upgrade', options.upgrade);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): void => {
    server.close();
    server.closeAllConnections();
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(close);
  return {
    url: `${options.plain ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    connections: () => count,
    sockets,
    close,
  };
}

/** The common name of the client certificate that came with a request. */
export const clientName = (request: IncomingMessage): string | undefined => {
  const name = (request.socket as TLSSocket).getPeerCertificate().subject?.CN;
  return Array.isArray(name) ? name[0] : name;
};

export function configFor(server: string, changes: Partial<ClusterConfig> = {}): ClusterConfig {
  return {
    server,
    namespace: 'shop',
    context: 'test',
    user: 'tester',
    tls: { ca: pem('ca.pem'), serverName: undefined, insecure: false },
    proxy: undefined,
    credentials: { current: () => Promise.resolve({ headers: {} }), rejected: () => false },
    ...changes,
  };
}

export const statusBody = (code: number, reason: string, message: string): string =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message });

/** The code, message and hint of the KtError that `work` rejects with. */
export async function failure(
  work: Promise<unknown>,
): Promise<{ code: string; message: string; hint: string; cause: unknown }> {
  try {
    await work;
  } catch (error) {
    const { code, message, hint, cause } = error as { code: string; message: string; hint?: string; cause?: unknown };
    return { code, message, hint: hint ?? '', cause };
  }
  throw new Error('it did not fail');
}

export const apiFor = (...args: Parameters<typeof configFor>): ClusterApi => {
  const api = new ClusterApi(configFor(...args));
  onTestFinished(() => api.close());
  return api;
};
export const fixed = (credentials: Credentials) => ({
  credentials: { current: () => Promise.resolve(credentials), rejected: () => false },
});
export const certificate = (name: string): Credentials => ({
  headers: {},
  certificate: pem(`${name}.pem`),
  key: pem(`${name}.key`),
});
