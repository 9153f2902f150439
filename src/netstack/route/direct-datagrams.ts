// A flow of UDP datagrams by a connected socket of this machine: only the target's datagrams come in, and an ICMP "port unreachable"
// ends the flow with its reason. Names are resolved before (direct-dialer.ts).
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { DatagramFlow, Target } from '../dialer.ts';
import { dialError } from './dial-errors.ts';

/** Bytes of datagrams that wait in a UDP socket; more are dropped, as a network would. */
const QUEUE_MAX = 1024 * 1024;

/** `address` is the target's. Rejects with DIAL_* where the system has no way there. */
export function openDatagrams(address: string, target: Target): Promise<DatagramFlow> {
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
    // Errors of one datagram (too long, no buffer) are a lost datagram, as in a network.
    send: (datagram) => {
      if (!closed && socket.getSendQueueSize() < QUEUE_MAX) socket.send(datagram, () => undefined);
    },
    close: () => close(),
  };
  socket.on('error', (error) => close(dialError(error, target)));
  socket.on('message', (datagram) => {
    if (!closed) flow.onDatagram?.(datagram);
  });
  return new Promise((resolve, reject) => {
    // Node calls this also with an error: `connect` has no other way to tell it.
    socket.connect(target.port, address, (error?: Error) => {
      if (!error) return resolve(flow);
      close();
      return reject(dialError(error, target));
    });
  });
}
