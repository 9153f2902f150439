// Must: a program under `kt run` decides how it ends and how long that takes: kt passes the signal on and waits. The built kt on a playground.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { PlaygroundKt } from '../support/playground-kt.ts';

/** Milliseconds: longer than helpers that start programs leave them by default (5 s), as a graceful shutdown of Spring. */
const SHUTDOWN_MS = 6_000;
const PROGRAM = `process.on('SIGTERM', () => setTimeout(() => { console.log('in order'); process.exit(3); }, ${SHUTDOWN_MS}));
setInterval(() => 1, 1000); console.log('runs');`;

let kt: PlaygroundKt;
beforeAll(async () => {
  kt = await PlaygroundKt.open();
});
afterEach(() => kt.stopAll());
afterAll(() => kt.close());

test('a graceful shutdown that takes long ends in its own time', async () => {
  const running = kt.start(['run', '--', process.execPath, '-e', PROGRAM]);
  await expect.poll(() => running.stdout, { timeout: 15_000 }).toContain('runs');
  running.child.kill('SIGTERM');
  expect((await running.exited).code).toBe(3);
  expect(running.stdout).toContain('in order');
}, 30_000);
