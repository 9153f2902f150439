// The journal: off while nobody looks, a ring with its count of what was pushed out, batches, the memory that messages may take.
import { expect, test, vi } from 'vitest';
import type { SessionEvent } from '../../../src/session/events.ts';
import { type JournalBoard, type JournalLimits, TrafficJournal } from '../../../src/session/traffic/journal.ts';
import { Sample } from '../../../src/session/traffic/sample.ts';
import type { InboundRecord, TrafficBatch } from '../../../src/session/traffic/types.ts';

const FACTS = {
  direction: 'in',
  service: 'orders',
  caller: '198.18.0.7:4711',
  rule: '8080-TCP',
  reason: 'exchange: all requests',
  local: 8080,
  protocol: 'http/1.1',
  method: 'GET',
  path: '/',
  host: 'orders',
  status: null,
  answerMs: null,
  upgrade: null,
} as const;

/** A board that somebody can look at. */
class Board implements JournalBoard {
  readonly batches: TrafficBatch[] = [];
  #start: () => () => void = () => () => undefined;
  #stop: (() => void) | undefined;
  greet: () => SessionEvent = () => ({ type: 'ended', reason: '' });
  readonly journal: TrafficJournal;

  constructor(limits?: JournalLimits) {
    this.journal = new TrafficJournal(this, limits);
  }

  emit(event: SessionEvent): void {
    if (event.type === 'traffic') this.batches.push(event);
  }

  whileWatched(start: () => () => void, greet: () => SessionEvent): () => void {
    this.#start = start;
    this.greet = greet;
    return () => undefined;
  }

  look(): void {
    this.#stop = this.#start();
  }

  leave(): void {
    this.#stop?.();
  }

  open(path = '/'): ReturnType<typeof this.journal.open<InboundRecord>> {
    return this.journal.open<InboundRecord>({ ...FACTS, path });
  }

  /** The latest of each record, as a view has them. */
  async seen(batches = 2): Promise<InboundRecord[]> {
    await vi.waitFor(() => expect(this.batches.length).toBeGreaterThanOrEqual(batches));
    const records = new Map<number, InboundRecord>();
    for (const { fresh, records: some } of this.batches) {
      if (fresh) records.clear();
      for (const one of some) records.set(one.id, one as InboundRecord);
    }
    return [...records.values()];
  }
}

test('off while nobody looks; the first batch has what is kept', async () => {
  const board = new Board();
  expect(board.journal.on).toBe(false);
  board.look();
  expect(board.journal.on).toBe(true);
  expect(board.batches).toEqual([{ type: 'traffic', records: [], fresh: true, dropped: 0, limit: 2_000 }]);
  const entry = board.open('/a');
  entry.count(10, 0);
  entry.set({ status: 200 });
  entry.count(0, 20);
  entry.end();
  const [record] = await board.seen();
  expect(record).toMatchObject({ id: 1, path: '/a', state: 'done', status: 200, received: 10, sent: 20, error: null });
  board.leave();
  expect(board.journal.on).toBe(false);
  const before = board.batches.length;
  entry.count(1, 1);
  board.look();
  expect(board.batches.slice(before)).toMatchObject([{ fresh: true, records: [{ id: 1 }] }]);
  expect(board.greet()).toMatchObject({ type: 'traffic', fresh: true, records: [{ id: 1 }] });
});

test('changes of one moment are one batch, with the latest of each', async () => {
  const board = new Board();
  board.look();
  const entries = [board.open('/1'), board.open('/2')];
  for (let turn = 0; turn < 100; turn += 1) for (const entry of entries) entry.count(1, 1);
  expect(await board.seen()).toMatchObject([
    { path: '/1', received: 100 },
    { path: '/2', received: 100 },
  ]);
  expect(board.batches).toHaveLength(2);
});

test('a ring: the eldest go and are counted; what still goes on of them changes nothing', async () => {
  const board = new Board({ records: 3 });
  board.look();
  const first = board.open('/0');
  for (let at = 1; at < 10; at += 1) board.open(`/${at}`);
  first.end();
  const seen = await board.seen();
  expect(seen.map(({ path }) => path)).toEqual(['/7', '/8', '/9']);
  expect(board.batches.at(-1)).toMatchObject({ dropped: 7, limit: 3 });
  expect(board.journal.detail(1)).toBeUndefined();
});

test('many changes are told in several batches', async () => {
  const board = new Board();
  board.look();
  for (let at = 0; at < 1_200; at += 1) board.open();
  await vi.waitFor(() => expect(board.batches).toHaveLength(4));
  expect(board.batches.map(({ records }) => records.length)).toEqual([0, 500, 500, 200]);
});

test('messages have a limit together: those of the eldest records go, the records stay', () => {
  const board = new Board({ keptBytes: 10_000 });
  board.look();
  for (let at = 0; at < 5; at += 1) {
    const entry = board.open(`/${at}`);
    const body = new Sample(4_000);
    body.push(Buffer.alloc(4_000, 'x'));
    entry.request = { line: 'POST / HTTP/1.1', headers: [], headBytes: 100, body };
    entry.end();
  }
  expect([1, 2, 3, 4, 5].map((id) => board.journal.detail(id)?.request?.body.bytes)).toEqual([
    undefined,
    undefined,
    undefined,
    4_000,
    4_000,
  ]);
  expect(board.journal.detail(1)?.record).toMatchObject({ path: '/0', state: 'done' });
});

test('cleared: nothing is left, and what is still open does not come back', async () => {
  const board = new Board();
  board.look();
  const open = board.open('/open');
  board.journal.clear();
  open.count(5, 5);
  board.open('/next');
  expect((await board.seen(3)).map(({ path }) => path)).toEqual(['/next']);
});

test('a connection that counts by itself is asked when its record is made, and once more at its end', () => {
  const board = new Board();
  board.look();
  const entry = board.open();
  let bytes = 1;
  entry.countBy(() => ({ received: bytes, sent: bytes }));
  expect(entry.record).toMatchObject({ received: 1, sent: 1, state: 'open' });
  bytes = 7;
  expect(entry.moved()).toBe(true);
  expect(entry.moved()).toBe(false);
  entry.end('it broke');
  bytes = 9;
  entry.end();
  expect(entry.record).toMatchObject({ received: 7, sent: 7, state: 'failed', error: 'it broke' });
});
