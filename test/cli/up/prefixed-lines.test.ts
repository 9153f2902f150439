// Lines of programs that share a terminal: whole, with their names, bounded, and no faster than the terminal takes them.
import { PassThrough, Writable } from 'node:stream';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { prefixLines } from '../../../src/cli/up/prefixed-lines.ts';

/** What comes out for these chunks. */
async function carried(chunks: readonly Buffer[]): Promise<string> {
  const source = new PassThrough();
  let text = '';
  const sink = new Writable({ decodeStrings: false, write: (chunk, _, done) => ((text += chunk as string), done()) });
  prefixLines(source, 'a | ', sink);
  for (const chunk of chunks) source.write(chunk);
  source.end();
  await new Promise((resolve) => source.once('close', resolve));
  return text;
}

test('lines of both ends, an open last line, empty lines', async () => {
  expect(await carried([Buffer.from('one\ntw'), Buffer.from('o\r\n\nlast')])).toBe(
    'a | one\na | two\na | \na | last\n',
  );
  expect(await carried([])).toBe('');
});

test('property: however it is cut, also within a letter, the lines are the same', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'grapheme' }).map((line) => line.replaceAll(/[\r\n]/g, ''))),
      fc.array(fc.nat(200)),
      async (lines, cuts) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const places = [0, ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length];
        const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
        expect(await carried(chunks)).toBe(lines.map((line) => `a | ${line}\n`).join(''));
      },
    ),
    { numRuns: 200 },
  );
});

test('a line without an end is broken', async () => {
  const text = await carried([Buffer.alloc(200_000, 'x')]);
  expect(text.split('\n').map((line) => line.length)).toEqual([65_540, 65_540, 65_540, 200_000 - 3 * 65_536 + 4, 0]);
});

test('back-pressure: the program waits for the terminal, and goes on when that is gone', async () => {
  const source = new PassThrough();
  const waiting: (() => void)[] = [];
  const sink = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => void waiting.push(done) });
  prefixLines(source, '', sink);
  source.write('one\n');
  await expect.poll(() => source.isPaused()).toBe(true);
  waiting.shift()?.();
  await expect.poll(() => source.isPaused()).toBe(false);
  source.write('two\n');
  await expect.poll(() => source.isPaused()).toBe(true);
  sink.destroy();
  await expect.poll(() => source.isPaused()).toBe(false);
  source.end('three\n');
  await new Promise((resolve) => source.once('close', resolve));
});
