// The pool with real links to an agent on the loopback; the test decides when a connect works.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { KtError } from '../../../src/errors.ts';
import type { Link } from '../../../src/netstack/link/link.ts';
import { type LinkHooks, LinkPool, type PoolOptions } from '../../../src/netstack/link/pool.ts';
import { type Agent, startAgent } from '../../support/link-world.ts';
import { LoopbackDialer } from '../../support/loopback-dialer.ts';
import { failure, turns } from '../../support/mux-peers.ts';

const reason = new KtError('API_UNREACHABLE', 'the API server is on holiday');
const target = { v: 1, kind: 'tcp', host: 'held', port: 1 } as const;

let agent: Agent;
const pools: LinkPool[] = [];

beforeEach(async () => {
  // Dials that never settle: streams stay open until the test ends them.
  agent = await startAgent(new LoopbackDialer({ names: {}, hold: new Promise(() => undefined) }));
});
afterEach(() => {
  vi.useRealTimers();
  for (const pool of pools.splice(0)) pool.close();
  agent.server.close();
});

/** A pool, and what happens to it. */
function makePool(options: Partial<PoolOptions> = {}): World {
  const world = new World(options);
  pools.push(world.pool);
  return world;
}

class World {
  readonly pool: LinkPool;
  readonly made: Link[] = [];
  readonly changes: string[] = [];
  attempts = 0;
  failure: KtError | undefined;
  /** Attempts wait for it. */
  gate: Promise<void> = Promise.resolve();
  #look: () => void = () => undefined;

  constructor(options: Partial<PoolOptions>) {
    this.pool = new LinkPool({
      connect: (hooks, signal) => this.#connect(hooks, signal),
      parkMs: 10_000,
      onChange: ({ state, reason: why }) => {
        this.changes.push(why ? `${state}: ${why.message}` : state);
        this.#look();
      },
      ...options,
    });
  }

  /** Resolves when `is` holds, asked at every change. */
  async until(is: () => boolean): Promise<void> {
    while (!is()) {
      await new Promise<void>((resolve) => {
        this.#look = resolve;
      });
    }
  }

  async #connect(hooks: LinkHooks, signal: AbortSignal): Promise<Link> {
    this.attempts += 1;
    await Promise.race([this.gate, new Promise((_, reject) => signal.addEventListener('abort', reject))]);
    if (this.failure) throw this.failure;
    const link = await agent.connect(hooks, signal);
    this.made.push(link);
    return link;
  }
}

describe('links', () => {
  test('one to start with, a spare behind it, and no more', async () => {
    const world = makePool();
    expect(world.pool.up).toBe(false);
    await world.pool.start();
    expect([world.pool.up, world.changes[0]]).toEqual([true, 'up']);
    await world.until(() => world.changes.length === 2);
    await turns(50);
    expect([world.changes, world.attempts, world.pool.links.length]).toEqual([['up', 'spare'], 2, 2]);
  });

  test('the start fails for the reason of its attempt, and does not try again', async () => {
    const world = makePool();
    world.failure = reason;
    await expect(world.pool.start()).rejects.toBe(reason);
    await turns(50);
    expect(world.attempts).toBe(1);
  });

  test('the start is cancelled', async () => {
    const world = makePool();
    world.gate = new Promise(() => undefined);
    const cancel = new AbortController();
    const starting = world.pool.start(cancel.signal);
    cancel.abort();
    await expect(starting).rejects.toBeDefined();
  });

  test('dials that park during the start wait for its link', async () => {
    const world = makePool();
    let open: () => void = () => undefined;
    world.gate = new Promise((resolve) => {
      open = resolve;
    });
    const starting = world.pool.start();
    const parked = [world.pool.acquire(), world.pool.acquire()];
    expect(world.attempts).toBe(1);
    open();
    await starting;
    expect(await Promise.all(parked)).toEqual([world.made[0], world.made[0]]);
    await world.until(() => world.changes.includes('spare'));
    expect(world.attempts).toBe(2);
  });

  test('new streams take the link with fewer bytes outstanding', async () => {
    const world = makePool();
    await world.pool.start();
    await world.until(() => world.changes.includes('spare'));
    const [first, second] = world.made as [Link, Link];
    expect(await world.pool.acquire()).toBe(first);
    first.openStream(target).write(Buffer.alloc(100_000));
    expect(await world.pool.acquire()).toBe(second);
    await first.ping();
    expect(await world.pool.acquire()).toBe(first);
  });

  test('a link without room is passed over', async () => {
    const world = makePool();
    await world.pool.start();
    await world.until(() => world.changes.includes('spare'));
    const [first, second] = world.made as [Link, Link];
    while (!first.full) first.openStream(target);
    expect(first.streamCount).toBe(4_095);
    await first.ping();
    expect([first.outstanding, await world.pool.acquire()]).toEqual([0, second]);
  });
});

describe('parking', () => {
  test('a dial waits for the link', async () => {
    const world = makePool();
    let open: () => void = () => undefined;
    world.gate = new Promise((resolve) => {
      open = resolve;
    });
    const acquired = world.pool.acquire();
    await turns();
    open();
    expect(await acquired).toBe(world.made[0]);
  });

  test('for parkMs, then LINK_PARKED with the last reason; attempts go on, 1 s apart at most', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const world = makePool();
    world.failure = reason;
    const outcome = world.pool.acquire().catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(9_999);
    expect(await Promise.race([outcome, Promise.resolve('waits')])).toBe('waits');
    const before = world.attempts;
    expect(before).toBeGreaterThanOrEqual(12);
    expect(before).toBeLessThanOrEqual(30);
    await vi.advanceTimersByTimeAsync(1);
    expect(await outcome).toMatchObject({
      code: 'LINK_PARKED',
      message: 'no connection to the cluster: the API server is on holiday',
      cause: reason,
      hint: expect.stringContaining('kt status') as string,
    });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(world.attempts - before).toBeGreaterThanOrEqual(9);
    expect(world.attempts - before).toBeLessThanOrEqual(21);
    expect(new Set(world.changes)).toEqual(new Set([`retry: ${reason.message}`]));
  });

  test('hurry: the line is back, so the next attempt is now', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const world = makePool();
    world.failure = reason;
    const acquired = world.pool.acquire();
    await vi.advanceTimersByTimeAsync(5_000);
    world.failure = undefined;
    const { attempts } = world;
    world.pool.hurry();
    expect(await acquired).toBe(world.made[0]);
    expect(world.attempts).toBeLessThanOrEqual(attempts + 2);
  });

  test('parkMs 0 fails at once, with the reason that is known', async () => {
    const world = makePool({ parkMs: 0 });
    await expect(world.pool.acquire()).rejects.toMatchObject({
      code: 'LINK_PARKED',
      message: 'no connection to the cluster',
    });
    await world.pool.start();
    const [link] = world.made as [Link];
    world.failure = reason;
    await world.until(() => world.changes.length > 1);
    link.close(new KtError('LINK_DEAD', 'silent'));
    for (const one of world.made) one.close(new KtError('LINK_DEAD', 'silent'));
    await expect(world.pool.acquire()).rejects.toMatchObject({ code: 'LINK_PARKED', message: /: silent$/ });
  });

  test('4,096 dials wait at most', async () => {
    const world = makePool();
    world.gate = new Promise(() => undefined);
    const parked = Array.from({ length: 4_096 }, () => world.pool.acquire().catch((error: unknown) => error));
    await expect(world.pool.acquire()).rejects.toMatchObject({ code: 'LINK_PARKED' });
    world.pool.close();
    expect(new Set((await Promise.all(parked)).map((error) => (error as KtError).code))).toEqual(
      new Set(['LINK_LOST']),
    );
  });

  test('cancelled, before and meanwhile: the place is free again', async () => {
    const world = makePool();
    world.gate = new Promise(() => undefined);
    await expect(world.pool.acquire(AbortSignal.abort())).rejects.toMatchObject({ code: 'CANCELLED' });
    const cancel = new AbortController();
    const parked = world.pool.acquire(cancel.signal);
    cancel.abort();
    await expect(parked).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('a link is lost', () => {
  test('the spare takes over at once, and a new spare is made', async () => {
    const world = makePool();
    await world.pool.start();
    await world.until(() => world.changes.includes('spare'));
    const [first, second] = world.made as [Link, Link];
    const stream = first.openStream(target);
    const other = second.openStream(target);
    first.close(new KtError('LINK_DEAD', 'silent'));
    expect(await failure(stream)).toMatchObject({ code: 'LINK_DEAD' });
    expect(await world.pool.acquire()).toBe(second);
    await world.until(() => world.changes.length === 3);
    expect(world.changes).toEqual(['up', 'spare', 'spare']);
    expect([other.destroyed, world.pool.links.length]).toEqual([false, 2]);
  });

  test('both: down with the reason, then up', async () => {
    const world = makePool();
    await world.pool.start();
    await world.until(() => world.changes.includes('spare'));
    agent.server.close();
    await world.until(() => world.changes.some((change) => change.startsWith('retry')));
    expect(world.changes[2]).toMatch(/^down: .*closed/);
    expect(world.pool.up).toBe(false);
    const parked = world.pool.acquire();
    agent = await startAgent();
    await world.until(() => world.changes.filter((change) => change === 'up').length === 2);
    expect(await parked).toBe(world.made[2]);
  });

  test('one that is lost before its maker could give it away counts as a failed attempt', async () => {
    const world = makePool({
      connect: async (hooks, signal) => {
        const link = await agent.connect(hooks, signal);
        link.close(new KtError('LINK_LOST', 'too short a life'));
        return link;
      },
    });
    await expect(world.pool.start()).rejects.toMatchObject({ code: 'LINK_LOST' });
    expect(world.pool.up).toBe(false);
  });
});

describe('a link is replaced', () => {
  test('drain: no new streams on it, open ones go on, it closes after the last one', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const world = makePool();
    await world.pool.start();
    await world.until(() => world.changes.includes('spare'));
    const old = world.made.slice(0, 2) as [Link, Link];
    const stream = old[0].openStream(target);
    await old[0].ping();
    agent.server.drain();
    await world.until(() => world.made.length === 4 && world.pool.links.length === 2);
    expect(world.pool.links).toEqual(world.made.slice(2));
    expect(old).not.toContain(await world.pool.acquire());
    vi.advanceTimersByTime(1_000);
    expect([old[0].closed, old[1].closed, stream.destroyed]).toEqual([false, true, false]);
    stream.destroy();
    vi.advanceTimersByTime(1_000);
    expect(old[0].closed).toBe(true);
    expect(world.changes.filter((change) => change.startsWith('down'))).toEqual([]);
  });

  test('drain, where the agent opens streams too: callers still come to it, so it ends with its agent', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const world = makePool({ inbound: true });
    await world.pool.start();
    await world.until(() => world.changes.includes('spare'));
    const old = world.made.slice(0, 2);
    agent.server.drain();
    await world.until(() => world.pool.links.length === 2 && world.made.length === 4);
    vi.advanceTimersByTime(60_000);
    expect(old.map(({ closed }) => closed)).toEqual([false, false]);
    expect(old[0]?.full).toBe(false);
  });

  test('one that was told to drain while it was opened', async () => {
    let first = true;
    const world = makePool({
      connect: async (hooks, signal) => {
        const link = await agent.connect(hooks, signal);
        world.made.push(link);
        if (first) link.draining = true;
        first = false;
        return link;
      },
    });
    await world.pool.start();
    await world.until(() => world.pool.links.length === 2);
    expect(world.pool.links).toEqual(world.made.slice(1));
  });

  test('after 55 minutes, one at a time, and only while there is another', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const world = makePool();
    await world.pool.start();
    await world.until(() => world.changes.includes('spare'));
    const old = world.made.slice(0, 2) as [Link, Link];
    for (const link of old) Object.assign(link, { openedAt: Date.now() - 56 * 60_000 });
    vi.advanceTimersByTime(30_000);
    expect(world.pool.links).toEqual([old[1]]);
    await world.until(() => world.pool.links.length === 2);
    vi.advanceTimersByTime(30_000);
    expect(world.pool.links).toEqual([world.made[2]]);
    await world.until(() => world.pool.links.length === 2);
    vi.advanceTimersByTime(1_000);
    expect(old.map(({ closed }) => closed)).toEqual([true, true]);
    vi.advanceTimersByTime(300_000);
    expect(world.pool.links).toEqual(world.made.slice(2));
  });
});

describe('the end', () => {
  test('links close, dials that park fail, nothing is made any more', async () => {
    const world = makePool();
    await world.pool.start();
    await world.until(() => world.changes.includes('spare'));
    const stream = world.made[0]?.openStream(target);
    world.pool.close();
    world.pool.close();
    expect(world.made.every(({ closed }) => closed)).toBe(true);
    if (stream) expect(await failure(stream)).toMatchObject({ code: 'LINK_LOST', message: 'the session ended' });
    await expect(world.pool.acquire()).rejects.toMatchObject({ code: 'LINK_LOST' });
    await turns(50);
    expect([world.attempts, world.changes]).toEqual([2, ['up', 'spare']]);
  });

  test('an attempt that is under way is given up', async () => {
    const world = makePool();
    let given = false;
    world.gate = new Promise(() => undefined);
    const parked = world.pool.acquire();
    const starting = expect(parked).rejects.toMatchObject({ code: 'LINK_LOST' });
    world.pool.close();
    await starting;
    await turns(50);
    given = world.made.length > 0;
    expect([given, world.attempts]).toEqual([false, 1]);
  });

  test('a link that comes too late is closed', async () => {
    let late: Link | undefined;
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const world = makePool({
      connect: async (hooks) => {
        late = await agent.connect(hooks);
        await gate;
        return late;
      },
    });
    const starting = expect(world.pool.start()).rejects.toMatchObject({ code: 'CANCELLED' });
    while (!late) await turns(1);
    world.pool.close();
    open();
    await starting;
    expect(late.closed).toBe(true);
  });
});
