// Must: kt is killed (SIGKILL) and started again while programs run that were started in its session: their next connections work again,
// in between they have a clear error and do not hang. On the cluster, in a JVM, Node and Python.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Dialogue, startDialogue } from '../support/dialogue.ts';
import { execute, Laptop, UID } from './support/kt.ts';
import { fixture, ktRun } from './support/programs.ts';

const laptop = new Laptop();
const URLS = ['http://orders/', 'http://stock.shop.svc.cluster.local:8080/'];
/** Asked for the first time while kt is away. */
const UNASKED = 'http://gateway.shop/';
let folder: string;
let programs: Record<string, Dialogue>;

beforeAll(async () => {
  folder = await fixture(laptop, 'ask-again');
  expect(await execute('javac', ['-d', folder, join(folder, 'Ask.java')])).toMatchObject({ code: 0 });
});
afterAll(async () => {
  for (const { child } of Object.values(programs ?? {})) child.kill();
  await laptop.close();
});

const start = (...command: string[]): Dialogue =>
  startDialogue(ktRun(laptop, ...command), { uid: UID, gid: UID, cwd: folder, env: laptop.env() });

async function askAll(url: string): Promise<Record<string, string>> {
  const answers = Object.entries(programs).map(async ([name, program]) => [name, await program.ask(url)]);
  return Object.fromEntries(await Promise.all(answers)) as Record<string, string>;
}

test('programs outlive their kt and find the next one', { timeout: 120_000 }, async () => {
  const first = await laptop.connect();
  programs = {
    jvm: start('java', '-cp', '.', 'Ask'),
    node: start(laptop.node, 'ask.mjs'),
    python: start('python3', 'ask.py'),
  };
  for (const url of URLS) {
    for (const answer of Object.values(await askAll(url))) expect(answer).toMatch(/^= .*"service"/);
  }
  await first.stop('SIGKILL');
  for (const url of [...URLS, UNASKED]) {
    for (const answer of Object.values(await askAll(url))) expect(answer).toMatch(/^! /);
  }
  for (const program of Object.values(programs))
    expect(program.stderr()).toContain('kt: kt is not running (127.0.0.1:');
  const second = await laptop.connect();
  for (const url of [UNASKED, ...URLS]) {
    for (const answer of Object.values(await askAll(url))) expect(answer).toMatch(/^= .*"service"/);
  }
  for (const program of Object.values(programs)) {
    expect(program.stderr()).toContain('kt: kt is running again');
    expect(await program.end()).toBe(0);
  }
  await second.stop();
});
