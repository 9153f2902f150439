// What the broker remembers of targets is bounded in time and in number.
import { expect, test } from 'vitest';
import { KNOWN_MAX, KNOWN_MS, KnownTargets } from '../../../src/netstack/broker/known-targets.ts';

const target = (index: number): { host: string; port: number } => ({ host: '198.19.0.1', port: index + 1 });

test('a target is known for a minute after its last success', () => {
  const known = new KnownTargets();
  known.add(target(0), 0);
  expect(known.has(target(0), KNOWN_MS - 1)).toBe(true);
  expect(known.has(target(0), KNOWN_MS)).toBe(false);
  known.add(target(0), KNOWN_MS);
  expect(known.has(target(0), KNOWN_MS + 1)).toBe(true);
  known.forget(target(0));
  expect(known.has(target(0), KNOWN_MS + 1)).toBe(false);
});

test('a port scan pushes out the oldest, and the memory does not grow', () => {
  const known = new KnownTargets();
  for (let index = 0; index < KNOWN_MAX + 10; index += 1) known.add(target(index), index);
  expect(known.size).toBe(KNOWN_MAX);
  expect(known.has(target(9), KNOWN_MAX)).toBe(false);
  expect(known.has(target(10), KNOWN_MAX)).toBe(true);
});
