import { expect, test } from 'vitest';
import { ABSENT_MS, AskedNames, KNOWN_MS, NAMES_MAX } from '../../../src/netstack/route/asked-names.ts';

test('what the cluster has is believed for long, what it has not for a moment', () => {
  const names = new AskedNames();
  names.set('vault.locked', true, 0);
  names.set('web.dev', false, 0);
  expect(names.get('vault.locked', KNOWN_MS - 1)).toBe(true);
  expect(names.get('vault.locked', KNOWN_MS)).toBeUndefined();
  expect(names.get('web.dev', ABSENT_MS - 1)).toBe(false);
  expect(names.get('web.dev', ABSENT_MS)).toBeUndefined();
  expect(names.size).toBe(0);
});

test('bounded: the longest unused goes first', () => {
  const names = new AskedNames();
  for (let index = 0; index < NAMES_MAX; index += 1) names.set(`n${index}`, true, 0);
  names.get('n0', 0);
  names.set('one more', true, 0);
  expect(names.size).toBe(NAMES_MAX);
  expect(names.get('n0', 0)).toBe(true);
  expect(names.get('n1', 0)).toBeUndefined();
});

test('forget', () => {
  const names = new AskedNames();
  names.set('a', true);
  names.forget('a');
  expect(names.get('a')).toBeUndefined();
});
