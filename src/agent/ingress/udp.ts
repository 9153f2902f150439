// UDP ports of a taken Service: datagrams of each caller go to the laptop that wants them, else to the origin, and answers come back.
// A caller is its address and port. Its flow goes to one place until it is silent for a while, the laptop or its local port goes away, or a
// laptop comes that wants it. How datagrams travel each way is udp-ways.ts. Called by listeners.ts.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { KtError } from '../../errors.ts';
import type { IngressListener } from '../../netstack/link/ingress-config.codec.ts';
import { peerOf } from './peer.ts';
import { type Way, wayToLaptop, wayToOrigin } from './udp-ways.ts';
import type { Claim, Upstreams } from './upstreams.ts';

/** Milliseconds of silence that end a flow (RFC 4787 §4.3). */
const IDLE_MS = 120_000;
/**
 * Callers at once on one port: most use a new port for each question, so the one that was silent longest makes room. A quarter of a link's
 * streams: UDP must not keep TCP out.
 */
const FLOWS_MAX = 1_024;
/** Datagrams of a flow, and bytes of one port's flows, that wait while it is decided where a flow goes; UDP drops the rest. */
const WAITING_MAX = 32;
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
/** Milliseconds for which a rule is not asked again after its local port refused: a datagram that is sent there is lost. */
const REFUSED_MS = 5_000;

export interface UdpContext {
  readonly upstreams: Upstreams;
  /** Host of the origin Service; null at a preview. */
  readonly origin: string | null;
  readonly log: (line: string) => void;
  readonly limits?: { readonly flowsMax?: number; readonly refusedMs?: number };
}

export interface UdpListener {
  readonly port: number;
  readonly flows: () => number;
  close(): void;
}

/** Rejects with LISTEN_FAILED. */
export async function listenUdp(listener: IngressListener, context: UdpContext): Promise<UdpListener> {
  // Both families where the node has them, as TCP listens.
  const socket = await bind('udp6', listener.port).catch(() => bind('udp4', listener.port));
  const flows = new Flows(socket, listener.originPort, context);
  socket.on('error', (error) => context.log(`UDP port ${listener.port}: ${error.message}`));
  socket.on('message', (datagram, from) => flows.receive(datagram, from));
  return {
    port: socket.address().port,
    flows: () => flows.size,
    close: () => {
      flows.close();
      socket.close();
    },
  };
}

function bind(type: 'udp4' | 'udp6', port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type });
    const fail = (cause: Error): void => {
      socket.close();
      reject(new KtError('LISTEN_FAILED', `UDP port ${port} can't be listened on: ${cause.message}`, { cause }));
    };
    socket.once('error', fail);
    socket.bind(port, () => {
      socket.off('error', fail).on('error', () => undefined);
      resolve(socket);
    });
  });
}

interface Flow {
  /** Who gets it; undefined: the origin. */
  readonly claim: Claim | undefined;
  readonly idle: NodeJS.Timeout;
  waiting: Buffer[];
  /** Not there while it is being opened. */
  way: Way | undefined;
  answered: boolean;
  over: boolean;
}

class Flows {
  readonly #socket: Socket;
  readonly #originPort: number;
  readonly #context: UdpContext;
  readonly #flowsMax: number;
  readonly #refusedMs: number;
  /** The one that was silent longest comes first. */
  readonly #flows = new Map<string, Flow>();
  /** Rules whose local port refused, until when by the process's clock; one entry per rule of a live laptop. */
  readonly #refused = new Map<string, number>();
  #waitingBytes = 0;

  constructor(socket: Socket, originPort: number, context: UdpContext) {
    this.#socket = socket;
    this.#originPort = originPort;
    this.#context = context;
    this.#flowsMax = context.limits?.flowsMax ?? FLOWS_MAX;
    this.#refusedMs = context.limits?.refusedMs ?? REFUSED_MS;
  }

  get size(): number {
    return this.#flows.size;
  }

  receive(datagram: Buffer, from: RemoteInfo): void {
    const key = peerOf(from);
    const claim = this.#claim();
    let flow = this.#flows.get(key);
    // UDP knows no connections that would have to end first: a caller moves with its next datagram when laptops come and go.
    if (flow && (flow.claim && ruleKey(flow.claim)) !== (claim && ruleKey(claim))) {
      this.#end(key, flow);
      flow = undefined;
    }
    flow ??= this.#open(key, from, claim);
    this.#touch(key, flow);
    if (flow.way) flow.way.send(datagram);
    else if (flow.waiting.length < WAITING_MAX && this.#waitingBytes + datagram.length <= WAITING_BYTES_MAX) {
      flow.waiting.push(datagram);
      this.#waitingBytes += datagram.length;
    }
  }

  close(): void {
    for (const [key, flow] of this.#flows) this.#end(key, flow);
  }

  #claim(): Claim | undefined {
    const claim = this.#context.upstreams.match(undefined);
    if (claim === undefined) return undefined;
    const until = this.#refused.get(ruleKey(claim));
    return until !== undefined && performance.now() < until ? undefined : claim;
  }

  #touch(key: string, flow: Flow): void {
    flow.idle.refresh();
    this.#flows.delete(key);
    this.#flows.set(key, flow);
  }

  #open(key: string, from: RemoteInfo, claim: Claim | undefined): Flow {
    if (this.#flows.size >= this.#flowsMax) {
      for (const [oldest, other] of this.#flows) {
        this.#end(oldest, other);
        break;
      }
    }
    const flow: Flow = {
      claim,
      idle: setTimeout(() => this.#end(key, flow), IDLE_MS).unref(),
      waiting: [],
      way: undefined,
      answered: false,
      over: false,
    };
    void this.#decide(key, flow, from);
    return flow;
  }

  async #decide(key: string, flow: Flow, from: RemoteInfo): Promise<void> {
    const events = {
      onDatagram: (datagram: Buffer): void => {
        if (flow.over) return;
        flow.answered = true;
        this.#touch(key, flow);
        this.#socket.send(datagram, from.port, from.address, () => undefined);
      },
      onClose: (refused: boolean): void => this.#lost(key, flow, refused),
    };
    const { upstreams, origin } = this.#context;
    const { claim } = flow;
    const laptop =
      claim &&
      (await upstreams.openLaptop(claim, key).then(
        (stream) => wayToLaptop(stream, events),
        () => undefined,
      ));
    const way = laptop ?? (await wayToOrigin(origin, this.#originPort, events).catch(() => undefined));
    if (way === undefined) return this.#end(key, flow);
    if (flow.over) return way.close();
    flow.way = way;
    for (const datagram of this.#takeWaiting(flow)) way.send(datagram);
    return undefined;
  }

  /** Its other end closed it. */
  #lost(key: string, flow: Flow, refused: boolean): void {
    if (flow.over) return;
    // The laptop took it, then its port said that nobody is there (ICMP): the original pods answer for a while.
    if (refused && flow.claim && !flow.answered)
      this.#refused.set(ruleKey(flow.claim), performance.now() + this.#refusedMs);
    this.#end(key, flow);
    for (const [rule, until] of this.#refused) if (until < performance.now()) this.#refused.delete(rule);
  }

  #end(key: string, flow: Flow): void {
    if (flow.over) return;
    flow.over = true;
    clearTimeout(flow.idle);
    this.#flows.delete(key);
    this.#takeWaiting(flow);
    flow.way?.close();
  }

  #takeWaiting(flow: Flow): Buffer[] {
    for (const { length } of flow.waiting) this.#waitingBytes -= length;
    return flow.waiting.splice(0);
  }
}

const ruleKey = ({ session, rule }: Claim): string => `${session} ${rule}`;
