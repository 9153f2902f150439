// The dialer against an agent that says what the test tells it to: what the compliance suite's honest agent never does.
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { KtError } from '../../../src/errors.ts';
import { AgentDialer } from '../../../src/netstack/link/agent-dialer.ts';
import type { Link } from '../../../src/netstack/link/link.ts';
import { LinkPool } from '../../../src/netstack/link/pool.ts';
import { encodeDatagram } from '../../../src/netstack/stream/datagram.codec.ts';
import { encodeMessage } from '../../../src/netstack/stream/header.codec.ts';
import { rawAgent } from '../../support/link-world.ts';
import { failure, type RawPeer, readAll, turns } from '../../support/mux-peers.ts';

const SYN = 1;
const FIN = 4;
const RST = 8;
const DATA = 0;
const WINDOW_UPDATE = 1;
const target = { host: 'gateway', port: 80 };
const ok = encodeMessage({ ok: true });

interface World {
  readonly dialer: AgentDialer;
  readonly pool: LinkPool;
  /** The agent's end of each link, in the order of their making. */
  readonly agents: { readonly link: Link; readonly peer: RawPeer }[];
}

const pools: LinkPool[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const pool of pools.splice(0)) pool.close();
});

async function makeWorld(parkMs = 5_000): Promise<World> {
  const agents: World['agents'] = [];
  const pool = new LinkPool({
    parkMs,
    connect: async (hooks) => {
      const agent = await rawAgent(hooks);
      agents.push(agent);
      return agent.link;
    },
  });
  pools.push(pool);
  await pool.start();
  while (pool.links.length < 2) await turns(1);
  return { dialer: new AgentDialer(pool), pool, agents };
}

/** The first stream that any of the agents is asked for, beyond the control stream; told once each. */
async function asked(world: World, seen = new Set<string>()): Promise<{ peer: RawPeer; id: number; header: unknown }> {
  for (;;) {
    for (const [index, { peer }] of world.agents.entries()) {
      const frame = peer.frames.find(
        ({ id, flags, payload }) => id > 1 && (flags & SYN) !== 0 && payload.length > 2 && !seen.has(`${index}:${id}`),
      );
      if (!frame) continue;
      seen.add(`${index}:${frame.id}`);
      const length = frame.payload.readUInt16BE(0);
      return { peer, id: frame.id, header: JSON.parse(frame.payload.toString('utf8', 2, 2 + length)) as unknown };
    }
    await turns(1);
  }
}

/** What ends a link, seen from its agent. */
const kill = (peer: RawPeer): void => void peer.transport.destroy();

describe('a dial', () => {
  test('the header says where to, and how long to try', async () => {
    const world = await makeWorld();
    await world.dialer.dial(target, { timeoutMs: 700 });
    expect((await asked(world)).header).toEqual({ v: 1, kind: 'tcp', host: 'gateway', port: 80, timeoutMs: 700 });
  });

  test('the status, cut at every byte, never reaches the program', async () => {
    const answer = Buffer.concat([ok, Buffer.from('220 ready')]);
    const world = await makeWorld();
    const seen = new Set<string>();
    for (let cut = 0; cut <= answer.length; cut += 1) {
      const { stream, opened } = await world.dialer.dial(target);
      const reading = readAll(stream);
      const { peer, id } = await asked(world, seen);
      for (const part of [answer.subarray(0, cut), answer.subarray(cut)]) if (part.length > 0) peer.data(0, id, part);
      peer.send(WINDOW_UPDATE, FIN, id, 0);
      await opened;
      expect([cut, String(await reading)]).toEqual([cut, '220 ready']);
      stream.end();
    }
  });

  test.each([true, false])(
    'accepted and reset in one breath (settle: %s): an error, never an uncaught one',
    async (settle) => {
      const world = await makeWorld();
      const dialing = world.dialer.dial(target, { settle });
      const { peer, id } = await asked(world);
      peer.transport.cork();
      peer.data(0, id, ok);
      peer.send(WINDOW_UPDATE, RST, id, 0);
      peer.transport.uncork();
      const { stream, opened } = await dialing;
      await opened;
      expect(await failure(stream)).toMatchObject({ code: 'STREAM_RESET' });
    },
  );

  test.each<[string, Buffer, string]>([
    ['refused', encodeMessage({ ok: false, code: 'DIAL_REFUSED', message: 'no' }), 'DIAL_REFUSED'],
    ['a code of a newer agent', encodeMessage({ ok: false, code: 'DIAL_TIRED', message: 'no' }), 'DIAL_FAILED'],
    ['no status', encodeMessage({ hello: 'you' }), 'LINK_PROTOCOL'],
    ['no JSON', Buffer.from([0, 1, 1]), 'LINK_PROTOCOL'],
    ['HTTP', Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), 'LINK_PROTOCOL'],
  ])('answered with %s: the reason, and the stream is reset', async (_name, answer, code) => {
    const world = await makeWorld();
    const { stream, opened } = await world.dialer.dial(target);
    const { peer, id } = await asked(world);
    peer.data(0, id, answer);
    await expect(opened).rejects.toMatchObject({ code });
    expect(await failure(stream)).toMatchObject({ code });
    await peer.frame((frame) => frame.id === id && (frame.flags & RST) !== 0);
    expect(world.pool.links.map(({ streamCount }) => streamCount)).toEqual([0, 0]);
  });

  test('never answered: DIAL_TIMEOUT, some seconds after the limit that the agent was given', async () => {
    const world = await makeWorld();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { opened } = await world.dialer.dial(target, { timeoutMs: 1_000 });
    vi.advanceTimersByTime(5_999);
    expect(world.pool.links.map(({ streamCount }) => streamCount)).toEqual([1, 0]);
    vi.advanceTimersByTime(1);
    await expect(opened).rejects.toMatchObject({ code: 'DIAL_TIMEOUT' });
  });

  test('ended without an answer: as never answered', async () => {
    const world = await makeWorld();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { opened } = await world.dialer.dial(target);
    const { peer, id } = await asked(world);
    peer.send(WINDOW_UPDATE, FIN, id, 0);
    await turns();
    vi.advanceTimersByTime(15_000);
    await expect(opened).rejects.toMatchObject({ code: 'DIAL_TIMEOUT' });
  });

  test('a reset of the agent is the reason; nobody has to look', async () => {
    const world = await makeWorld();
    const { stream, opened } = await world.dialer.dial(target);
    const { peer, id } = await asked(world);
    peer.send(WINDOW_UPDATE, RST, id, 0);
    await expect(opened).rejects.toMatchObject({ code: 'STREAM_RESET' });
    expect(stream.destroyed).toBe(true);
  });

  test('the program leaves first: the agent is told', async () => {
    const world = await makeWorld();
    const { stream, opened } = await world.dialer.dial(target);
    const { peer, id } = await asked(world);
    stream.destroy();
    await expect(opened).rejects.toMatchObject({ code: 'LINK_LOST' });
    await peer.frame((frame) => frame.id === id && (frame.flags & RST) !== 0);
  });

  test('a target that fits no header', async () => {
    const world = await makeWorld();
    const long = { host: 'x'.repeat(5_000), port: 80 };
    await expect(world.dialer.dial(long)).rejects.toMatchObject({ code: 'LINK_PROTOCOL' });
    expect(world.pool.links.map(({ streamCount }) => streamCount)).toEqual([0, 0]);
  });
});

describe('a link that dies before the answer', () => {
  test('with settle: the next link is asked, nothing was sent yet', async () => {
    const world = await makeWorld();
    const seen = new Set<string>();
    const dialing = world.dialer.dial(target, { settle: true });
    const first = await asked(world, seen);
    kill(first.peer);
    const second = await asked(world, seen);
    expect(second.peer).not.toBe(first.peer);
    second.peer.data(0, second.id, ok);
    await (await dialing).opened;
  });

  test('five times: the dial fails with the last reason', async () => {
    const world = await makeWorld();
    const seen = new Set<string>();
    const dialing = expect(world.dialer.dial(target, { settle: true })).rejects.toMatchObject({ code: 'LINK_LOST' });
    for (let attempt = 1; attempt <= 5; attempt += 1) kill((await asked(world, seen)).peer);
    await dialing;
    await turns(50);
    expect(seen.size).toBe(5);
  });

  test('without settle: the bytes may be gone, so it fails', async () => {
    const world = await makeWorld();
    const { stream, opened } = await world.dialer.dial(target);
    stream.write('POST /once');
    const { peer } = await asked(world);
    kill(peer);
    await expect(opened).rejects.toMatchObject({ code: 'LINK_LOST' });
    expect(await failure(stream)).toMatchObject({ code: 'LINK_LOST' });
  });

  test('a refusal is no lost link', async () => {
    const world = await makeWorld();
    const seen = new Set<string>();
    const dialing = world.dialer.dial(target, { settle: true });
    const { peer, id } = await asked(world, seen);
    peer.data(0, id, encodeMessage({ ok: false, code: 'DIAL_REFUSED', message: 'no' }));
    await expect(dialing).rejects.toMatchObject({ code: 'DIAL_REFUSED' });
    expect(seen.size).toBe(1);
  });

  test('a name is asked again', async () => {
    const world = await makeWorld();
    const seen = new Set<string>();
    const resolving = world.dialer.resolve('gateway', 'A');
    kill((await asked(world, seen)).peer);
    const { peer, id } = await asked(world, seen);
    peer.data(0, id, Buffer.concat([ok, Buffer.from('{"found":false,"records":[]}')]));
    peer.send(WINDOW_UPDATE, FIN, id, 0);
    expect(await resolving).toEqual({ found: false, records: [] });
  });
});

describe('names', () => {
  const record = { type: 'A', name: 'gateway', ttl: 5, data: '10.0.0.1' };

  test.each<[string, unknown, unknown]>([
    ['one record', { found: true, records: [record] }, { found: true, records: [record] }],
    ['no data', { found: true, records: [] }, { found: true, records: [] }],
    [
      'a type and a field of a newer agent',
      { found: true, records: [record, { type: 'HTTPS', name: 'a' }, null], extra: 1 },
      { found: true, records: [record] },
    ],
  ])('%s', async (_name, answer, expected) => {
    const world = await makeWorld();
    const resolving = world.dialer.resolve('gateway', 'A');
    const { peer, id, header } = await asked(world);
    expect(header).toEqual({ v: 1, kind: 'resolve', host: 'gateway', type: 'A' });
    for (const byte of Buffer.concat([ok, Buffer.from(JSON.stringify(answer))])) peer.data(0, id, Buffer.of(byte));
    peer.send(WINDOW_UPDATE, FIN, id, 0);
    expect(await resolving).toEqual(expected);
  });

  test.each<[string, Buffer, string]>([
    ['is cut off', Buffer.from('{"found":tr'), 'LINK_PROTOCOL'],
    ['is null', Buffer.from('null'), 'LINK_PROTOCOL'],
    ['is a number', Buffer.from('7'), 'LINK_PROTOCOL'],
    ['has no records', Buffer.from('{"found":true}'), 'LINK_PROTOCOL'],
    ['has records that are text', Buffer.from('{"found":true,"records":"A"}'), 'LINK_PROTOCOL'],
    ['has half a record', Buffer.from('{"found":true,"records":[{"type":"A","ttl":1}]}'), 'LINK_PROTOCOL'],
    ['is 2 MiB long', Buffer.alloc(2 * 1024 * 1024, ' '), 'LINK_PROTOCOL'],
  ])('an answer that %s', async (_name, answer, code) => {
    const world = await makeWorld();
    const resolving = expect(world.dialer.resolve('gateway', 'A')).rejects.toMatchObject({ code });
    const { peer, id } = await asked(world);
    peer.data(0, id, ok);
    for (let at = 0; at < answer.length && !peer.frames.some(({ flags }) => (flags & RST) !== 0); at += 60_000) {
      peer.data(0, id, answer.subarray(at, at + 60_000));
      await turns(10);
    }
    peer.send(WINDOW_UPDATE, FIN, id, 0);
    await resolving;
    expect(world.pool.links.map(({ streamCount }) => streamCount)).toEqual([0, 0]);
  });

  test('an answer that begins and never ends', async () => {
    const world = await makeWorld();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const resolving = expect(world.dialer.resolve('gateway', 'A')).rejects.toMatchObject({ code: 'DIAL_TIMEOUT' });
    const { peer, id } = await asked(world);
    peer.data(0, id, Buffer.concat([ok, Buffer.from('{')]));
    await turns();
    vi.advanceTimersByTime(15_000);
    await resolving;
  });

  test('cancelled, before the answer and in the middle of it', async () => {
    const world = await makeWorld();
    const seen = new Set<string>();
    for (const bytes of [Buffer.alloc(0), Buffer.concat([ok, Buffer.from('{')])]) {
      const cancel = new AbortController();
      const resolving = world.dialer.resolve('gateway', 'A', { signal: cancel.signal });
      const failing = expect(resolving).rejects.toMatchObject({ code: 'CANCELLED' });
      const { peer, id } = await asked(world, seen);
      if (bytes.length > 0) peer.data(0, id, bytes);
      await turns();
      cancel.abort();
      await failing;
    }
  });
});

describe('datagrams', () => {
  test('come one by one however they are cut, behind the status', async () => {
    const world = await makeWorld();
    const flow = await world.dialer.datagrams(target);
    const got: string[] = [];
    flow.onDatagram = (datagram) => got.push(datagram.toString());
    const { peer, id, header } = await asked(world);
    expect(header).toEqual({ v: 1, kind: 'udp', host: 'gateway', port: 80 });
    const bytes = Buffer.concat([ok, ...['one', '', 'three'].map((text) => encodeDatagram(Buffer.from(text)))]);
    for (const byte of bytes) peer.data(0, id, Buffer.of(byte));
    await turns(50);
    expect(got).toEqual(['one', '', 'three']);
  });

  test('are dropped, not kept, where the agent does not take them', async () => {
    const world = await makeWorld();
    const flow = await world.dialer.datagrams(target);
    await asked(world);
    for (let count = 0; count < 10_000; count += 1) {
      flow.send(Buffer.alloc(1_000));
      if (count % 100 === 0) await turns(1);
    }
    expect(Math.max(...world.pool.links.map(({ outstanding }) => outstanding))).toBeLessThan(512 * 1024);
  });

  test.each<[string, (peer: RawPeer, id: number) => void, string | undefined]>([
    [
      'refused',
      (peer, id) => peer.data(0, id, encodeMessage({ ok: false, code: 'UNSUPPORTED', message: 'no' })),
      'UNSUPPORTED',
    ],
    ['reset', (peer, id) => peer.send(WINDOW_UPDATE, RST, id, 0), 'STREAM_RESET'],
    ['ended by the agent', (peer, id) => peer.send(DATA, FIN, id, ok.length, ok), undefined],
    ['lost with its link', (peer) => kill(peer), 'LINK_LOST'],
  ])('a flow that is %s is closed once, with the reason', async (_name, act, code) => {
    const world = await makeWorld();
    const flow = await world.dialer.datagrams(target);
    const closes: (KtError | undefined)[] = [];
    flow.onClose = (error) => closes.push(error as KtError | undefined);
    const { peer, id } = await asked(world);
    act(peer, id);
    while (closes.length === 0) await turns(1);
    await turns();
    expect(closes.map((error) => error?.code)).toEqual([code]);
    flow.send(Buffer.from('late'));
    flow.close();
    expect(closes).toHaveLength(1);
  });
});
