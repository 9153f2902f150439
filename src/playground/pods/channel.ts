// Where the pods' preload (programs/pod-preload.cjs) comes in: one TCP connection on loopback per process and thread of a pod, lines of
// JSON both ways. The pod asks: lookup, listen, unlisten, connect, source. The playground tells it signals. The connection is also the
// sign of life: when it breaks, the pod's process ends itself. Started by playground.ts.
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import type { ClusterNames } from './names.ts';
import type { PodNetwork, Protocol, Scope } from './network.ts';

/** A question is a name and some numbers. */
const LINE_MAX = 4_096;
const HELLO_MS = 10_000;
/** Processes and worker threads of all pods together. */
const CONNECTIONS_MAX = 500;

export interface PodIdentity {
  readonly ip: string;
  readonly namespace: string;
}

type Message = Readonly<Record<string, unknown>>;

export class PodChannel {
  readonly #network: PodNetwork;
  readonly #names: ClusterNames;
  readonly #server = net.createServer((socket) => this.#serve(socket));
  readonly #tokens = new Map<string, PodIdentity>();
  readonly #sockets = new Map<net.Socket, number | undefined>();

  constructor(network: PodNetwork, names: ClusterNames) {
    this.#network = network;
    this.#names = names;
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** The port on 127.0.0.1. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** A secret for the processes of one pod. */
  admit(pod: PodIdentity): string {
    const token = randomBytes(16).toString('hex');
    this.#tokens.set(token, pod);
    return token;
  }

  dismiss(token: string): void {
    this.#tokens.delete(token);
  }

  /** False where the process has no channel (yet): the caller must end it in another way. */
  signal(pid: number, name: string): boolean {
    let told = false;
    for (const [socket, owner] of this.#sockets) {
      if (owner !== pid) continue;
      socket.write(`${JSON.stringify({ signal: name })}\n`);
      told = true;
    }
    return told;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.keys()) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: net.Socket): void {
    let held = '';
    let pod: PodIdentity | undefined;
    this.#sockets.set(socket, undefined);
    socket.setNoDelay(true);
    socket.setEncoding('utf8');
    socket.setTimeout(HELLO_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (pod !== undefined) this.#network.unlisten(pod.ip, socket);
    });
    socket.on('data', (chunk: string) => {
      held += chunk;
      for (let end = held.indexOf('\n'); end >= 0 && !socket.destroyed; end = held.indexOf('\n')) {
        const message = parse(held.slice(0, end));
        held = held.slice(end + 1);
        if (pod === undefined) {
          pod = this.#tokens.get(String(message?.['token']));
          if (pod === undefined) socket.destroy();
          else if (message?.['main'] === true) this.#sockets.set(socket, Number(message['pid']));
          socket.setTimeout(0);
        } else if (message === undefined) socket.destroy();
        else socket.write(`${JSON.stringify({ id: message['id'], ...this.#answer(pod, socket, message) })}\n`);
      }
      if (held.length > LINE_MAX) socket.destroy();
    });
  }

  #answer(pod: PodIdentity, owner: object, message: Message): Message {
    const port = Number(message['port']);
    const realPort = Number(message['realPort']);
    const protocol: Protocol = message['protocol'] === 'udp' ? 'udp' : 'tcp';
    switch (message['ask']) {
      case 'lookup':
        return { addresses: this.#names.addresses(String(message['name']), pod.namespace) };
      case 'listen': {
        const scope: Scope = message['scope'] === 'loopback' || message['scope'] === 'pod' ? message['scope'] : 'any';
        return { done: this.#network.listen(pod.ip, { protocol, port, scope, realPort, owner }) };
      }
      case 'unlisten':
        this.#network.unlisten(pod.ip, owner, { protocol, realPort });
        return { done: true };
      case 'connect': {
        const from = Number(message['from']);
        const address = String(message['address']);
        const way = this.#network.route(pod.ip, protocol, address, port);
        const loopback = address.startsWith('127.') || address === '::1';
        if (from > 0 && 'realPort' in way && !loopback) this.#network.noteSource(from, pod.ip);
        return way;
      }
      case 'source':
        return { address: this.#network.takeSource(realPort) ?? '127.0.0.1' };
      default:
        return { error: 'EINVAL' };
    }
  }
}

function parse(line: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Message) : undefined;
  } catch {
    return undefined;
  }
}
