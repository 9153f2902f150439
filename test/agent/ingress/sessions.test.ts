// Sessions at an ingress agent over real links: whose a session is, what laptops may say, garbage and floods on the control stream,
// and the choice among several links.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openToLaptop, reachable } from '../../../src/agent/ingress/laptop.ts';
import { Registry, SEALED_MS } from '../../../src/agent/ingress/registry.machine.ts';
import { IngressSessions } from '../../../src/agent/ingress/sessions.ts';
import { CONTROL_LINE_MAX, parseAgentLine, type Rule } from '../../../src/netstack/link/control.codec.ts';
import type { MuxStream } from '../../../src/netstack/mux/stream.ts';
import { encodeMessage } from '../../../src/netstack/stream/header.codec.ts';
import { closedPort, IngressWorld } from '../../support/ingress-world.ts';
import { type MuxEnd, muxPair } from '../../support/mux-peers.ts';

const ALL = { kind: 'all' } as const;

let world: IngressWorld;
beforeEach(async () => {
  world = await IngressWorld.start({ originPort: await closedPort() });
});
afterEach(() => world.close());

describe('whose a session is', () => {
  test('another token cannot speak for it, and is told so', async () => {
    const anna = await world.laptop({ session: 'cafe' });
    await anna.hold(ALL);
    await expect(world.laptop({ session: 'cafe', user: 'mallory' })).rejects.toMatchObject({
      code: 'DIAL_DENIED',
      message: expect.stringContaining('this session belongs to another token'),
    });
    expect(await anna.ask({ type: 'look' })).toMatchObject({ holders: [{ user: 'anna' }] });
  });

  test('nobody leaves for one that lives; for a dead one anybody may', async () => {
    const anna = await world.laptop({ session: 'cafe' });
    const ben = await world.laptop({ user: 'ben' });
    await anna.hold(ALL);
    expect(await ben.ask({ type: 'leave', session: 'cafe' })).toMatchObject({ type: 'refused', code: 'SERVICE_HELD' });
    anna.cut();
    await expect.poll(() => world.match()).toBe(undefined);
    expect(await ben.ask({ type: 'leave', session: 'cafe' })).toMatchObject({ type: 'done', holders: [] });
  });

  test('names come to other people’s terminals without control characters', async () => {
    const anna = await world.laptop({ user: 'an\u001b[2Jna\u202e' });
    const ben = await world.laptop({ user: 'ben\u0007' });
    await anna.hold(ALL);
    expect(await ben.ask({ type: 'look' })).toMatchObject({ holders: [{ user: 'an?[2Jna?' }] });
    await ben.hold(ALL, true);
    await expect.poll(() => anna.lines).toContainEqual({ type: 'evicted', by: 'ben? on laptop', rules: ['r1'] });
  });
});

describe('given back', () => {
  test('not while somebody holds rules; afterwards nobody can hold any', async () => {
    const anna = await world.laptop();
    const ben = await world.laptop({ user: 'ben' });
    await anna.hold(ALL);
    expect(await ben.ask({ type: 'retire' })).toMatchObject({ type: 'refused', code: 'SERVICE_HELD' });
    await anna.ask({ type: 'leave' });
    expect(await ben.ask({ type: 'retire' })).toMatchObject({ type: 'done' });
    expect(world.draining).toBe(true);
    expect(await anna.hold(ALL)).toMatchObject({ type: 'refused', code: 'LINK_LOST' });
  });
});

describe('about to be given back', () => {
  test('who gives it back and who comes can not both be right: after `seal` nobody comes, before it `seal` is refused', async () => {
    const anna = await world.laptop();
    const ben = await world.laptop({ user: 'ben' });
    await anna.hold(ALL);
    await anna.ask({ type: 'leave' });
    expect(await anna.ask({ type: 'seal' })).toMatchObject({ type: 'done', holders: [] });
    expect(await ben.hold(ALL)).toMatchObject({ type: 'refused', code: 'LINK_LOST' });
    world.now += SEALED_MS;
    expect(await ben.hold(ALL)).toMatchObject({ type: 'done' });
    expect(await anna.ask({ type: 'seal' })).toMatchObject({ type: 'refused', code: 'SERVICE_HELD' });
  });

  test('a rule for a port that nobody listens on is refused', async () => {
    const anna = await world.laptop();
    const rule: Rule = { id: 'r', port: world.port === 1 ? 2 : 1, protocol: 'TCP', match: ALL };
    expect(await anna.ask({ type: 'rules', rules: [rule] })).toMatchObject({
      type: 'refused',
      code: 'SERVICE_REFUSED',
    });
  });
});

describe('the control stream', () => {
  const end = (): { sessions: IngressSessions; near: MuxEnd; control: MuxStream; agent: Promise<MuxStream> } => {
    const [near, far] = muxPair();
    const sessions = new IngressSessions(new Registry(() => 0));
    const control = near.muxer.open();
    control.on('error', () => undefined);
    control.write('\n');
    const hello = { session: 'cafe', tokenSha256: 'x', user: 'anna', host: 'laptop' };
    const agent = far.next().then((stream) => {
      stream.on('error', () => undefined);
      stream.once(
        'close',
        sessions.linkUp(hello, far.muxer, stream, () => 0),
      );
      return stream;
    });
    return { sessions, near, control, agent };
  };

  test('garbage is passed over; a known line behind it is answered', async () => {
    const { control } = end();
    control.write('no JSON\n{}\n[]\n"rules"\n{"type":"rules","seq":1,"rules":"all"}\n{"type":"later","seq":2}\n');
    control.write('{"type":"look","seq":3}\n');
    let text = '';
    while (!text.includes('\n')) text += String(await new Promise((resolve) => control.once('data', resolve)));
    expect(text).toBe('{"type":"done","seq":3,"holders":[]}\n');
  });

  test('a line without an end: the link is closed', async () => {
    const { control, near } = end();
    control.write('x'.repeat(CONTROL_LINE_MAX + 1));
    expect(await near.closed).toMatchObject({ code: 'LINK_LOST' });
  });

  test('questions without end, and the answers not read: the link is closed before the memory is full', async () => {
    const { control, near, agent } = end();
    const stream = await agent;
    let most = 0;
    let open = true;
    near.closed.then(
      () => (open = false),
      () => undefined,
    );
    const flood = `${JSON.stringify({ type: 'look', seq: 1 })}\n`.repeat(2_000);
    while (open) {
      most = Math.max(most, stream.writableLength);
      const wait = control.write(flood) ? undefined : new Promise((resolve) => control.once('drain', resolve));
      await Promise.race([wait, near.closed]);
    }
    expect(most).toBeLessThan(2 * 1024 * 1024);
  });

  test('many holders with many rules: the answer fits into a line', async () => {
    const sessions = Array.from({ length: 8 }, async (_, index) => {
      const laptop = await world.laptop({ user: `user ${index}` });
      const rules = Array.from(
        { length: 16 },
        (__, id): Rule => ({
          id: `${id}`,
          port: world.port,
          protocol: 'TCP',
          match: { kind: 'header', name: 'x', value: `${index} ${id} ${'v'.repeat(1_000)}` },
        }),
      );
      return laptop.ask({ type: 'rules', rules });
    });
    await Promise.all(sessions);
    const last = await world.laptop();
    const answer = await last.ask({ type: 'look' });
    expect(answer).toMatchObject({ type: 'done' });
    expect(answer.type === 'done' ? answer.holders.map(({ user }) => user).toSorted() : []).toEqual(
      Array.from({ length: 8 }, (_, index) => `user ${index}`),
    );
    expect(parseAgentLine(JSON.stringify(answer))).toEqual(answer);
  });
});

describe('several links of one session', () => {
  const link = (): { near: MuxEnd; far: MuxEnd; one: { muxer: MuxEnd['muxer']; received: () => number } } => {
    const [near, far] = muxPair();
    return { near, far, one: { muxer: near.muxer, received: () => near.muxer.stats.bytesReceived } };
  };
  const inbound = { rule: 'r1', protocol: 'TCP', peer: '10.0.0.1:5000' } as const;
  const yes = async (end: MuxEnd): Promise<MuxStream> => {
    const stream = await end.next();
    stream.on('error', () => undefined).resume();
    stream.write(encodeMessage({ ok: true }));
    return stream;
  };

  test('the one with the fewest bytes outstanding takes the next stream', async () => {
    const [busy, free] = [link(), link()];
    const stuck = busy.near.muxer.open();
    stuck.on('error', () => undefined).write(Buffer.alloc(1024 * 1024));
    expect(busy.near.muxer.outstanding).toBeGreaterThan(free.near.muxer.outstanding);
    const accepted = yes(free.far);
    await openToLaptop([busy.one, free.one], inbound, 10_000);
    await accepted;
    stuck.destroy();
  });

  test('a silent one is suspect until a byte comes from it; the other one is taken', async () => {
    const good = link();
    let heard = 0;
    const silent = { one: { muxer: link().near.muxer, received: () => heard } };
    await expect(openToLaptop([silent.one], inbound, 20)).rejects.toMatchObject({ code: 'DIAL_TIMEOUT' });
    expect(reachable([silent.one])).toBe(false);
    expect(reachable([silent.one, good.one])).toBe(true);
    const accepted = yes(good.far);
    await openToLaptop([silent.one, good.one], inbound, 10_000);
    await accepted;
    heard += 1;
    expect(reachable([silent.one])).toBe(true);
  });

  test('one that dies, or that the laptop retires, before the yes: the other one is asked, within the same time', async () => {
    const [dying, retired, good] = [link(), link(), link()];
    const accepted = yes(good.far);
    // The reset of a stream that was on its way when the laptop said that it takes no more.
    void retired.far.next().then((stream) => stream.destroy());
    void dying.far.next().then(() => dying.near.muxer.destroy());
    await openToLaptop([dying.one, retired.one, good.one], inbound, 10_000);
    await accepted;
    expect(reachable([retired.one])).toBe(true);
    retired.far.muxer.goAway();
    await expect.poll(() => reachable([retired.one])).toBe(false);
  });

  test('a refusal is the laptop’s word: the other link is not asked', async () => {
    const [first, second] = [link(), link()];
    void first.far.next().then((stream) => {
      stream.on('error', () => undefined).end(encodeMessage({ ok: false, code: 'DIAL_REFUSED', message: 'no' }));
    });
    await expect(openToLaptop([first.one, second.one], inbound, 10_000)).rejects.toMatchObject({
      code: 'DIAL_REFUSED',
    });
    expect(second.near.muxer.streamCount).toBe(0);
  });

  test('one that is gone, and none', async () => {
    const gone = link();
    gone.near.muxer.destroy();
    expect(reachable([gone.one])).toBe(false);
    await expect(openToLaptop([gone.one], inbound, 10_000)).rejects.toMatchObject({ code: 'LINK_LOST' });
    await expect(openToLaptop([], inbound, 10_000)).rejects.toMatchObject({ code: 'LINK_LOST' });
  });
});
