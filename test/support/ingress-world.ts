// An ingress agent in this process with everything around it: the link port, listeners, an origin, and laptops that are real links.
// The stand-in for cluster and kt in test/agent/ingress.
import { randomBytes } from 'node:crypto';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { reachable } from '../../src/agent/ingress/laptop.ts';
import { type IngressLimits, type IngressListeners, openIngress } from '../../src/agent/ingress/listeners.ts';
import { Registry } from '../../src/agent/ingress/registry.machine.ts';
import { IngressSessions } from '../../src/agent/ingress/sessions.ts';
import { LinkServer } from '../../src/agent/link-server.ts';
import type { AgentLine, Match, Rule } from '../../src/netstack/link/control.codec.ts';
import { Link } from '../../src/netstack/link/link.ts';
import type { MuxStream } from '../../src/netstack/mux/stream.ts';
import { DirectDialer } from '../../src/netstack/route/direct-dialer.ts';
import { encodeMessage, type OpenHeader } from '../../src/netstack/stream/header.codec.ts';
import { joinStreams } from '../../src/netstack/stream/pump.ts';

export const portOf = (server: { address(): AddressInfo | string | null }): number =>
  (server.address() as AddressInfo).port;

export async function listening<T extends Server>(server: T): Promise<T> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** A port that nobody listens on. */
export async function closedPort(): Promise<number> {
  const server = await listening(createServer());
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface WorldOptions {
  /** Port of the original "pod"; null = a preview. */
  readonly originPort: number | null;
  readonly protocol?: 'TCP' | 'UDP';
  readonly limits?: IngressLimits;
}

export class IngressWorld {
  readonly registry: Registry;
  readonly log: string[] = [];
  now = 0;
  draining = false;
  readonly #sessions: IngressSessions;
  readonly #linkServer: LinkServer;
  #listeners: IngressListeners | undefined;
  #linkPort = 0;
  readonly #laptops: Laptop[] = [];

  readonly #protocol: 'TCP' | 'UDP';

  private constructor(protocol: 'TCP' | 'UDP') {
    this.#protocol = protocol;
    this.registry = new Registry(
      () => this.now,
      (port, used) => port === this.port && used === protocol,
    );
    this.#sessions = new IngressSessions(this.registry, () => {
      this.draining = true;
    });
    this.#linkServer = new LinkServer({
      port: 0,
      tokenSha256: undefined,
      ingress: this.#sessions,
      version: 'test',
      dialer: new DirectDialer(),
      log: (line) => this.log.push(line),
    });
  }

  static async start({ originPort, protocol = 'TCP', limits = {} }: WorldOptions): Promise<IngressWorld> {
    const world = new IngressWorld(protocol);
    world.#linkPort = await world.#linkServer.listen();
    // Port 0 = any; the rules speak of it as port 0 too, so a free one is chosen first.
    const port = await closedPort();
    world.#listeners = await openIngress({
      config: {
        service: 'orders',
        origin: originPort === null ? null : '127.0.0.1',
        healthPort: 1,
        listeners: [{ port, protocol, originPort: originPort ?? 1 }],
      },
      registry: world.registry,
      links: world.#sessions.of,
      draining: () => world.draining,
      log: (line) => world.log.push(line),
      limits,
    });
    return world;
  }

  /** The Service's port. */
  get port(): number {
    return this.#listeners?.ports[0] ?? 0;
  }

  /** Connections of callers that are open at the agent. */
  get connections(): number {
    return this.#listeners?.connections() ?? 0;
  }

  /** Bytes that wait at the agent for somebody to read them. */
  get heldBytes(): number {
    return this.#listeners?.heldBytes() ?? 0;
  }

  /** Callers over UDP that the agent knows. */
  get flows(): number {
    return this.#listeners?.flows() ?? 0;
  }

  /** Who would get a connection that is not HTTP, at this moment. */
  match(): string | undefined {
    const claim = this.registry.match(this.port, this.#protocol, undefined);
    return claim && reachable(this.#sessions.of(claim.session)) ? claim.session : undefined;
  }

  async laptop(options: Partial<LaptopOptions> = {}): Promise<Laptop> {
    const laptop = new Laptop({ linkPort: this.#linkPort, port: this.port, localPort: 1, user: 'anna', ...options });
    this.#laptops.push(laptop);
    await laptop.connect();
    return laptop;
  }

  close(): void {
    for (const laptop of this.#laptops) laptop.cut();
    this.#listeners?.close();
    this.#linkServer.close();
  }
}

export interface LaptopOptions {
  readonly linkPort: number;
  readonly port: number;
  readonly localPort: number;
  readonly user: string;
  readonly session?: string;
  readonly protocol?: 'TCP' | 'UDP';
  /** Instead of dialling the local port. */
  readonly onStream?: (stream: MuxStream, header: OpenHeader & { kind: 'inbound' }) => void;
}

/** A developer's kt, as far as the agent sees it. */
export class Laptop {
  readonly session: string;
  readonly lines: AgentLine[] = [];
  readonly #options: LaptopOptions;
  readonly #token = randomBytes(8).toString('hex');
  #link: Link | undefined;
  #transport: Socket | undefined;
  #seq = 0;
  readonly #waiting = new Map<number, (line: AgentLine) => void>();

  constructor(options: LaptopOptions) {
    this.#options = options;
    this.session = options.session ?? randomBytes(4).toString('hex');
  }

  async connect(): Promise<void> {
    const { linkPort, user } = this.#options;
    const transport = connect({ port: linkPort, host: '127.0.0.1', noDelay: true });
    this.#transport = transport;
    const identity = { token: this.#token, version: 'test', session: this.session, user, host: 'laptop' };
    this.#link = await Link.open(transport, identity, {
      onClose: () => undefined,
      onDrain: () => undefined,
      onStream: this.#options.onStream ?? ((stream) => this.#serve(stream)),
      onLine: (line) => {
        this.lines.push(line);
        if ('seq' in line) this.#waiting.get(line.seq)?.(line);
      },
    });
  }

  /** Says a line and gives the answer. */
  ask(
    line:
      | { type: 'leave'; session?: string }
      | { type: 'look' | 'seal' | 'retire' }
      | { type: 'rules'; rules: readonly Rule[]; takeOver?: boolean },
  ): Promise<AgentLine> {
    const seq = (this.#seq += 1);
    return new Promise((resolve) => {
      this.#waiting.set(seq, resolve);
      this.#link?.send({ ...line, seq });
    });
  }

  hold(match: Match, takeOver = false): Promise<AgentLine> {
    const { port, protocol = 'TCP' } = this.#options;
    return this.ask({ type: 'rules', rules: [{ id: 'r1', port, protocol, match }], takeOver });
  }

  /** No byte passes any more, and nobody is told. */
  stall(): void {
    this.#transport?.pause();
  }

  resume(): void {
    this.#transport?.resume();
  }

  cut(): void {
    this.#transport?.destroy();
  }

  #serve(stream: MuxStream): void {
    const local = connect({ port: this.#options.localPort, host: '127.0.0.1', allowHalfOpen: true });
    local.once('connect', () => {
      stream.write(encodeMessage({ ok: true }));
      void joinStreams(stream, local);
    });
    local.once('error', (error) => {
      if (!stream.destroyed) stream.end(encodeMessage({ ok: false, code: 'DIAL_REFUSED', message: error.message }));
    });
  }
}
