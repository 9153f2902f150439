// Ink and React are in a bundle of their own, which only `kt ui` loads: not on the way of --help, --version, completion or any other command.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const text = (file: string): string => readFileSync(`dist/${file}`, 'utf8');
const chunks = readdirSync('dist/chunks').map((name) => `chunks/${name}`);

/** Files that a file loads as soon as it is loaded. */
const loads = (file: string): string[] =>
  [...text(file).matchAll(/(?:import|from)\s*["']\.{1,2}\/([^"']+\.mjs)["']/g)].map((match) =>
    (match[1] ?? '').replace(/^(?!chunks\/|ui\.mjs|kt\.mjs)/, 'chunks/'),
  );

test('only one chunk asks for the screen, and only when it runs', () => {
  const asking = ['kt.mjs', ...chunks].filter((file) => text(file).includes('ui.mjs'));
  expect(asking).toHaveLength(1);
  expect(asking[0]).toMatch(/^chunks\/ui-/);
  expect(loads(asking[0] ?? '')).not.toContain('ui.mjs');
});

test('no other file than the screen has React in it', () => {
  expect(['kt.mjs', ...chunks].filter((file) => text(file).includes('react.transitional.element'))).toEqual([]);
  expect(text('ui.mjs')).toContain('react.transitional.element');
});
