// What docs show as code is what tests run: the header propagation of docs/exchange.md stands in test/fixtures/propagation, letter by letter.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const DOC = readFileSync('docs/exchange.md', 'utf8');
const blocks = (language: string): string[] =>
  [...DOC.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map((found) => found[1] ?? '');

test.each([
  ['java', 'spring/src/main/java/lane/PassLane.java'],
  ['js', 'node/plain.mjs'],
])('the %s of docs/exchange.md is in the fixture', (language, file) => {
  const found = blocks(language);
  expect(found).toHaveLength(1);
  // Only the test needs it: one application shows both ways.
  const source = readFileSync(`test/fixtures/propagation/${file}`, 'utf8').replace('@Profile("plain")\n', '');
  for (const block of found) expect(source).toContain(block);
});
