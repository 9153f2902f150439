// A cluster whose port-forwards behave as containerd's do: channels, port bytes. What comes after them is each test's.
import type { IncomingMessage } from 'node:http';
import { onTestFinished } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import type { PortForwardStream } from '../../../src/cluster/port-forward-stream.ts';
import { ClusterApi } from '../../../src/cluster/rest.ts';
import { openPortForward } from '../../../src/cluster/upgrade.ts';
import { configFor, startFakeApi } from './fake-api.ts';

export const AT = { namespace: 'shop', pod: 'orders-0', port: 8080 };
const PORT_BYTES = Buffer.from([0x90, 0x1f]);
export const data = (payload: string | Buffer): Buffer => Buffer.concat([Buffer.from([0]), Buffer.from(payload)]);
export const error = (text: string): Buffer => Buffer.concat([Buffer.from([1]), Buffer.from(text)]);

export interface Runtime {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
  /** Messages on channel 0, without the channel. */
  readonly messages: Buffer[];
}

/** A cluster whose container runtime does `serve` with each port-forward, after the port bytes. */
export async function cluster(serve: (runtime: Runtime) => void, greet = true) {
  const server = new WebSocketServer({
    noServer: true,
    handleProtocols: (asked) => (asked.has('v4.channel.k8s.io') ? 'v4.channel.k8s.io' : false),
  });
  const fake = await startFakeApi((_, response) => response.writeHead(404).end(), {
    upgrade: (request, socket, head) =>
      server.handleUpgrade(request, socket, head, (websocket) => {
        websocket.on('error', () => undefined);
        const messages: Buffer[] = [];
        websocket.on('message', (message: Buffer) => message[0] === 0 && messages.push(message.subarray(1)));
        if (greet) for (const channel of [0, 1]) websocket.send(Buffer.concat([Buffer.from([channel]), PORT_BYTES]));
        serve({ socket: websocket, request, messages });
      }),
  });
  const api = new ClusterApi(configFor(fake.url));
  onTestFinished(() => api.close());
  return { api, fake };
}

export async function open(serve: (runtime: Runtime) => void, greet = true): Promise<PortForwardStream> {
  const stream = await openPortForward((await cluster(serve, greet)).api, AT);
  onTestFinished(() => void stream.destroy());
  return stream;
}
