// UDP ports of a taken Service: datagrams of each caller go to the laptop that wants them, else to the origin, and answers come back.
// A caller is its address and port; it stays where its first datagram went until it is silent for a while. Called by listeners.ts.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { Duplex } from 'node:stream';
import { KtError } from '../../errors.ts';
import type { IngressListener } from '../../netstack/link/ingress-config.codec.ts';
import { DatagramDecoder, encodeDatagram } from '../../netstack/stream/datagram.codec.ts';
import type { IngressContext } from './listeners.ts';
import type { Upstreams } from './upstreams.ts';

/** Milliseconds of silence that end a flow (RFC 4787 §4.3). */
const IDLE_MS = 120_000;
/** Callers at once on one port. */
const FLOWS_MAX = 1_024;
/** Datagrams that wait while it is decided where a flow goes; UDP drops the rest. */
const WAITING_MAX = 32;

interface Flow {
  send: (datagram: Buffer) => void;
  close: () => void;
  idle: NodeJS.Timeout;
}

export function listenUdp(
  listener: IngressListener,
  upstreams: Upstreams,
  { config, log }: IngressContext,
): Promise<{ readonly port: number; close(): void }> {
  const socket = createSocket({ type: 'udp4' });
  const flows = new Map<string, Flow>();
  const open = (key: string, { address, port }: RemoteInfo): Flow => {
    const waiting: Buffer[] = [];
    const flow: Flow = {
      send: (datagram) => void (waiting.length < WAITING_MAX && waiting.push(datagram)),
      close: () => undefined,
      idle: setTimeout(() => end(), IDLE_MS),
    };
    const end = (): void => {
      clearTimeout(flow.idle);
      flows.delete(key);
      flow.close();
    };
    const back = (datagram: Buffer): void => {
      flow.idle.refresh();
      socket.send(datagram, port, address, () => undefined);
    };
    const decided = (way: { send: Flow['send']; close: Flow['close'] }): void => {
      Object.assign(flow, way);
      for (const datagram of waiting.splice(0)) flow.send(datagram);
      if (!flows.has(key)) flow.close();
    };
    const claim = upstreams.match(undefined);
    const laptop = claim ? upstreams.openLaptop(claim, key).then((stream) => overStream(stream, back, end)) : undefined;
    const origin = (): ReturnType<typeof overSocket> => overSocket(config.origin, listener.originPort, back, end);
    (laptop ?? Promise.reject(new KtError('LINK_LOST', 'no laptop'))).catch(origin).then(decided, end);
    return flow;
  };
  socket.on('message', (datagram, from) => {
    const key = `${from.address}:${from.port}`;
    let flow = flows.get(key);
    if (flow === undefined) {
      if (flows.size >= FLOWS_MAX) return;
      flow = open(key, from);
      flows.set(key, flow);
    }
    flow.idle.refresh();
    flow.send(datagram);
  });
  socket.on('error', (error) => log(`UDP port ${listener.port}: ${error.message}`));
  return new Promise((resolve, reject) => {
    socket.once('error', (cause) =>
      reject(new KtError('LISTEN_FAILED', `UDP port ${listener.port}: ${cause.message}`)),
    );
    socket.bind(listener.port, () =>
      resolve({
        port: socket.address().port,
        close: () => {
          for (const flow of [...flows.values()]) {
            clearTimeout(flow.idle);
            flow.close();
          }
          flows.clear();
          socket.close();
        },
      }),
    );
  });
}

type Way = { send: (datagram: Buffer) => void; close: () => void };

function overStream(stream: Duplex, back: (datagram: Buffer) => void, end: () => void): Way {
  const decoder = new DatagramDecoder();
  stream.on('data', (chunk: Buffer) => {
    for (const datagram of decoder.push(chunk)) back(datagram);
  });
  stream.on('error', () => undefined).on('close', end);
  stream.on('end', () => stream.end());
  return {
    // UDP drops where a queue is full; the stream's own buffer is that queue.
    send: (datagram) => void (!stream.destroyed && !stream.writableNeedDrain && stream.write(encodeDatagram(datagram))),
    close: () => void stream.destroy(),
  };
}

function overSocket(
  host: string | null,
  port: number,
  back: (datagram: Buffer) => void,
  end: () => void,
): Promise<Way> {
  if (host === null) return Promise.reject(new KtError('DIAL_REFUSED', 'a preview has no original pods'));
  return new Promise((resolve, reject) => {
    const socket: Socket = createSocket({ type: 'udp4' });
    socket.on('message', back);
    socket.on('error', (error) => {
      reject(error);
      end();
    });
    socket.connect(port, host, () =>
      resolve({
        send: (datagram) => socket.send(datagram, () => undefined),
        close: () => {
          socket.removeAllListeners('message');
          try {
            socket.close();
          } catch {
            // Closed already, by its own error.
          }
        },
      }),
    );
  });
}
