// One link, seen from the laptop: a transport that carries the mux, its control stream, and the proof that it lives.
// Does not make transports and does not replace dead links: pool.ts. Called by pool.ts only.
import type { Duplex } from 'node:stream';
import { asKtError, KtError } from '../../errors.ts';
import { Muxer } from '../mux/muxer.ts';
import type { MuxStream } from '../mux/stream.ts';
import { encodeMessage, type OpenHeader, parseOpenHeader, parseOpenStatus } from '../stream/header.codec.ts';
import { readMessage } from '../stream/read-message.ts';
import { type AgentLine, encodeLine, type LaptopLine, parseAgentLine } from './control.codec.ts';
import { readControlLines } from './control-lines.ts';
import { Liveness, TICK_MS } from './liveness.machine.ts';

/** Milliseconds for the agent to answer the token. */
const HELLO_MS = 10_000;
/** Milliseconds for the header of a stream that the agent opened; it travels with the opening. */
const HEADER_MS = 10_000;

export interface LinkIdentity {
  readonly token: string;
  readonly version: string;
  readonly session: string;
  /** Who it is, for others on the same ingress agent. */
  readonly user?: string;
  readonly host?: string;
}

export interface LinkEvents {
  /** See Link.cheap. */
  readonly cheap?: boolean;
  /** The link is gone; its streams failed with this reason. Called once. */
  readonly onClose: (error: KtError) => void;
  /** The agent is about to end (its pod is being deleted): make another one, this link goes on for some seconds. */
  readonly onDrain: () => void;
  /** A stream that an ingress agent opened, its header read; the other bytes are still in it. Without it they are reset. */
  readonly onStream?: (stream: MuxStream, header: OpenHeader & { kind: 'inbound' }) => void;
  /** What the agent says on the control stream. */
  readonly onLine?: (line: AgentLine, link: Link) => void;
}

/** What an agent that others started may be: a shared one, or that of a Service. */
const OTHER_VERSION =
  'an agent of another version of kt: all who hold the Service end first, or the platform team applies the shared agent again (`kt doctor --shared-agent`)';

export class Link {
  readonly #muxer: Muxer;
  #control: MuxStream | undefined;
  readonly openedAt = Date.now();
  draining = false;
  /** Its transport is the cheaper kind: with equal work, new streams take it. */
  readonly cheap: boolean;

  private constructor(muxer: Muxer, cheap: boolean) {
    this.#muxer = muxer;
    this.cheap = cheap;
  }

  /**
   * Says hello on a fresh transport and waits for the agent's answer.
   * Rejects with DIAL_DENIED (wrong token), AGENT_VERSION, LINK_PROTOCOL, LINK_LOST or CANCELLED; the transport is destroyed then.
   */
  static async open(
    transport: Duplex,
    identity: LinkIdentity,
    events: LinkEvents,
    signal?: AbortSignal,
  ): Promise<Link> {
    let ready = false;
    let reason: KtError | undefined;
    const muxer = new Muxer(transport, {
      role: 'client',
      // Only an ingress agent opens streams to the laptop; those of an egress agent are reset.
      ...(events.onStream ? { onStream: (stream) => void accept(stream, events) } : {}),
      onClose: (error) => {
        reason = error;
        if (ready) events.onClose(error);
      },
    });
    const cancel = (): void => muxer.destroy(new KtError('CANCELLED', 'cancelled while the link was opening'));
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      if (signal?.aborted) throw new KtError('CANCELLED', 'cancelled before the link was opened');
      const control = muxer.open();
      control.on('error', () => undefined);
      control.write(encodeMessage({ v: 1, kind: 'control', ...identity }));
      const status = parseOpenStatus(await readMessage(control, HELLO_MS));
      if (!status.ok) {
        const help = status.code === 'AGENT_VERSION' ? { hint: OTHER_VERSION } : {};
        throw new KtError(status.code, `the agent refused the link: ${status.message}`, help);
      }
      if (reason) throw reason;
      const link = new Link(muxer, events.cheap ?? false);
      link.#control = control;
      link.#readControl(control, events);
      link.#watch(transport);
      // The round trip of a line without a queue: what the budget of bytes in flight is measured by.
      link.ping().catch(() => undefined);
      ready = true;
      return link;
    } catch (error) {
      // Of a link that was lost the control stream failed with its reason; a refusal counts more than the hang-up behind it.
      const known = asKtError(error, 'LINK_LOST');
      muxer.destroy(known);
      throw known;
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  /** Opens a stream and sends its header. Throws LINK_LOST or STREAM_LIMIT. */
  openStream(header: OpenHeader): MuxStream {
    // First, because it may throw.
    const message = encodeMessage(header);
    const stream = this.#muxer.open();
    stream.write(message);
    return stream;
  }

  /** Says something on the control stream; lost without a word where the link is. */
  send(line: LaptopLine): void {
    if (!this.closed) this.#control?.write(encodeLine(line));
  }

  get closed(): boolean {
    return this.#muxer.closed;
  }

  /** Takes no new streams now. */
  get full(): boolean {
    return this.#muxer.full;
  }

  /** Bytes that wait to be sent. */
  get outstanding(): number {
    return this.#muxer.outstanding;
  }

  /** Bytes on the transport until now. */
  get traffic(): { readonly received: number; readonly sent: number } {
    const { bytesReceived, bytesSent } = this.#muxer.stats;
    return { received: bytesReceived, sent: bytesSent };
  }

  /** Streams that bulk arrives on. */
  get bulkStreams(): number {
    return this.#muxer.bulkStreams;
  }

  /** Open streams without the control stream. */
  get streamCount(): number {
    return Math.max(0, this.#muxer.streamCount - 1);
  }

  /** Round trip to the agent in milliseconds. */
  ping(): Promise<number> {
    return this.#muxer.ping();
  }

  /** Asks the agent to open no more streams on it; those that are open go on. */
  goAway(): void {
    this.#muxer.goAway();
  }

  close(reason: KtError): void {
    this.#muxer.destroy(reason);
  }

  #readControl(control: MuxStream, events: LinkEvents): void {
    const onLine = (text: string): void => {
      const line = parseAgentLine(text);
      // Lines of a newer agent that this version does not know are no reason to end the link.
      if (line) events.onLine?.(line, this);
      if (line?.type !== 'drain' || this.draining) return;
      this.draining = true;
      events.onDrain();
    };
    readControlLines(control, onLine, () =>
      this.close(new KtError('LINK_PROTOCOL', 'a control line of the agent is too long')),
    );
    const over = (): void => this.close(new KtError('LINK_LOST', 'the agent closed the link'));
    control.on('end', over).on('close', over);
  }

  #watch(transport: Duplex): void {
    const liveness = new Liveness(Date.now());
    let received = this.#muxer.stats.bytesReceived;
    const timer = setInterval(() => {
      const now = Date.now();
      if (this.#muxer.stats.bytesReceived !== received) liveness.received(now);
      received = this.#muxer.stats.bytesReceived;
      const action = liveness.tick(now);
      if (this.closed) clearInterval(timer);
      else if (action === 'dead')
        this.close(new KtError('LINK_DEAD', 'the connection to the cluster went silent for 15 s'));
      else if (action === 'ping') this.ping().catch(() => undefined);
    }, TICK_MS);
    timer.unref();
    transport.once('close', () => clearInterval(timer));
  }
}

/** Reads the header of a stream that the agent opened; one that is not inbound traffic is reset. */
async function accept(stream: MuxStream, events: LinkEvents): Promise<void> {
  stream.on('error', () => undefined);
  try {
    const header = parseOpenHeader(await readMessage(stream, HEADER_MS));
    if (header.kind !== 'inbound')
      throw new KtError('LINK_PROTOCOL', `an agent may not open '${header.kind}' streams to the laptop`);
    events.onStream?.(stream, header);
  } catch (error) {
    stream.reset(asKtError(error, 'LINK_PROTOCOL'));
  }
}
