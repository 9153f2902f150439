// The two ways of a UDP flow: over a stream to the laptop, each datagram with its length in front, or over a socket to the origin Service.
// Both drop where a queue is full, as UDP does. Called by udp.ts.
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Duplex } from 'node:stream';
import { KtError } from '../../errors.ts';
import { DATAGRAM_BYTES_MAX, DatagramDecoder, encodeDatagram } from '../../netstack/stream/datagram.codec.ts';

export interface Way {
  send(datagram: Buffer): void;
  /** Does not call `onClose`. */
  close(): void;
}

export interface WayEvents {
  readonly onDatagram: (datagram: Buffer) => void;
  /** The other end is gone. `refused`: its port said that nobody is there; else it was lost. */
  readonly onClose: (refused: boolean) => void;
}

/** `stream` was accepted by the laptop. */
export function wayToLaptop(stream: Duplex, { onDatagram, onClose }: WayEvents): Way {
  const decoder = new DatagramDecoder();
  let open = true;
  const over = (refused: boolean): void => {
    if (!open) return;
    open = false;
    stream.destroy();
    onClose(refused);
  };
  stream.on('data', (chunk: Buffer) => {
    for (const datagram of decoder.push(chunk)) if (open) onDatagram(datagram);
  });
  const lost = (): void => over(false);
  stream
    .on('end', () => over(true))
    .on('error', lost)
    .on('close', lost);
  if (stream.destroyed) queueMicrotask(lost);
  return {
    send: (datagram) => {
      // Over IPv6 they may be some bytes longer than what IPv4 on the laptop could carry.
      if (!stream.writable || stream.writableNeedDrain || datagram.length > DATAGRAM_BYTES_MAX) return;
      stream.write(encodeDatagram(datagram));
    },
    close: () => {
      open = false;
      stream.destroy();
    },
  };
}

/** Rejects where there is no origin, or its name is not known. */
export function wayToOrigin(host: string | null, port: number, { onDatagram, onClose }: WayEvents): Promise<Way> {
  if (host === null) return Promise.reject(new KtError('DIAL_REFUSED', 'a preview has no original pods'));
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    let open = true;
    const close = (): void => {
      if (!open) return;
      open = false;
      socket.close();
    };
    socket.on('message', (datagram) => {
      if (open) onDatagram(datagram);
    });
    socket.on('error', (error) => {
      if (!open) return;
      close();
      reject(error);
      onClose(true);
    });
    // Node gives the callback a failed look-up, which its types do not know.
    const connected = (error?: Error | null): void => {
      if (error) {
        close();
        reject(error);
      } else
        resolve({
          send: (datagram) => {
            if (open) socket.send(datagram, () => undefined);
          },
          close,
        });
    };
    socket.connect(port, host, connected);
  });
}
