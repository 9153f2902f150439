// UDP ASSOCIATE (RFC 1928 §7): one UDP socket for one client, and behind it one flow for each target.
// Takes datagrams from this client only, drops fragments (§7 allows it) and whatever does not fit a limit, as UDP does.
// Lives as long as the client's TCP connection. Called by socks/server.ts.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { isIPv6, type Socket } from 'node:net';
import { asKtError, KtError } from '../../errors.ts';
import type { DatagramFlow, Dialer, Target } from '../dialer.ts';
import type { ProxyLog } from '../proxy-log.ts';
import { closeGently } from '../stream/close-gently.ts';
import { formatAuthority, formatIPv6, ipv6Bytes } from '../target.codec.ts';
import { encodeDatagramHeader, parseDatagram } from './socks5.codec.ts';

/** Targets at a time for one client; a resolver that asks everybody stays below. Beyond it the one idle for longest goes. */
export const FLOWS_MAX = 256;
/** Milliseconds without a datagram either way. RFC 4787 REQ-5 asks NATs for 2 minutes at least. */
const FLOW_IDLE_MS = 120_000;
/** Milliseconds in which a target that could not be opened is not tried again: a sender must not become a flood of dials. */
const FLOW_RETRY_MS = 1_000;
/** Datagrams that wait for their flow to open; what a DNS client or a QUIC handshake sends before an answer. */
const WAITING_MAX = 32;
/** Bytes that wait, over all flows of a client. */
const WAITING_BYTES_MAX = 1024 * 1024;
/** Clients with an association at a time, over all listeners: each costs a descriptor. */
const ASSOCIATIONS_MAX = 128;
/** The largest UDP payload over IPv4. */
const DATAGRAM_BYTES_MAX = 65_507;

let associations = 0;

export interface AssociateOptions {
  /** The TCP connection which asked; the association ends with it. */
  readonly control: Socket;
  /** Where the client says that it sends from; port 0: not known yet, the first datagram decides. */
  readonly client: Target;
  readonly dialer: Dialer;
  readonly log?: ProxyLog | undefined;
}

/** The address for the client to send to. Rejects with LISTEN_FAILED or STREAM_LIMIT. */
export async function associate(options: AssociateOptions): Promise<Target> {
  if (associations >= ASSOCIATIONS_MAX) {
    throw new KtError('STREAM_LIMIT', `more than ${ASSOCIATIONS_MAX} UDP associations at a time`);
  }
  associations += 1;
  const { control } = options;
  const host = control.localAddress ?? '127.0.0.1';
  const udp = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4' });
  const association = new Association(options, udp);
  udp.once('close', () => {
    associations -= 1;
  });
  const end = (): void => association.close();
  control.once('close', end);
  try {
    await new Promise<void>((resolve, reject) => {
      udp.once('error', reject);
      udp.bind({ address: host, port: 0, exclusive: true }, () => {
        udp.off('error', reject);
        resolve();
      });
    });
  } catch (cause) {
    control.off('close', end);
    association.close();
    throw new KtError('LISTEN_FAILED', `no UDP port could be bound on ${host}`, { cause });
  }
  udp.on('error', end);
  if (control.destroyed) end();
  // Nothing more is expected on the TCP connection: its bytes are thrown away, its end is the association's end.
  else control.on('end', () => closeGently(control)).resume();
  return association.closed ? { host, port: 0 } : { host, port: udp.address().port };
}

interface Flow {
  readonly target: Target;
  readonly header: Buffer;
  flow: DatagramFlow | undefined;
  /** Until the flow is open. */
  readonly waiting: Buffer[];
  failedAt: number | undefined;
  usedAt: number;
}

class Association {
  closed = false;
  readonly #udp: UdpSocket;
  readonly #options: AssociateOptions;
  readonly #peer: string;
  /** By target; in order of use, oldest first. */
  readonly #flows = new Map<string, Flow>();
  readonly #cancel = new AbortController();
  readonly #sweep: NodeJS.Timeout;
  #clientPort: number;
  #waitingBytes = 0;

  constructor(options: AssociateOptions, udp: UdpSocket) {
    this.#options = options;
    this.#udp = udp;
    this.#peer = plain(options.control.remoteAddress ?? '');
    this.#clientPort = options.client.port;
    this.#sweep = setInterval(() => this.#closeIdle(), FLOW_IDLE_MS / 4);
    this.#sweep.unref();
    udp.on('message', (datagram, from) => {
      if (plain(from.address) !== this.#peer) return;
      if (this.#clientPort === 0) this.#clientPort = from.port;
      if (from.port === this.#clientPort) this.#fromClient(datagram);
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.#sweep);
    this.#cancel.abort(new KtError('CANCELLED', 'the UDP association ended'));
    for (const { flow } of this.#flows.values()) flow?.close();
    this.#flows.clear();
    this.#udp.close();
  }

  #fromClient(datagram: Buffer): void {
    const message = parseDatagram(datagram);
    if (message === undefined) return;
    const flow = this.#flow(message.target);
    if (flow.flow !== undefined) {
      flow.flow.send(message.data);
      return;
    }
    const bytes = this.#waitingBytes + message.data.length;
    if (flow.failedAt !== undefined || flow.waiting.length >= WAITING_MAX || bytes > WAITING_BYTES_MAX) return;
    this.#waitingBytes = bytes;
    flow.waiting.push(message.data);
  }

  #flow(target: Target): Flow {
    const key = formatAuthority(target);
    const now = Date.now();
    const known = this.#flows.get(key);
    this.#flows.delete(key);
    if (known !== undefined && (known.failedAt === undefined || now - known.failedAt < FLOW_RETRY_MS)) {
      known.usedAt = now;
      this.#flows.set(key, known);
      return known;
    }
    const [oldest] = this.#flows.values();
    if (this.#flows.size >= FLOWS_MAX && oldest !== undefined) this.#drop(oldest);
    const header = encodeDatagramHeader(target);
    const flow: Flow = { target, header, flow: undefined, waiting: [], failedAt: undefined, usedAt: now };
    this.#flows.set(key, flow);
    void this.#open(flow);
    return flow;
  }

  async #open(entry: Flow): Promise<void> {
    const { target } = entry;
    try {
      const flow = await this.#options.dialer.datagrams(target, { signal: this.#cancel.signal });
      if (this.closed || this.#flows.get(formatAuthority(target)) !== entry) flow.close();
      else this.#opened(entry, flow);
    } catch (cause) {
      this.#ended(entry, asKtError(cause, 'DIAL_FAILED'));
    }
    for (const datagram of entry.waiting.splice(0)) this.#waitingBytes -= datagram.length;
  }

  #opened(entry: Flow, flow: DatagramFlow): void {
    flow.onDatagram = (datagram) => this.#toClient(entry, datagram);
    flow.onClose = (error) => this.#ended(entry, error);
    entry.flow = flow;
    this.#options.log?.({ door: 'udp', event: 'opened', target: entry.target });
    for (const datagram of entry.waiting) flow.send(datagram);
  }

  #toClient(entry: Flow, datagram: Buffer): void {
    if (this.closed || entry.header.length + datagram.length > DATAGRAM_BYTES_MAX) return;
    entry.usedAt = Date.now();
    // An error of one send (the client's port is gone) is the loss of one datagram.
    this.#udp.send([entry.header, datagram], this.#clientPort, this.#options.control.remoteAddress, () => undefined);
  }

  #ended(entry: Flow, error: Error | undefined): void {
    if (this.closed) return;
    entry.flow = undefined;
    if (error === undefined) {
      this.#drop(entry);
      return;
    }
    entry.failedAt = Date.now();
    const { code, message } = asKtError(error, 'DIAL_FAILED');
    this.#options.log?.({ door: 'udp', event: 'failed', target: entry.target, code, reason: message });
  }

  #drop(entry: Flow): void {
    const key = formatAuthority(entry.target);
    if (this.#flows.get(key) === entry) this.#flows.delete(key);
    entry.flow?.close();
    entry.flow = undefined;
  }

  #closeIdle(): void {
    const limit = Date.now() - FLOW_IDLE_MS;
    for (const entry of this.#flows.values()) if (entry.usedAt < limit) this.#drop(entry);
  }
}

/** `::ffff:127.0.0.1`, as a dual-stack listener names its IPv4 clients, and 127.0.0.1 are one address. */
function plain(address: string): string {
  return isIPv6(address) ? formatIPv6(ipv6Bytes(address)) : address;
}
