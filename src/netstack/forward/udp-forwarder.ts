// One local UDP port that leads to one destination: a flow of its own for each sender, so that every one gets its own answers.
// Drops what does not fit a limit, as UDP does. Called by modes/forward.ts.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { asKtError, KtError } from '../../errors.ts';
import type { DatagramFlow } from '../dialer.ts';
import { type Listener, listenError } from '../listener.ts';
import type { ForwardOptions } from './tcp-forwarder.ts';

/** Senders at a time. Beyond it the one idle for longest goes. */
export const SENDERS_MAX = 256;
/** Milliseconds without a datagram either way. RFC 4787 REQ-5 asks NATs for 2 minutes at least. */
export const SENDER_IDLE_MS = 120_000;
/** Milliseconds in which a flow that could not be opened is not tried again: a sender must not become a flood of dials. */
const RETRY_MS = 1_000;
/** Datagrams of one sender that wait for its flow to open; what a DNS client or a QUIC handshake sends before an answer. */
const WAITING_MAX = 32;
/** Bytes that wait, over all senders. */
const WAITING_BYTES_MAX = 1024 * 1024;
/** Bytes of answers that wait in the socket; more are dropped. */
const QUEUE_BYTES_MAX = 1024 * 1024;

export interface UdpForwardOptions extends ForwardOptions {
  /** Default SENDER_IDLE_MS. */
  readonly idleMs?: number | undefined;
}

/** Rejects with LISTEN_FAILED. */
export async function forwardUdp(options: UdpForwardOptions): Promise<Listener> {
  const { host, port } = options;
  const udp = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4' });
  await new Promise<void>((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => {
      udp.close();
      reject(listenError(cause, options));
    };
    udp.once('error', failed);
    udp.bind({ address: host, port, exclusive: true }, () => {
      udp.off('error', failed);
      resolve();
    });
  });
  const forwarder = new UdpForwarder(udp, options);
  return {
    address: host,
    port: udp.address().port,
    get connections() {
      return forwarder.senders;
    },
    close: () => forwarder.close(),
  };
}

interface Sender {
  readonly key: string;
  readonly from: RemoteInfo;
  flow: DatagramFlow | undefined;
  /** Until the flow is open. */
  readonly waiting: Buffer[];
  failedAt: number | undefined;
  usedAt: number;
}

class UdpForwarder {
  readonly #udp: Socket;
  readonly #options: UdpForwardOptions;
  readonly #idleMs: number;
  /** By address and port; in order of use, oldest first. */
  readonly #senders = new Map<string, Sender>();
  readonly #cancel = new AbortController();
  readonly #sweep: NodeJS.Timeout;
  #waitingBytes = 0;
  #closing: Promise<void> | undefined;

  constructor(udp: Socket, options: UdpForwardOptions) {
    this.#udp = udp;
    this.#options = options;
    this.#idleMs = options.idleMs ?? SENDER_IDLE_MS;
    this.#sweep = setInterval(() => this.#dropIdle(), this.#idleMs / 4);
    this.#sweep.unref();
    udp.on('message', (datagram, from) => this.#fromSender(datagram, from));
    // An ICMP answer of a sender that is gone, say: its own loss.
    udp.on('error', () => undefined);
  }

  get senders(): number {
    return this.#senders.size;
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      clearInterval(this.#sweep);
      this.#cancel.abort(new KtError('CANCELLED', 'the forwarding ended'));
      for (const { flow } of this.#senders.values()) flow?.close();
      this.#senders.clear();
      this.#udp.close(resolve);
    });
    return this.#closing;
  }

  #fromSender(datagram: Buffer, from: RemoteInfo): void {
    if (this.#closing) return;
    const sender = this.#sender(from);
    if (sender.flow) {
      sender.flow.send(datagram);
      return;
    }
    const bytes = this.#waitingBytes + datagram.length;
    if (sender.failedAt !== undefined || sender.waiting.length >= WAITING_MAX || bytes > WAITING_BYTES_MAX) return;
    this.#waitingBytes = bytes;
    sender.waiting.push(datagram);
  }

  #sender(from: RemoteInfo): Sender {
    const key = `${from.address} ${from.port}`;
    const now = Date.now();
    const known = this.#senders.get(key);
    this.#senders.delete(key);
    if (known && (known.failedAt === undefined || now - known.failedAt < RETRY_MS)) {
      known.usedAt = now;
      this.#senders.set(key, known);
      return known;
    }
    const [oldest] = this.#senders.values();
    if (this.#senders.size >= SENDERS_MAX && oldest) this.#drop(oldest);
    const sender: Sender = { key, from, flow: undefined, waiting: [], failedAt: undefined, usedAt: now };
    this.#senders.set(key, sender);
    void this.#open(sender);
    return sender;
  }

  async #open(sender: Sender): Promise<void> {
    const { dialer, target, log } = this.#options;
    try {
      const flow = await dialer.datagrams(target, { signal: this.#cancel.signal });
      if (this.#senders.get(sender.key) === sender) {
        flow.onDatagram = (datagram) => this.#toSender(sender, datagram);
        flow.onClose = (error) => this.#ended(sender, error);
        sender.flow = flow;
        log?.({ door: 'forward', event: 'opened', target });
        for (const datagram of sender.waiting) flow.send(datagram);
      } else flow.close();
    } catch (cause) {
      this.#ended(sender, asKtError(cause, 'DIAL_FAILED'));
    }
    for (const datagram of sender.waiting.splice(0)) this.#waitingBytes -= datagram.length;
  }

  #toSender(sender: Sender, datagram: Buffer): void {
    if (this.#closing || this.#udp.getSendQueueSize() > QUEUE_BYTES_MAX) return;
    sender.usedAt = Date.now();
    this.#udp.send(datagram, sender.from.port, sender.from.address, () => undefined);
  }

  #ended(sender: Sender, error: Error | undefined): void {
    if (this.#closing) return;
    sender.flow = undefined;
    if (error === undefined) {
      this.#drop(sender);
      return;
    }
    // The sender's next datagram after a pause tries again: after a lost link, say.
    sender.failedAt = Date.now();
    const { code, message } = asKtError(error, 'DIAL_FAILED');
    this.#options.log?.({ door: 'forward', event: 'failed', target: this.#options.target, code, reason: message });
  }

  #drop(sender: Sender): void {
    if (this.#senders.get(sender.key) === sender) this.#senders.delete(sender.key);
    const { flow } = sender;
    sender.flow = undefined;
    flow?.close();
  }

  #dropIdle(): void {
    const limit = Date.now() - this.#idleMs;
    for (const sender of this.#senders.values()) if (sender.usedAt < limit) this.#drop(sender);
  }
}
