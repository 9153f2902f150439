// The pictures of the docs are made from the real screen; this says when they show what it does not show any more.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { wordsOf } from '../support/picture.ts';
import { takePictures } from '../support/pictures.ts';

vi.setConfig({ testTimeout: 60_000 });

test('docs/pictures are as the screen is now: node scripts/pictures.ts writes them', async () => {
  const pictures = await takePictures();
  expect(readdirSync('docs/pictures').toSorted((one, other) => one.localeCompare(other))).toEqual(
    pictures.map(({ name }) => `${name}.svg`).toSorted((one, other) => one.localeCompare(other)),
  );
  for (const { name, svg } of pictures)
    expect(wordsOf(readFileSync(`docs/pictures/${name}.svg`, 'utf8')), name).toBe(wordsOf(svg));
});

test('every picture is used, and every one that is used is there', () => {
  const used = ['README.md', 'docs/screen.md', 'docs/ide.md']
    .map((file) => readFileSync(file, 'utf8'))
    .flatMap((text) => [...text.matchAll(/pictures\/([a-z]+\.svg)/g)].map((match) => match[1] ?? ''));
  expect([...new Set(used)].toSorted((one, other) => one.localeCompare(other))).toEqual(
    readdirSync('docs/pictures').toSorted((one, other) => one.localeCompare(other)),
  );
});
