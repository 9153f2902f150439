import { expect, test } from 'vitest';
import type { RecordType, ResolveAnswer } from '../../../src/netstack/dialer.ts';
import {
  ABSENT_MS,
  AnswerCache,
  ASKING_MAX,
  ENTRIES_MAX,
  KEPT_MAX_MS,
  KEPT_RECORDS_MAX,
} from '../../../src/netstack/dns/cache.ts';

/** A cluster's DNS that counts. */
class Source {
  asked = 0;
  answer: ResolveAnswer = { found: true, records: [] };
  failure: Error | undefined;
  gate: Promise<void> = Promise.resolve();

  async resolve(_name: string, _type: RecordType): Promise<ResolveAnswer> {
    this.asked += 1;
    await this.gate;
    if (this.failure) throw this.failure;
    return this.answer;
  }

  gives(count: number, ttl: number): this {
    const record = (index: number): ResolveAnswer['records'][number] => ({
      type: 'A',
      name: 'a',
      ttl,
      data: `10.0.0.${index}`,
    });
    this.answer = { found: true, records: Array.from({ length: count }, (_, index) => record(index)) };
    return this;
  }
}
const now = (): number => performance.now();

test('an answer is kept for its TTL, by name and type, and its TTL runs down', async () => {
  const source = new Source().gives(1, 5);
  const cache = new AnswerCache(source);
  await cache.resolve('a', 'A');
  expect((await cache.resolve('a', 'A', now() + 3_000)).records[0]?.ttl).toBe(2);
  expect(source.asked).toBe(1);
  await cache.resolve('a', 'AAAA');
  expect(source.asked).toBe(2);
  await cache.resolve('a', 'A', now() + 5_001);
  expect(source.asked).toBe(3);
});

test('a long TTL is not believed for long; a TTL of 0 not at all', async () => {
  const source = new Source().gives(1, 86_400);
  const cache = new AnswerCache(source);
  await cache.resolve('a', 'A');
  await cache.resolve('a', 'A', now() + KEPT_MAX_MS + 1);
  expect(source.asked).toBe(2);
  source.gives(1, 0);
  await cache.resolve('b', 'A');
  await cache.resolve('b', 'A', now() + 1);
  expect(source.asked).toBe(4);
});

test('"no such name" and NODATA are kept for a moment', async () => {
  const source = new Source();
  const cache = new AnswerCache(source);
  await cache.resolve('a', 'A');
  await cache.resolve('a', 'A');
  expect(source.asked).toBe(1);
  await cache.resolve('a', 'A', now() + ABSENT_MS + 1);
  expect(source.asked).toBe(2);
});

test('a failure is not kept, and all who asked are told', async () => {
  const source = new Source();
  source.failure = new Error('no link');
  const cache = new AnswerCache(source);
  const results = await Promise.allSettled([cache.resolve('a', 'A'), cache.resolve('a', 'A')]);
  expect(results.map((one) => one.status)).toEqual(['rejected', 'rejected']);
  expect(source.asked).toBe(1);
  source.failure = undefined;
  await cache.resolve('a', 'A');
  expect(source.asked).toBe(2);
});

test('bounded: entries, records of one, questions on their way', async () => {
  const source = new Source().gives(1, 60);
  const cache = new AnswerCache(source);
  for (let index = 0; index < ENTRIES_MAX + 10; index += 1) await cache.resolve(`n${index}`, 'A');
  expect(cache.size).toBe(ENTRIES_MAX);
  source.gives(KEPT_RECORDS_MAX + 1, 60);
  expect((await cache.resolve('large', 'A')).records.length).toBe(KEPT_RECORDS_MAX + 1);
  await cache.resolve('large', 'A');
  expect(source.asked).toBe(ENTRIES_MAX + 12);

  const gate = Promise.withResolvers<void>();
  source.gate = gate.promise;
  const waiting = Array.from({ length: ASKING_MAX }, (_, index) => cache.resolve(`w${index}`, 'A'));
  await expect(cache.resolve('one more', 'A')).rejects.toMatchObject({ code: 'DIAL_FAILED' });
  gate.resolve();
  await Promise.all(waiting);
  await cache.resolve('one more', 'A');
});
