// Takes links that come by the API server's proxy (pods/proxy): an HTTP server on the pod's address that does nothing but change to the link's
// own protocol. Open only where main.ts is told to: everything in the cluster can reach it, so what guards it is the token (link-server.ts),
// and every wait before is small.
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { POD_PROXY_PROTOCOL } from '../netstack/link/pod-proxy-protocol.ts';

/** Connections at once: the links of one session, and as many strangers. */
const CONNECTIONS_MAX = 24;
/** Milliseconds for a request's header to come. */
const HEADER_MS = 10_000;

export function listenForProxy(
  port: number,
  accept: (socket: Socket) => void,
  log: (line: string) => void,
): Promise<void> {
  const server = createServer({ headersTimeout: HEADER_MS, requestTimeout: HEADER_MS, noDelay: true }, (_, response) =>
    response.writeHead(426, { Upgrade: POD_PROXY_PROTOCOL, Connection: 'Upgrade' }).end(),
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => undefined);
    if (request.headers.upgrade !== POD_PROXY_PROTOCOL) {
      socket.destroy();
      return;
    }
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${POD_PROXY_PROTOCOL}\r\n\r\n`);
    if (head.length > 0) socket.unshift(head);
    accept(socket as Socket);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => {
      server.on('error', (error) => log(`proxy port: ${error.message}`));
      resolve();
    });
  });
}
