// Takes the streams of an ingress agent: connects each one to the local port of its rule, says yes only after that, and joins both.
// Does not know who sent what where (the agent decided); a local port that refuses is told, so that the original pods answer.
// Called by ingress-link.ts.
import { createSocket } from 'node:dgram';
import type { MuxStream } from '../../netstack/mux/stream.ts';
import { DatagramDecoder, encodeDatagram } from '../../netstack/stream/datagram.codec.ts';
import { encodeMessage, type OpenHeader } from '../../netstack/stream/header.codec.ts';
import { joinStreams } from '../../netstack/stream/pump.ts';
import type { InboundTap } from '../traffic/inbound-tap.ts';
import type { LocalPort } from './local-port.ts';

/** Serves one stream whose header was read. Never rejects; resolves with what went wrong, at its end. */
export async function serveInbound(
  stream: MuxStream,
  header: OpenHeader & { kind: 'inbound' },
  local: LocalPort | undefined,
  tap?: InboundTap,
): Promise<Error | undefined> {
  const refuse = (message: string): Error => {
    tap?.refused(message, header.protocol === 'UDP' ? 'udp' : 'tcp');
    if (!stream.destroyed) stream.end(encodeMessage({ ok: false, code: 'DIAL_REFUSED', message }));
    stream.resume();
    return new Error(message);
  };
  if (local === undefined || local.protocol !== header.protocol) return refuse('this laptop has no such rule any more');
  try {
    if (local.protocol === 'UDP') return await datagrams(stream, local.port, tap);
    const socket = await local.connect();
    stream.write(encodeMessage({ ok: true }));
    const joined = joinStreams(stream, socket);
    // Behind the pump's listeners and in the same turn: it sees every byte, and after it was passed on.
    tap?.connection(stream, socket);
    return (await joined).error;
  } catch (error) {
    return refuse(`nothing answers on the laptop's port ${local.port}: ${(error as Error).message}`);
  }
}

function datagrams(stream: MuxStream, port: number, tap: InboundTap | undefined): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const decoder = new DatagramDecoder();
    let open = true;
    const close = (error?: Error): void => {
      if (!open) return;
      open = false;
      socket.close();
      if (!stream.destroyed) stream.end();
      resolve(error);
    };
    socket.on('error', (error) => close(error));
    socket.on('message', (datagram) => {
      // UDP drops where a queue is full.
      if (!stream.destroyed && !stream.writableNeedDrain) stream.write(encodeDatagram(datagram));
    });
    stream.on('close', () => close());
    stream.on('end', () => close());
    socket.connect(port, '127.0.0.1', () => {
      stream.write(encodeMessage({ ok: true }));
      stream.on('data', (chunk: Buffer) => {
        for (const datagram of decoder.push(chunk)) if (open) socket.send(datagram, () => undefined);
      });
      tap?.datagrams(stream, socket);
    });
  });
}
