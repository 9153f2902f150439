// Port-forward over a websocket (v4.channel.k8s.io), as cri-streaming and containerd behave (measured on a real cluster): two port bytes on
// each channel at once, no signal of success, the error channel's text, no half-close, 1 s between the pod's end and ours, code 1000.
// Framing is netstack's (the server's role); the way to the pod comes from the kubelet. Called by api/server.ts on an upgrade.
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketConnection } from '../../netstack/websocket/connection.ts';
import type { Way } from '../pods/network.ts';
import type { Store } from '../store.ts';
import { PODS } from './resources.ts';
import type { Route } from './route.ts';
import { badRequest } from './status.ts';

const PROTOCOL = 'v4.channel.k8s.io';
/** RFC 6455 §1.3. */
const KEY_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** The runtime gives the other direction this long when one has ended; nobody sees a half-close. */
const OTHER_DIRECTION_MS = 1_000;
/** Of one websocket; each is a connection into the pod. */
const PORTS_MAX = 64;

export interface PodPorts {
  /** The loopback port of a pod that runs here; undefined where it does not. */
  routeTo(podUid: string, port: number): Way | undefined;
}

function refuse(socket: Duplex, line: string, text: string): void {
  const head = `HTTP/1.1 ${line}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n`;
  socket.end(head + text);
}

/** A number for each port asked for, or the text that refuses them. */
function portsOf(query: URLSearchParams): number[] | string {
  const texts = query.getAll('ports').flatMap((value) => value.split(','));
  if (texts.length === 0) return 'query parameter "port" is required';
  if (texts.length > PORTS_MAX) return `too many ports: ${texts.length}`;
  for (const text of texts) {
    if (!/^\d+$/.test(text)) return `unable to parse ${JSON.stringify(text)} as a port: invalid syntax`;
    if (Number(text) > 65_535) return `unable to parse ${JSON.stringify(text)} as a port: value out of range`;
    if (Number(text) === 0) return `port "${text}" must be > 0`;
  }
  return texts.map(Number);
}

/** Throws ApiError before anything was written; other refusals are written here, as the runtime words them. */
export function acceptPortForward(
  store: Store,
  pods: PodPorts,
  route: Route,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const pod = store.mustGet(PODS, route.namespace, route.name ?? '');
  const key = request.headers['sec-websocket-key'];
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || key === undefined)
    throw badRequest('Upgrade request required');
  if (pod.spec.nodeName === undefined) throw badRequest(`pod ${pod.metadata.name} does not have a host assigned`);
  const offered = request.headers['sec-websocket-protocol']?.split(',').map((one) => one.trim()) ?? [];
  if (offered.length > 0 && !offered.includes(PROTOCOL)) {
    // The runtime's websocket package answers an unknown protocol so: no body, and easily taken for missing rights.
    socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n');
    return;
  }
  const ports = portsOf(route.query);
  if (typeof ports === 'string') {
    refuse(socket, '400 Bad Request', ports);
    return;
  }
  const accept = createHash('sha1')
    .update(key + KEY_SUFFIX)
    .digest('base64');
  const agreed = offered.length > 0 ? `Sec-WebSocket-Protocol: ${PROTOCOL}\r\n` : '';
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${agreed}\r\n`,
  );
  new PortForward(pod.metadata.uid, ports, pods, socket, head).start();
}

class PortForward {
  readonly #websocket: WebSocketConnection;
  readonly #forwards: OnePort[];
  #channel = -1;
  #open: number;

  constructor(podUid: string, ports: readonly number[], pods: PodPorts, socket: Duplex, head: Buffer) {
    this.#websocket = new WebSocketConnection(
      socket,
      {
        onData: (piece, start) => this.#receive(piece, start),
        onDrain: () => {
          for (const forward of this.#forwards) forward.resume();
        },
        onClose: () => {
          for (const forward of this.#forwards) forward.clientGone();
        },
      },
      head,
      { role: 'server' },
    );
    this.#open = ports.length;
    this.#forwards = ports.map(
      (port, index) => new OnePort(podUid, port, index * 2, pods, this.#websocket, () => this.#finished()),
    );
  }

  start(): void {
    for (const forward of this.#forwards) forward.start();
  }

  #receive(piece: Buffer, start: boolean): void {
    let bytes = piece;
    if (start) this.#channel = -1;
    if (this.#channel < 0 && bytes.length > 0) {
      this.#channel = bytes[0] ?? 0;
      bytes = bytes.subarray(1);
    }
    // Unknown channels and the error channels, which clients do not write to, are dropped.
    if (bytes.length > 0 && this.#channel % 2 === 0) this.#forwards[this.#channel / 2]?.toPod(bytes);
  }

  #finished(): void {
    this.#open -= 1;
    if (this.#open === 0) this.#websocket.close();
  }
}

class OnePort {
  readonly #podUid: string;
  readonly #port: number;
  readonly #channel: number;
  readonly #pods: PodPorts;
  readonly #websocket: WebSocketConnection;
  readonly #finished: () => void;
  #socket: net.Socket | undefined;
  #done = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    podUid: string,
    port: number,
    channel: number,
    pods: PodPorts,
    websocket: WebSocketConnection,
    finished: () => void,
  ) {
    this.#podUid = podUid;
    this.#port = port;
    this.#channel = channel;
    this.#pods = pods;
    this.#websocket = websocket;
    this.#finished = finished;
  }

  start(): void {
    const port = Buffer.alloc(2);
    port.writeUInt16LE(this.#port);
    this.#send(this.#channel, port);
    this.#send(this.#channel + 1, port);
    const way = this.#pods.routeTo(this.#podUid, this.#port);
    if (way === undefined || !('realPort' in way)) {
      this.#fail(
        `failed to connect to localhost:${this.#port} inside namespace "${this.#sandbox()}", IPv4: ${this.#refused('tcp4', '127.0.0.1')} IPv6 ${this.#refused('tcp6', '[::1]')} `,
      );
      return;
    }
    // Half-open, because the runtime goes on copying to the pod for a while when the pod has ended.
    const socket = net.connect({ host: '127.0.0.1', port: way.realPort, allowHalfOpen: true, noDelay: true });
    this.#socket = socket;
    socket.on('data', (chunk) => {
      if (!this.#send(this.#channel, chunk)) socket.pause();
    });
    socket.on('drain', () => this.#websocket.resume());
    socket.on('end', () => this.#later(() => this.#finish()));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#websocket.resume();
      const reset = error.code === 'ECONNRESET' || error.code === 'EPIPE';
      const text = reset ? 'read: connection reset by peer' : error.message;
      if (reset) this.#later(() => this.#fail(text));
      else this.#fail(text);
    });
    socket.on('close', () => this.#websocket.resume());
  }

  /** Bytes of the client. A pod that does not read stops the whole websocket, as in the real runtime. */
  toPod(bytes: Buffer): void {
    if (this.#socket === undefined || this.#done || this.#socket.destroyed) return;
    if (!this.#socket.write(bytes)) this.#websocket.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  clientGone(): void {
    clearTimeout(this.#timer);
    this.#done = true;
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) return;
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), OTHER_DIRECTION_MS);
    timer.unref();
    socket.once('close', () => clearTimeout(timer));
  }

  #send(channel: number, bytes: Buffer): boolean {
    return this.#websocket.send([Buffer.from([channel]), bytes], 1 + bytes.length);
  }

  #sandbox(): string {
    return this.#podUid.replaceAll('-', '').repeat(2);
  }

  #refused(network: string, host: string): string {
    return `dial ${network} ${host}:${this.#port}: connect: connection refused`;
  }

  #later(act: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, OTHER_DIRECTION_MS);
  }

  #fail(why: string): void {
    if (this.#done) return;
    const sandbox = this.#sandbox();
    this.#send(
      this.#channel + 1,
      Buffer.from(
        `error forwarding port ${this.#port} to pod ${sandbox}, uid : failed to execute portforward in network namespace "/var/run/netns/cni-${this.#podUid}": ${why}`,
      ),
    );
    this.#finish();
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    this.#socket?.destroy();
    this.#finished();
  }
}
