// The rules of ARCHITECTURE.md that a machine can check: who may import whom, what is sans-io, how long a file may be,
// a header in every module, every error code in docs/errors.md.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../src/errors.ts';

const files = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|tsx|cjs|mjs|java|py|c|h)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));

const sources = files('src');
const importsOf = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
const roomOf = (file: string): string => {
  const [, room = ''] = relative('.', file).split(/[\\/]/);
  return room.endsWith('.ts') ? 'root' : room;
};

// room → rooms it may import; `root` holds errors.ts and assets.ts, which everybody may use.
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  root: ['root'],
  netstack: ['netstack', 'root'],
  cluster: ['cluster', 'netstack', 'root'],
  agent: ['agent', 'netstack', 'root'],
  session: ['session', 'cluster', 'netstack', 'root'],
  modes: ['modes', 'session', 'cluster', 'netstack', 'playground', 'root'],
  playground: ['playground', 'netstack', 'root'],
  ui: ['ui', 'session', 'root'],
  cli: ['cli', 'ui', 'modes', 'session', 'cluster', 'root'],
};

const byName = (a: string | undefined, b: string | undefined): number => (a ?? '').localeCompare(b ?? '');

describe('architecture', () => {
  test('imports follow the arrows', () => {
    const wrong = sources.flatMap((file) =>
      importsOf(file)
        .filter((name) => name.startsWith('.'))
        .map((name) => roomOf(normalize(join(dirname(file), name))))
        .filter((room) => !ARROWS[roomOf(file)]?.includes(room))
        .map((room) => `${file} → ${room}`),
    );
    expect(wrong).toEqual([]);
  });

  test('no imports go in a circle', () => {
    const graph = new Map(
      sources.map((file) => [
        file,
        importsOf(file)
          .filter((name) => name.startsWith('.'))
          .map((name) => normalize(join(dirname(file), name))),
      ]),
    );
    // Those that nobody left imports, or that import nobody left, are in no circle.
    let before = -1;
    while (before !== graph.size) {
      before = graph.size;
      const imported = new Set([...graph.values()].flat());
      for (const [file, names] of graph)
        if (!imported.has(file) || !names.some((name) => graph.has(name))) graph.delete(file);
    }
    expect([...graph.keys()]).toEqual([]);
  });

  test('codecs and machines are sans-io', () => {
    const wrong = sources
      .filter((file) => /\.(codec|machine)\.ts$/.test(file))
      .flatMap((file) =>
        importsOf(file)
          .filter((name) => /^(node:(net|http|https|http2|tls|dgram|dns)|ws)(\/|$)/.test(name))
          .map((name) => `${file}: ${name}`),
      );
    expect(wrong).toEqual([]);
  });

  test('no file is longer than 400 lines', () => {
    const long = [...sources, ...files('shims'), ...files('test').filter((file) => !file.includes('fixtures'))].filter(
      (file) => readFileSync(file, 'utf8').split('\n').length > 401,
    );
    expect(long).toEqual([]);
  });

  test('every module says what it is', () => {
    expect(sources.filter((file) => !/^(#!.*\n)?(\/\/|\/\*)/.test(readFileSync(file, 'utf8')))).toEqual([]);
  });

  test('every error code has an entry in docs/errors.md, and no other is there', () => {
    const entries = [...readFileSync('docs/errors.md', 'utf8').matchAll(/^## ([A-Z_]+)$/gm)].map((match) => match[1]);
    expect(entries.toSorted(byName)).toEqual(Object.keys(ERROR_CODES).toSorted(byName));
  });

  test('the pinned Node runs the tests', () => {
    expect(process.versions.node).toMatch(/^24\./);
  });
});
