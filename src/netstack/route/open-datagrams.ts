// A flow of UDP datagrams from a connected socket of this machine: only the target's datagrams come in.
// Names are resolved before: direct-dialer.ts, the only caller.
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { KtError } from '../../errors.ts';
import type { DatagramFlow, Target } from '../dialer.ts';
import { dialError } from './dial-errors.ts';
import type { DialLimit } from './dial-limit.ts';

/** Bytes of datagrams that wait in the socket; more are dropped, as a network would. */
const QUEUE_BYTES_MAX = 1024 * 1024;

export function openDatagrams(address: string, target: Target, limit: DialLimit): Promise<DatagramFlow> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  let closed = false;
  const close = (error?: Error): void => {
    if (closed) return;
    closed = true;
    socket.close();
    flow.onClose?.(error);
  };
  const flow: DatagramFlow = {
    onDatagram: undefined,
    onClose: undefined,
    send: (datagram) => {
      // What the system refuses (too long, no buffer) is lost, as UDP is.
      if (!closed && socket.getSendQueueSize() < QUEUE_BYTES_MAX) socket.send(datagram, () => undefined);
    },
    close: () => close(),
  };
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      const reason = error instanceof KtError ? error : dialError(error, target);
      off();
      reject(reason);
      close(reason);
    };
    // An ICMP "port unreachable" comes as an error of the socket and ends the flow with its reason.
    socket.on('error', fail);
    socket.on('message', (datagram) => flow.onDatagram?.(datagram));
    let off = (): void => undefined;
    off = limit.onOver(fail);
    if (limit.over !== undefined) return;
    socket.once('connect', () => {
      off();
      resolve(flow);
    });
    // Without a callback: Node would give it the error, too, and "connected" would be believed.
    try {
      socket.connect(target.port, address);
    } catch (error) {
      fail(error as Error);
    }
  });
}
