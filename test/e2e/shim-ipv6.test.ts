// A cluster with IPv6 addresses: names that have only them, names that have both kinds, addresses as they are, and a refusal, in every
// runtime. Against a broker of this process; no cluster here has IPv6.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Dialogue, startDialogue } from '../support/dialogue.ts';
import { runProgram } from '../support/run-program.ts';
import { ORDERS_6, REFUSED_6, type ShimWorld, shimWorld } from '../support/shim-world.ts';
import { findJdks } from './support/jdks.ts';

const jdks = findJdks();
let classes: string;
let world: ShimWorld;
beforeAll(async () => {
  world = await shimWorld();
  classes = await mkdtemp(join(tmpdir(), 'kt-ask-'));
  const javac = join(jdks.find(({ feature }) => feature === 17)?.home ?? '', 'bin/javac');
  const compiled = await runProgram(javac, ['-d', classes, 'test/fixtures/ask-again/Ask.java'], world.bare());
  expect(compiled).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await world.stop();
  await rm(classes, { recursive: true });
});

const java = (home: string, ...options: string[]): string[] => [
  join(home, 'bin/java'),
  ...options,
  '-cp',
  classes,
  'Ask',
];

describe.each([
  { runtime: 'Node', command: () => [process.execPath, 'test/fixtures/ask-again/ask.mjs'] },
  { runtime: 'Python', command: () => ['python3', 'test/fixtures/ask-again/ask.py'] },
  ...jdks.flatMap(({ feature, home }) => [
    { runtime: `JDK ${feature}`, command: () => java(home) },
    { runtime: `JDK ${feature} that prefers IPv6`, command: () => java(home, '-Djava.net.preferIPv6Addresses=true') },
  ]),
])('$runtime', ({ command }) => {
  let program: Dialogue;
  beforeAll(() => {
    program = startDialogue(command(), { env: world.environment() });
  });
  afterAll(() => program.end());

  test.each(['http://six/', 'http://six.shop.svc/', 'http://both/', `http://[${ORDERS_6}]/`])('%s', async (url) => {
    expect(await program.ask(url)).toContain('"service":"orders"');
  });

  test('a refusal is one', async () => {
    expect(await program.ask(`http://[${REFUSED_6}]/`)).toMatch(/^! .*(refused|ECONNREFUSED)/i);
  });
});
