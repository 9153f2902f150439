// An independent websocket server (the `ws` package) on the loopback interface, and our connection to it.
import { EventEmitter, once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { upgradeToWebSocket } from '../../../src/netstack/websocket/client.ts';
import { type ConnectionOptions, WebSocketConnection } from '../../../src/netstack/websocket/connection.ts';

export async function startPeer(
  onConnection: (socket: WebSocket) => void,
  options: ServerOptions = {},
): Promise<number> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false, ...options });
  server.on('connection', (socket) => {
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  await once(server, 'listening');
  onTestFinished(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

export async function dialPeer(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

type Closed = [code: number, reason: string, error: Error | undefined];

/** Events: `message`, `drain`. */
export class Peer extends EventEmitter<{ message: []; drain: [] }> {
  readonly messages: Buffer[] = [];
  connection!: WebSocketConnection;
  socket!: Socket;
  readonly #closed = Promise.withResolvers<Closed>();
  readonly closed = this.#closed.promise;

  end(...how: Closed): void {
    this.#closed.resolve(how);
  }

  /** The first `count` messages, once they are there. */
  async received(count: number): Promise<Buffer[]> {
    while (this.messages.length < count) await once(this, 'message');
    return this.messages.slice(0, count);
  }
}

export async function connectPeer(port: number, options: ConnectionOptions = {}): Promise<Peer> {
  const peer = new Peer();
  const socket = await dialPeer(port);
  const head = await upgradeToWebSocket(socket, { path: '/', host: 'x', headers: {}, protocol: 'v4.channel.k8s.io' });
  let pieces: Buffer[] = [];
  peer.socket = socket;
  peer.connection = new WebSocketConnection(
    socket,
    {
      onData(piece, start, end) {
        if (start) pieces = [];
        pieces.push(piece);
        if (!end) return;
        peer.messages.push(Buffer.concat(pieces));
        peer.emit('message');
      },
      onDrain: () => peer.emit('drain'),
      onClose: (code, reason, error) => peer.end(code, reason, error),
    },
    head,
    options,
  );
  return peer;
}
