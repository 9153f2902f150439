// The agent's link port against strangers: closed with a reason in the log, alive for whoever has the token.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ErrorCode, KtError } from '../../src/errors.ts';
import type { Link } from '../../src/netstack/link/link.ts';
import { encodeMessage } from '../../src/netstack/stream/header.codec.ts';
import { type Agent, identity, startAgent } from '../support/link-world.ts';
import { failure, RawPeer, rawFrame, readAll, turns } from '../support/mux-peers.ts';
import { echoServer, tcpServer } from '../support/peers.ts';
import { retainedBytes } from '../support/retained.ts';

const SYN = 1;
const FIN = 4;
const DATA = 0;
const MIB = 1024 * 1024;
const hello = encodeMessage({ v: 1, kind: 'control', ...identity });
const wrong = encodeMessage({ v: 1, kind: 'control', ...identity, token: 'guessed' });

let agent: Agent;
const sockets: Socket[] = [];
beforeEach(async () => {
  agent = await startAgent();
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  agent.server.close();
});

async function stranger(): Promise<Socket> {
  const socket = connect({ port: agent.port, host: '127.0.0.1', allowHalfOpen: true });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Resolves when the agent has hung up. */
async function over(socket: Socket): Promise<void> {
  socket.resume();
  await new Promise<void>((resolve) => {
    socket.once('end', resolve).once('close', resolve);
  });
}

/** The agent still serves who has the token. */
async function stillServes(): Promise<void> {
  const link = await agent.connect();
  expect(await link.ping()).toBeGreaterThan(0);
  link.close(new KtError('LINK_LOST', 'enough'));
}

describe('strangers', () => {
  test.each<[string, Uint8Array | string, string]>([
    ['HTTP', 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n', 'not the mux protocol: version 71 in a frame header'],
    ['TLS', Buffer.from(`1603010200010001fc0303${'00'.repeat(32)}`, 'hex'), 'version 22 in a frame header'],
    ['zeros', new Uint8Array(4_096), 'not the mux protocol: a stream frame without a stream'],
    [
      'half a hello',
      rawFrame(DATA, SYN, 1, hello.length, hello.subarray(0, 20)),
      'the other side closed the connection',
    ],
    ['nothing', '', 'the other side closed the connection'],
    ['a hello that is no JSON', rawFrame(DATA, SYN, 1, 4, Buffer.from([0, 2, 1, 1])), 'not JSON'],
    ['a hello that is too long', rawFrame(DATA, SYN, 1, 2, Buffer.from([0xff, 0xff])), 'over the limit of 4096'],
    ['a wrong token', rawFrame(DATA, SYN, 1, wrong.length, wrong), 'the token is wrong'],
    ['no hello but an end', rawFrame(DATA, SYN | FIN, 1, 0), 'the stream ended before its first message'],
  ])('%s: closed, with the reason in the log', async (_name, bytes, reason) => {
    const socket = await stranger();
    socket.end(bytes);
    await over(socket);
    expect(await agent.logged(/^link closed/)).toContain(reason);
    await stillServes();
  });

  test('a header of another kind before the token is refused', async () => {
    const peer = new RawPeer(await stranger());
    const header = encodeMessage({ v: 1, kind: 'tcp', host: '127.0.0.1', port: 22 });
    peer.data(SYN, 1, header);
    const answer = await peer.frame(({ type, payload }) => type === DATA && payload.length > 0);
    expect(JSON.parse(answer.payload.toString('utf8', 2))).toMatchObject({ ok: false, code: 'LINK_PROTOCOL' });
    await peer.hungUp();
    expect(await agent.logged(/closed/)).toContain('the first stream of a link must be the control stream');
  });

  test('streams before the token are not served, and a few of them wait for it', async () => {
    const echo = await echoServer();
    const peer = new RawPeer(await stranger());
    peer.data(SYN, 1, hello.subarray(0, 10));
    peer.data(SYN, 3, encodeMessage({ v: 1, kind: 'tcp', host: '127.0.0.1', port: echo.port }));
    peer.data(0, 3, Buffer.from('early'));
    await turns(50);
    expect(peer.received(3)).toBe(0);
    peer.data(0, 1, hello.subarray(10));
    await peer.until(() => peer.received(3) === encodeMessage({ ok: true }).length + 5);
    await echo.stop();
  });

  test.each<[string, (peer: RawPeer) => void, string]>([
    [
      'more than 64 KiB',
      (peer) => {
        peer.data(SYN, 1, hello.subarray(0, 5));
        for (let id = 3; id < 9; id += 2) peer.data(SYN, id, Buffer.alloc(60_000));
      },
      'too many bytes before the token',
    ],
    [
      'more than 256 streams',
      (peer) => {
        for (let id = 1; id < 2 * 300; id += 2) peer.send(DATA, SYN, id, 0);
      },
      'too many streams before the token',
    ],
  ])('%s before the token end the connection', async (_name, act, reason) => {
    const peer = new RawPeer(await stranger());
    act(peer);
    await peer.hungUp();
    expect(await agent.logged(/closed/)).toContain(reason);
    await stillServes();
  });

  test('a wrong token, guessed a hundred times', async () => {
    for (let count = 0; count < 100; count += 1)
      await expect(agent.connect(undefined, undefined, `guess ${count}`)).rejects.toMatchObject({
        code: 'DIAL_DENIED',
      });
    while (agent.lines.filter((line) => line.includes('the token is wrong')).length < 100) await turns(1);
    await stillServes();
  });

  test('a flood of connections: eight wait, the others are refused with a line, a link goes on', async () => {
    const link = await agent.connect();
    const before = retainedBytes();
    const flood = await Promise.all(Array.from({ length: 200 }, () => stranger()));
    await agent.logged(/too many/);
    const open = (): Socket[] => flood.filter((socket) => !socket.destroyed && !socket.readableEnded);
    for (const socket of flood) socket.resume();
    while (open().length > 8) await turns(1);
    expect(open()).toHaveLength(8);
    expect(await link.ping()).toBeGreaterThan(0);
    expect(retainedBytes() - before).toBeLessThan(8 * MIB);
    // Room again as soon as they go.
    for (const socket of flood) socket.destroy();
    await agent.logged(/^link closed/);
    while (agent.lines.filter((line) => line.startsWith('link closed')).length < 8) await turns(1);
    await stillServes();
    link.close(new KtError('LINK_LOST', 'enough'));
  });

  test('closing the port ends strangers too', async () => {
    const socket = await stranger();
    await turns(20);
    agent.server.close();
    await over(socket);
  });
});

describe('links', () => {
  test('quiet since: only while there is none', async () => {
    expect(agent.server.quietSince).toBeGreaterThan(0);
    const [first, second] = [await agent.connect(), await agent.connect()];
    expect(agent.server.quietSince).toBeUndefined();
    first.close(new KtError('LINK_LOST', 'enough'));
    await turns(20);
    expect(agent.server.quietSince).toBeUndefined();
    second.close(new KtError('LINK_LOST', 'enough'));
    while (agent.server.quietSince === undefined) await turns(1);
  });

  test('drain reaches every laptop; streams go on', async () => {
    const echo = await echoServer();
    const drained: Promise<void>[] = [];
    const links: Link[] = [];
    for (let count = 0; count < 2; count += 1) {
      let drain: () => void;
      drained.push(new Promise((resolve) => (drain = resolve)));
      links.push(await agent.connect({ onClose: () => undefined, onDrain: () => drain() }));
    }
    const stream = links[0]?.openStream({ v: 1, kind: 'tcp', host: '127.0.0.1', port: echo.port });
    agent.server.drain();
    await Promise.all(drained);
    stream?.end('still here');
    if (stream) expect(String(await readAll(stream))).toContain('still here');
    for (const link of links) link.close(new KtError('LINK_LOST', 'enough'));
    await echo.stop();
  });

  test.each<[string, Uint8Array, string, ErrorCode]>([
    ['an unknown kind', encodeMessage({ v: 1, kind: 'exec' }), 'is not known', 'LINK_PROTOCOL'],
    ['a second hello', hello, "does not serve 'control' streams", 'LINK_PROTOCOL'],
    [
      'a later version',
      encodeMessage({ v: 2, kind: 'tcp', host: 'a', port: 1 }),
      'version 2 is not known',
      'AGENT_VERSION',
    ],
    ['no JSON', Buffer.from([0, 1, 0x7b]), 'not JSON', 'LINK_PROTOCOL'],
  ])('a stream with %s is refused; the link goes on', async (_name, bytes, reason, code) => {
    const peer = new RawPeer(await stranger());
    peer.data(SYN, 1, hello);
    peer.data(SYN, 3, bytes);
    const { payload } = await peer.frame(({ id, type }) => id === 3 && type === DATA);
    expect(JSON.parse(payload.toString('utf8', 2))).toMatchObject({ ok: false, code });
    expect(payload.toString()).toContain(reason);
    await peer.frame(({ id, flags }) => id === 3 && (flags & FIN) !== 0);
    peer.send(2, SYN, 0, 7);
    await peer.frame(({ type, length }) => type === 2 && length === 7);
  });

  test('a protocol error on a known link is logged, and its streams are reset', async () => {
    const echo = await echoServer();
    const peer = new RawPeer(await stranger());
    peer.data(SYN, 1, hello);
    peer.data(SYN, 3, encodeMessage({ v: 1, kind: 'tcp', host: '127.0.0.1', port: echo.port }));
    await peer.frame(({ id, type }) => id === 3 && type === DATA);
    peer.send(9, 0, 0, 0);
    await peer.hungUp();
    expect(await agent.logged(/closed/)).toContain('type 9 in a frame header');
    await echo.stop();
  });

  test('that the laptop loses: what it dialled is reset', async () => {
    const ended: Promise<unknown>[] = [];
    const server = await tcpServer((socket) => ended.push(failure(socket.resume())));
    const link = await agent.connect();
    link.openStream({ v: 1, kind: 'tcp', host: '127.0.0.1', port: server.port });
    while (ended.length === 0) await turns(1);
    link.close(new KtError('LINK_LOST', 'enough'));
    expect(await ended[0]).toMatchObject({ code: 'ECONNRESET' });
    await server.stop();
  });
});
