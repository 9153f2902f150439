// Must: kt is killed and started again while a program runs. Its next connection works again; in between it has a clear error at once,
// never a hang. Here with brokers of this process, on every JDK; run-restart.test.ts has kt itself on the cluster.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDialogue } from '../support/dialogue.ts';
import { runProgram } from '../support/run-program.ts';
import { ORDERS, type ShimWorld, shimWorld } from '../support/shim-world.ts';
import { findJdks } from './support/jdks.ts';

const jdks = findJdks();
let classes: string;
beforeAll(async () => {
  classes = await mkdtemp(join(tmpdir(), 'kt-ask-'));
  const home = jdks.find(({ feature }) => feature === 17)?.home ?? '';
  const env = { PATH: process.env['PATH'] };
  const source = 'test/fixtures/ask-again/Ask.java';
  expect(await runProgram(join(home, 'bin/javac'), ['-d', classes, source], env)).toMatchObject({ code: 0 });
});
afterAll(() => rm(classes, { recursive: true }));

describe.each([
  { runtime: 'Node', command: () => [process.execPath, 'test/fixtures/ask-again/ask.mjs'] },
  { runtime: 'Python', command: () => ['python3', 'test/fixtures/ask-again/ask.py'] },
  ...jdks.map(({ feature, home }) => ({
    runtime: `JDK ${feature}`,
    command: () => [join(home, 'bin/java'), '-cp', classes, 'Ask'],
  })),
])('$runtime', ({ command }) => {
  let world: ShimWorld;
  beforeAll(async () => {
    world = await shimWorld();
  });
  afterAll(() => world.stop());

  test('finds the next kt, by name and by address; says once that kt is gone, and once that it is back', async () => {
    const program = startDialogue(command(), { env: world.environment() });
    const [byName, byAddress] = ['http://orders.shop.svc/', `http://${ORDERS}/`];
    expect(await program.ask(byName)).toContain('"service":"orders"');
    await world.kill();
    expect(await program.ask(byAddress)).toMatch(/^! /);
    // Not asked for before. That it could not be looked up must not be remembered (a JVM would, for 10 seconds).
    const another = 'http://orders.shop.svc.cluster.local/';
    expect(await program.ask(another)).toMatch(/^! .*orders\.shop\.svc\.cluster\.local/);
    expect(await program.ask(`http://127.0.0.1:${world.publicPort}/`)).toBe('= outside');
    await world.restart();
    expect(await program.ask(another)).toContain('"service":"orders"');
    expect(await program.ask(byAddress)).toContain('"service":"orders"');
    // Twice: what was learned of the second one is forgotten too.
    await world.kill();
    await world.restart();
    expect(await program.ask(byName)).toContain('"service":"orders"');
    expect(await program.end()).toBe(0);
    const said = program
      .stderr()
      .split('\n')
      .filter((line) => line.startsWith('kt: '));
    expect(said).toEqual([expect.stringMatching(/^kt: kt is not running \(127\.0\.0\.1:/), 'kt: kt is running again']);
    // It introduced itself to each of them.
    expect(world.programs.length).toBe(3);
  });
});
