// A reverse proxy in front of the API server that ends TLS, as Rancher and others do: under a path of its own, and with rules about what may
// pass. Users with tokens only; client certificates end here. Used by transports and corporate-network.
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { createServer, request } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { pem } from '../../cluster/support/tls.ts';

const [HOST = '198.18.255.2', PORT = '6443'] = (process.env['KT_E2E_API'] ?? '198.18.255.2:6443').split(':');

export interface Gateway {
  readonly url: string;
  /** Of its certificate. */
  readonly ca: string;
  close(): Promise<void>;
}

export interface GatewayRules {
  /** Without a slash at the end. */
  readonly prefix?: string;
  /** Answers 403 with a page to requests that it does not let pass. */
  readonly refuse?: (headers: IncomingHttpHeaders) => boolean;
}

export async function gateway({ prefix = '', refuse = () => false }: GatewayRules = {}): Promise<Gateway> {
  const server = createServer({ cert: pem('server.pem'), key: pem('server.key') });
  const onward = (incoming: IncomingMessage) => {
    const { method, url = '', headers } = incoming;
    if (!url.startsWith(`${prefix}/`)) return undefined;
    const path = url.slice(prefix.length);
    return request({
      host: HOST,
      port: Number(PORT),
      method,
      path,
      headers: { ...headers, host: `${HOST}:${PORT}` },
      rejectUnauthorized: false,
      agent: false,
    });
  };
  server.on('request', (incoming, response) => {
    const out = refuse(incoming.headers) ? undefined : onward(incoming);
    if (!out) {
      response.writeHead(403, { 'Content-Type': 'text/html' }).end('<h1>Blocked by policy</h1>');
      return;
    }
    out.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      response.on('close', () => answer.destroy());
    });
    out.on('error', () => response.destroy());
    incoming.pipe(out);
  });
  server.on('upgrade', (incoming, socket: Socket, head) => {
    socket.on('error', () => undefined);
    const out = refuse(incoming.headers) ? undefined : onward(incoming);
    if (!out) {
      socket.end(
        'HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<h1>Blocked by policy</h1>',
      );
      return;
    }
    out.on('upgrade', (answer, upstream, rest) => {
      const fields = answer.rawHeaders.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n`);
      if (rest.length > 0) socket.write(rest);
      if (head.length > 0) upstream.write(head);
      upstream.on('error', () => socket.destroy()).on('close', () => socket.destroy());
      socket.on('close', () => upstream.destroy());
      upstream.pipe(socket).pipe(upstream);
    });
    out.on('response', (answer) => {
      socket.write(`HTTP/1.1 ${answer.statusCode ?? 502} ${answer.statusMessage ?? ''}\r\nConnection: close\r\n\r\n`);
      answer.pipe(socket);
    });
    out.on('error', () => socket.destroy());
    out.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}`,
    ca: pem('ca.pem'),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
