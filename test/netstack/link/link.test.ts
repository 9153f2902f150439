import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import { CONTROL_LINE_MAX } from '../../../src/netstack/link/control.codec.ts';
import { Link } from '../../../src/netstack/link/link.ts';
import { encodeMessage } from '../../../src/netstack/stream/header.codec.ts';
import { duplexPair } from '../../support/duplex-pair.ts';
import { type Agent, identity, rawAgent, startAgent } from '../../support/link-world.ts';
import { failure, RawPeer, turns } from '../../support/mux-peers.ts';
import { tcpServer } from '../../support/peers.ts';

const FIN = 4;
const RST = 8;
const WINDOW_UPDATE = 1;
const silent = { onClose: () => expect.unreachable('onClose before the link was open'), onDrain: () => undefined };

let agent: Agent;
beforeEach(async () => {
  agent = await startAgent();
});
afterEach(() => agent.server.close());

describe('opening', () => {
  test('token, answer, and it lives', async () => {
    const link = await agent.connect();
    expect([link.closed, link.full, link.streamCount, link.draining]).toEqual([false, false, 0, false]);
    expect(await link.ping()).toBeGreaterThan(0);
    expect(agent.server.quietSince).toBeUndefined();
    link.close(new KtError('LINK_LOST', 'enough'));
    expect(link.closed).toBe(true);
  });

  test('a wrong token is DIAL_DENIED, with the reason on both sides', async () => {
    await expect(agent.connect(undefined, undefined, 'guessed')).rejects.toMatchObject({
      code: 'DIAL_DENIED',
      message: 'the agent refused the link: the token is wrong',
    });
    expect(await agent.logged(/closed/)).toBe('link closed: the token is wrong');
    expect(agent.server.quietSince).toBeGreaterThan(0);
  });

  test('a refusal counts, also with the hang-up right behind it', async () => {
    const [near, far] = duplexPair();
    const opening = Link.open(near, identity, silent);
    const peer = new RawPeer(far);
    await peer.frame(() => true);
    far.cork();
    peer.data(0, 1, encodeMessage({ ok: false, code: 'DIAL_DENIED', message: 'no' }));
    peer.send(WINDOW_UPDATE, FIN, 1, 0);
    far.end();
    far.uncork();
    await expect(opening).rejects.toMatchObject({ code: 'DIAL_DENIED' });
    expect(near.destroyed).toBe(true);
  });

  test('an agent of another version is AGENT_VERSION, with what helps', async () => {
    const [near, far] = duplexPair();
    const opening = Link.open(near, identity, silent);
    const peer = new RawPeer(far);
    await peer.frame(() => true);
    peer.data(
      0,
      1,
      encodeMessage({ ok: false, code: 'AGENT_VERSION', message: 'stream header version 1 is not known' }),
    );
    await expect(opening).rejects.toMatchObject({
      code: 'AGENT_VERSION',
      hint: expect.stringContaining('kt doctor --shared-agent') as string,
    });
  });

  test.each<[string, string | Uint8Array, string]>([
    ['speaks HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'LINK_PROTOCOL'],
    ['sends zeros', new Uint8Array(200), 'LINK_PROTOCOL'],
    ['sends half a header', new Uint8Array(5), 'LINK_LOST'],
    ['says nothing', '', 'LINK_LOST'],
  ])('a far end that %s and closes', async (_name, bytes, code) => {
    const server = await tcpServer((socket) => socket.end(bytes));
    const socket = connect({ port: server.port, host: '127.0.0.1' });
    await once(socket, 'connect');
    await expect(Link.open(socket, identity, silent)).rejects.toMatchObject({ code });
    expect(socket.destroyed).toBe(true);
    await server.stop();
  });

  test.each<[string, Buffer]>([
    ['is no status', encodeMessage({ hello: 1 })],
    ['is no JSON', Buffer.from([0, 2, 1, 1])],
    ['is too long', Buffer.from([0xff, 0xff])],
  ])('an answer that %s is LINK_PROTOCOL', async (_name, answer) => {
    const [near, far] = duplexPair();
    const opening = Link.open(near, identity, silent);
    const peer = new RawPeer(far);
    await peer.frame(() => true);
    peer.data(0, 1, answer);
    await expect(opening).rejects.toMatchObject({ code: 'LINK_PROTOCOL' });
    await peer.hungUp();
  });

  test('cancelled, before and meanwhile', async () => {
    const [near] = duplexPair();
    await expect(Link.open(near, identity, silent, AbortSignal.abort())).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(near.destroyed).toBe(true);
    const [waiting, far] = duplexPair();
    const cancel = new AbortController();
    const opening = Link.open(waiting, identity, silent, cancel.signal);
    await new RawPeer(far).frame(() => true);
    cancel.abort();
    await expect(opening).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(waiting.destroyed).toBe(true);
  });

  test('a signal that aborts after the opening does nothing', async () => {
    const cancel = new AbortController();
    const link = await agent.connect(undefined, cancel.signal);
    cancel.abort();
    expect(await link.ping()).toBeGreaterThan(0);
    link.close(new KtError('LINK_LOST', 'enough'));
  });

  test('a transport that is dead already', async () => {
    const [near] = duplexPair();
    near.destroy();
    await turns();
    await expect(Link.open(near, identity, silent)).rejects.toMatchObject({ code: 'LINK_LOST' });
  });
});

describe('streams', () => {
  test('the header travels in the first frame', async () => {
    const { link, peer } = await rawAgent();
    const header = { v: 1, kind: 'tcp', host: 'gateway', port: 80 } as const;
    link.openStream(header).write('early');
    const { flags, payload } = await peer.frame(({ id }) => id === 3);
    expect(flags).toBe(1);
    expect(payload).toEqual(encodeMessage(header));
    expect(link.streamCount).toBe(1);
  });

  test('a header that does not fit opens nothing', async () => {
    const { link } = await rawAgent();
    const header = { v: 1, kind: 'tcp', host: 'x'.repeat(5_000), port: 80 } as const;
    expect(() => link.openStream(header)).toThrow(expect.objectContaining({ code: 'LINK_PROTOCOL' }));
    expect(link.streamCount).toBe(0);
  });

  test('of the agent are reset, and nothing else happens', async () => {
    const { link, peer } = await rawAgent();
    peer.data(1, 2, Buffer.from('let me in'));
    expect(await peer.frame(({ flags }) => (flags & RST) !== 0)).toMatchObject({ id: 2 });
    expect([link.closed, link.streamCount]).toEqual([false, 0]);
  });
});

describe('the control stream', () => {
  /** A link whose agent then does `act`; resolves with what the hooks were told. */
  async function after(
    act: (peer: RawPeer) => void,
  ): Promise<{ link: Link; drains: () => number; closed: Promise<KtError> }> {
    let drains = 0;
    let close: (error: KtError) => void;
    const closed = new Promise<KtError>((resolve) => {
      close = resolve;
    });
    const { link, peer } = await rawAgent({
      onClose: (error) => close(error),
      onDrain: () => {
        drains += 1;
      },
    });
    act(peer);
    await turns();
    return { link, drains: () => drains, closed };
  }

  test('drain, wherever the line is cut, is told once', async () => {
    const line = '{"type":"hello"}\n{"type":"drain"}\n{"type":"drain"}\n';
    for (let cut = 0; cut <= line.length; cut += 1) {
      const { link, drains } = await after((peer) => {
        peer.data(0, 1, Buffer.from(line.slice(0, cut)));
        peer.data(0, 1, Buffer.from(line.slice(cut)));
      });
      expect([cut, drains(), link.draining, link.closed]).toEqual([cut, 1, true, false]);
      link.close(new KtError('LINK_LOST', 'enough'));
    }
  });

  test('lines of a newer agent, and bytes that are no text', async () => {
    const { link, drains } = await after((peer) => {
      peer.data(0, 1, Buffer.from('{"type":"later"}\nnot JSON\n\n'));
      peer.data(0, 1, Buffer.from([0xff, 0xfe, 10, 0, 10]));
    });
    expect([drains(), link.closed]).toEqual([0, false]);
  });

  test.each<[string, (peer: RawPeer) => void, string]>([
    ['ends', (peer) => peer.send(WINDOW_UPDATE, FIN, 1, 0), 'LINK_LOST'],
    ['is reset', (peer) => peer.send(WINDOW_UPDATE, RST, 1, 0), 'LINK_LOST'],
    ['has a line without an end', (peer) => peer.data(0, 1, Buffer.alloc(CONTROL_LINE_MAX + 1, 'x')), 'LINK_PROTOCOL'],
    ['goes with the transport', (peer) => void peer.transport.end(), 'LINK_LOST'],
  ])('%s: the link is over, with a reason, once', async (_name, act, code) => {
    const { link, closed } = await after(act);
    expect(await closed).toMatchObject({ code });
    expect([link.closed, link.full]).toEqual([true, true]);
    expect(() => link.openStream({ v: 1, kind: 'udp', host: 'a', port: 1 })).toThrow(KtError);
  });

  test('streams fail with the reason of the link', async () => {
    const { link } = await rawAgent();
    const stream = link.openStream({ v: 1, kind: 'udp', host: 'a', port: 1 });
    link.close(new KtError('LINK_DEAD', 'silent'));
    expect(await failure(stream)).toMatchObject({ code: 'LINK_DEAD' });
  });
});
