// Port-forwards as a tunnel (SPDY within a websocket), and what happens where the cluster does not know it. The API server that ends a real
// tunnel is in test/e2e: every link there is one.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ClusterApi } from '../../src/cluster/rest.ts';
import { openPortForward } from '../../src/cluster/upgrade.ts';
import { dataHeader, FLAG_FIN, ping, SpdyParser } from '../../src/netstack/spdy/frame.codec.ts';
import { WebSocketConnection } from '../../src/netstack/websocket/connection.ts';
import { configFor, failure, startFakeApi, statusBody } from './support/fake-api.ts';
import { AT } from './support/runtime.ts';

const TUNNEL = 'SPDY/3.1+portforward.k8s.io';
const ERROR = 1;
const DATA = 3;

interface Peer {
  /** SPDY bytes, cut into messages as given. */
  send(...messages: Buffer[]): void;
  close(code: number): void;
  readonly opened: Buffer[];
  readonly pings: number[];
  /** Told each piece of data. */
  onData: (piece: Buffer) => void;
}

const frame = (id: number, text: string | Buffer, flags = 0): Buffer =>
  Buffer.concat([dataHeader(id, Buffer.byteLength(text), flags), Buffer.from(text)]);

function accept(request: IncomingMessage, socket: Duplex, head: Buffer): Peer {
  const key = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
  socket.write(
    `HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key.digest('base64')}\r\nSec-WebSocket-Protocol: ${TUNNEL}\r\n\r\n`,
  );
  const opened: Buffer[] = [];
  const pings: number[] = [];
  const parser = new SpdyParser({
    data: (id, piece) => id === DATA && peer.onData(piece),
    end: () => undefined,
    ping: (number) => pings.push(number),
    goAway: () => undefined,
    violation: () => undefined,
  });
  const connection = new WebSocketConnection(
    socket,
    {
      onData: (piece) => {
        if ((piece[0] ?? 0) === 0x80 && piece[3] === 1) opened.push(Buffer.from(piece));
        parser.push(piece);
      },
      onDrain: () => undefined,
      onClose: () => undefined,
    },
    head,
    { role: 'server' },
  );
  const peer: Peer = {
    send: (...messages) => messages.forEach((message) => connection.send([message], message.length)),
    close: (code) => connection.close(code),
    opened,
    pings,
    onData: () => undefined,
  };
  return peer;
}

async function open(serve: (peer: Peer) => void) {
  const fake = await startFakeApi(() => undefined, {
    upgrade: (request, socket, head) => serve(accept(request, socket, head)),
  });
  const api = new ClusterApi(configFor(fake.url));
  onTestFinished(() => api.close());
  const stream = await openPortForward(api, AT, { tunnel: true });
  onTestFinished(() => void stream.destroy());
  return stream;
}

async function readAll(stream: Duplex): Promise<string> {
  let text = '';
  for await (const chunk of stream as AsyncIterable<Buffer>) text += chunk.toString('latin1');
  return text;
}

describe('a tunnel', () => {
  test('opens a stream for errors and one for data, and carries bytes both ways, however they are cut', async () => {
    const peers: Peer[] = [];
    const stream = await open((peer) => {
      peers.push(peer);
      peer.onData = (piece) => {
        const echo = frame(DATA, piece);
        peer.send(echo.subarray(0, 3), echo.subarray(3));
        if (piece.includes('bye')) peer.send(dataHeader(ERROR, 0, FLAG_FIN), dataHeader(DATA, 0, FLAG_FIN));
      };
    });
    stream.write('hello ');
    stream.write('bye');
    expect(await readAll(stream)).toBe('hello bye');
    expect(stream.destroyed).toBe(true);
    const opened = Buffer.concat(peers[0]?.opened ?? []).toString('latin1');
    expect(opened).toMatch(/streamtype.*error.*port.*8080.*streamtype.*data.*port.*8080/s);
  });

  test('a refusal on the error stream destroys it with its meaning', async () => {
    const text = 'error forwarding port 8080 to pod abc: dial tcp4 127.0.0.1:8080: connect: connection refused';
    const stream = await open((peer) => peer.send(frame(ERROR, text, FLAG_FIN), dataHeader(DATA, 0, FLAG_FIN)));
    expect((await once(stream, 'error'))[0]).toMatchObject({ code: 'DIAL_REFUSED' });
  });

  test('data that is broken off is no end', async () => {
    const reset = Buffer.from([0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, DATA, 0, 0, 0, 1]);
    const stream = await open((peer) => peer.send(frame(DATA, 'half'), reset));
    stream.resume();
    expect((await once(stream, 'error'))[0]).toMatchObject({ code: 'LINK_LOST' });
  });

  test("the other side's pings are answered, and keepAlive sends one of ours", async () => {
    const peers: Peer[] = [];
    const stream = await open((peer) => {
      peers.push(peer);
      peer.send(ping(2), ping(7));
      peer.onData = () => peer.send(dataHeader(DATA, 0, FLAG_FIN));
    });
    await new Promise((resolve) => setImmediate(resolve));
    stream.keepAlive();
    stream.write('x');
    await readAll(stream);
    expect(peers[0]?.pings).toContain(1);
    expect(peers[0]?.pings).toContain(2);
    expect(peers[0]?.pings).not.toContain(7);
  });

  test('bytes that are not SPDY end it with a reason', async () => {
    const stream = await open((peer) => peer.send(Buffer.alloc(100, 0xff)));
    expect((await once(stream, 'error'))[0]).toMatchObject({ code: 'LINK_PROTOCOL' });
  });

  test('a tunnel that closes in the middle is a lost link', async () => {
    const stream = await open((peer) => peer.close(1011));
    expect((await once(stream, 'error'))[0]).toMatchObject({ code: 'LINK_LOST' });
  });
});

describe('a cluster without tunnels', () => {
  const asked: unknown[] = [];
  const answering = async (status: string, body = '') => {
    asked.length = 0;
    const fake = await startFakeApi(() => undefined, {
      upgrade: (request, socket) => {
        asked.push(request.headers['sec-websocket-protocol']);
        socket.end(`HTTP/1.1 ${status} x\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      },
    });
    const api = new ClusterApi(configFor(fake.url));
    onTestFinished(() => api.close());
    return api;
  };

  test.each(['403', '400', '200'])('%s: channels are tried, and tunnels not again', async (status) => {
    const api = await answering(status);
    await failure(openPortForward(api, AT, { tunnel: true }));
    await failure(openPortForward(api, AT, { tunnel: true }));
    expect(asked).toEqual([TUNNEL, 'v4.channel.k8s.io', 'v4.channel.k8s.io']);
  });

  test.each(['403', '404', '500'])('%s with a Status is no reason to try channels', async (status) => {
    const message = 'pods "orders-0" is forbidden: User "x" cannot get resource "pods/portforward" in API group ""';
    const api = await answering(status, statusBody(Number(status), 'Forbidden', message));
    await failure(openPortForward(api, AT, { tunnel: true }));
    expect(asked).toEqual([TUNNEL]);
  });
});
