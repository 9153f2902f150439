// UDP: a loopback UDP port for one cluster target, for programs whose runtime lets a shim redirect a connected UDP socket.
// Datagrams of the first sender are carried, others' are dropped; the port goes away when nothing moved for a while.
// Called by connection.ts; one desk serves all programs.
import { createSocket, type RemoteInfo } from 'node:dgram';
import { KtError } from '../../errors.ts';
import type { DatagramFlow, Dialer, Target } from '../dialer.ts';
import { errorAnswer } from './errno.ts';
import type { Answer } from './protocol.codec.ts';

/** Flows at a time; each holds a descriptor here and a stream of the link. */
export const FLOWS_MAX = 256;
/** Milliseconds without a datagram: what NAT devices give to UDP at least (RFC 4787 §4.3 asks for two minutes). */
export const FLOW_IDLE_MS = 120_000;

export class DatagramDesk {
  readonly #dialer: Dialer;
  readonly #open = new Set<() => void>();

  constructor(dialer: Dialer) {
    this.#dialer = dialer;
  }

  get flows(): number {
    return this.#open.size;
  }

  /** Never rejects. NO where the dialer can't carry UDP: the program's datagrams then go where they went before. */
  async open(target: Target): Promise<Answer> {
    if (this.#open.size >= FLOWS_MAX)
      return { kind: 'error', errno: 'EAGAIN', text: `more than ${FLOWS_MAX} UDP flows` };
    try {
      const flow = await this.#dialer.datagrams(target);
      return { kind: 'ok', words: [await this.#relay(flow)] };
    } catch (error) {
      return error instanceof KtError && error.code === 'UNSUPPORTED' ? { kind: 'no' } : errorAnswer(error);
    }
  }

  #relay(flow: DatagramFlow): Promise<number> {
    const socket = createSocket('udp4');
    let sender: RemoteInfo | undefined;
    let bound = false;
    return new Promise((resolve, reject) => {
      const close = (): void => {
        if (!this.#open.delete(close)) return;
        clearTimeout(idle);
        flow.close();
        if (bound) socket.close();
      };
      const idle = setTimeout(close, FLOW_IDLE_MS);
      this.#open.add(close);
      socket.on('error', (cause) => {
        close();
        reject(new KtError('LISTEN_FAILED', `no loopback port for UDP: ${cause.message}`, { cause }));
      });
      socket.on('message', (datagram, from) => {
        sender ??= from;
        if (from.port !== sender.port) return;
        idle.refresh();
        flow.send(datagram);
      });
      flow.onDatagram = (datagram) => {
        idle.refresh();
        if (sender !== undefined && bound) socket.send(datagram, sender.port, sender.address);
      };
      flow.onClose = close;
      socket.bind({ address: '127.0.0.1', port: 0 }, () => {
        bound = true;
        resolve(socket.address().port);
      });
    });
  }

  close(): void {
    for (const close of this.#open) close();
  }
}
