// The agent's end of the links: accepts connections on the link port, lets nobody do anything before the token was right, and gives each
// stream of an egress agent to egress.ts, each link of an ingress agent to ingress/sessions.ts. Knows when the last link was there, so that main.ts can end the agent.
// A stranger can connect (anything in the pod's network namespace can), so every wait and count before the token is small.
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { asKtError, KtError } from '../errors.ts';
import type { Dialer } from '../netstack/dialer.ts';
import { encodeLine } from '../netstack/link/control.codec.ts';
import { Liveness, TICK_MS } from '../netstack/link/liveness.machine.ts';
import { Muxer } from '../netstack/mux/muxer.ts';
import type { MuxStream } from '../netstack/mux/stream.ts';
import { encodeMessage, type OpenHeader, parseOpenHeader } from '../netstack/stream/header.codec.ts';
import { readMessage } from '../netstack/stream/read-message.ts';
import { refuse, serveEgress } from './egress.ts';
import type { IngressSessions } from './ingress/sessions.ts';

/** Links: a session has one active, one spare, and both once more while they are replaced; an agent of many has 64 sessions at most. */
const LINKS_MAX = 16;
const LINKS_OF_MANY_MAX = 256;
/** Connections that have not shown the token yet. */
const STRANGERS_MAX = 8;
/** Streams that wait for the token of their own link; more than a laptop opens in one round trip is a flood. */
const EARLY_STREAMS_MAX = 256;
/** Bytes that may come before the token was right. A laptop sends its hello, under 1 KiB, and waits for the answer. */
const EARLY_BYTES_MAX = 64 * 1024;
/** Milliseconds for the token to come. */
const HELLO_MS = 10_000;
/** Milliseconds for the header of a stream to come; it travels with the opening. */
const HEADER_MS = 10_000;

export interface LinkServerOptions {
  readonly port: number;
  /**
   * SHA-256 of the token, in hex: whoever can read the pod's spec can't use it. Undefined at an agent that many share: what guards that is the
   * right to port-forward; at an ingress agent each session's first token is its own from then on.
   */
  readonly tokenSha256: string | undefined;
  /** An egress agent of many. */
  readonly shared?: boolean;
  readonly ingress?: IngressSessions;
  readonly version: string;
  readonly dialer: Dialer;
  readonly log: (line: string) => void;
}

export class LinkServer {
  readonly #options: LinkServerOptions;
  readonly #server: Server;
  readonly #links = new Map<Muxer, MuxStream>();
  readonly #strangers = new Set<Muxer>();
  /** Milliseconds of process time at which the last link went; undefined while one is there. */
  quietSince: number | undefined = performance.now();

  constructor(options: LinkServerOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: 256 * 1024 }, (socket) =>
      this.#accept(socket),
    );
    this.#server.maxConnections = (options.ingress || options.shared ? LINKS_OF_MANY_MAX : LINKS_MAX) + STRANGERS_MAX;
    this.#server.on('drop', () => options.log('link refused: too many connections'));
    this.#server.on('error', (error) => options.log(`link port: ${error.message}`));
  }

  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.port, '127.0.0.1', () => {
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  }

  /** Takes a connection that came another way: by the API server's proxy (proxy-port.ts). */
  accept(socket: Socket): void {
    this.#accept(socket);
  }

  /** Tells every laptop that this agent is about to end, so that it makes another one; open streams go on until `close`. */
  drain(): void {
    for (const control of this.#links.values()) control.write(encodeLine({ type: 'drain' }));
  }

  get streamCount(): number {
    let count = 0;
    for (const muxer of this.#links.keys()) count += Math.max(0, muxer.streamCount - 1);
    return count;
  }

  close(): void {
    this.#server.close();
    for (const muxer of [...this.#links.keys(), ...this.#strangers])
      muxer.destroy(new KtError('LINK_LOST', 'the agent ends'));
  }

  #accept(socket: Socket): void {
    socket.on('error', () => undefined);
    if (this.#strangers.size >= STRANGERS_MAX) {
      this.#options.log('link refused: too many connections wait for their token');
      socket.destroy();
      return;
    }
    let known = false;
    const waiting: MuxStream[] = [];
    const deadline = setTimeout(() => muxer.destroy(new KtError('LINK_PROTOCOL', 'no token within 10 s')), HELLO_MS);
    const settle = (): void => {
      clearTimeout(deadline);
      this.#strangers.delete(muxer);
    };
    let first = true;
    let refusal: KtError | undefined;
    const muxer = new Muxer(socket, {
      role: 'server',
      onStream: (stream) => {
        stream.on('error', () => undefined);
        if (first) {
          first = false;
          void this.#hello(muxer, stream, socket).then((fault) => {
            refusal = fault;
            if (fault) return;
            settle();
            known = true;
            for (const early of waiting.splice(0)) void this.#serve(early);
          });
        } else if (known) void this.#serve(stream);
        else if (waiting.length < EARLY_STREAMS_MAX) waiting.push(stream);
        else muxer.destroy(new KtError('LINK_PROTOCOL', 'too many streams before the token'));
      },
      onClose: (error) => {
        settle();
        // A stranger may hang up before it was told what was wrong.
        if (!known || error.code === 'LINK_PROTOCOL') this.#options.log(`link closed: ${(refusal ?? error).message}`);
        if (this.#links.delete(muxer) && this.#links.size === 0) this.quietSince = performance.now();
      },
    });
    this.#strangers.add(muxer);
    socket.on('data', () => {
      if (!known && socket.bytesRead > EARLY_BYTES_MAX)
        muxer.destroy(new KtError('LINK_PROTOCOL', 'too many bytes before the token'));
    });
    this.#watch(muxer, socket);
  }

  /** Reads the first stream's header. On the right token the link is a session's; else it is ended for the reason that is returned. */
  async #hello(muxer: Muxer, control: MuxStream, socket: Socket): Promise<KtError | undefined> {
    let gone: (() => void) | undefined;
    try {
      const header = parseOpenHeader(await readMessage(control, HELLO_MS));
      if (header.kind !== 'control')
        throw new KtError('LINK_PROTOCOL', 'the first stream of a link must be the control stream');
      const digest = createHash('sha256').update(header.token).digest();
      const { tokenSha256, ingress, shared } = this.#options;
      if (tokenSha256 === undefined ? !ingress && !shared : !timingSafeEqual(digest, Buffer.from(tokenSha256, 'hex')))
        throw new KtError('DIAL_DENIED', 'the token is wrong');
      const { session, user = 'somebody', host = 'a laptop' } = header;
      if (ingress) {
        const hello = { session, user, host, tokenSha256: digest.toString('hex') };
        gone = ingress.linkUp(hello, muxer, control, () => socket.bytesRead);
      }
      control.write(encodeMessage({ ok: true }));
      const { version } = this.#options;
      control.write(encodeLine({ type: 'hello', version, node: process.version, clockMs: Date.now() }));
      control.resume();
      // The round trip of a line without a queue: what the budget of bytes in flight is measured by.
      muxer.ping().catch(() => undefined);
      this.#links.set(muxer, control);
      if (gone) control.once('close', gone);
      this.quietSince = undefined;
      return undefined;
    } catch (error) {
      const reason = asKtError(error, 'LINK_PROTOCOL');
      refuse(control, reason);
      // The refusal leaves first, then the link goes.
      setImmediate(() => setImmediate(() => muxer.destroy(reason)));
      return reason;
    }
  }

  async #serve(stream: MuxStream): Promise<void> {
    let header: OpenHeader;
    try {
      header = parseOpenHeader(await readMessage(stream, HEADER_MS));
    } catch (error) {
      if (!stream.destroyed) refuse(stream, error);
      return;
    }
    if (this.#options.ingress)
      refuse(stream, new KtError('UNSUPPORTED', 'an ingress agent is no way into the cluster'));
    else await serveEgress(stream, header, this.#options.dialer);
  }

  #watch(muxer: Muxer, socket: Socket): void {
    const liveness = new Liveness(Date.now());
    let seen = socket.bytesRead;
    const timer = setInterval(() => {
      const now = Date.now();
      if (socket.bytesRead !== seen) liveness.received(now);
      seen = socket.bytesRead;
      const action = liveness.tick(now);
      if (muxer.closed) clearInterval(timer);
      else if (action === 'dead') muxer.destroy(new KtError('LINK_DEAD', 'nothing came from the laptop for 15 s'));
      else if (action === 'ping') muxer.ping().catch(() => undefined);
    }, TICK_MS);
    timer.unref();
    socket.once('close', () => clearInterval(timer));
  }
}
