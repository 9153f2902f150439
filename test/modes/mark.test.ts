// The forms of a mesh's mark.
import { expect, test } from 'vitest';
import { parseMark } from '../../src/modes/mark.ts';

test.each([
  ['anna', 'VERSION', 'anna'],
  [' anna ', 'VERSION', 'anna'],
  ['X-Dev:anna', 'X-Dev', 'anna'],
  ['X-Dev: anna', 'X-Dev', 'anna'],
  [':anna', 'VERSION', 'anna'],
])('%j', (mark, name, value) => {
  expect(parseMark(mark)).toEqual({ kind: 'header', name, value });
});

test.each([undefined, '', ':', 'X-Dev:', 'X-Dev: '])('%j has a random value', (mark) => {
  const { value } = parseMark(mark) as { value: string };
  expect(value).toMatch(/^[0-9a-f]{6}$/);
});

test.each(['a b:x', 'x:a\nb', '  '])('%j is refused', (mark) => {
  expect(() => parseMark(mark)).toThrow(expect.objectContaining({ code: 'USAGE' }) as Error);
});
