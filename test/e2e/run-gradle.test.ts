// Must: `kt run -- gradle run`, a JavaExec of the distribution's Gradle, reaches the cluster, and is called back from it through `--exchange`.
// What `kt run` gives to Gradle without the command itself is shim-launches.test.ts.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CalledBack } from './support/call-back.ts';
import { findJdks } from './support/jdks.ts';
import { execute, Laptop, UID } from './support/kt.ts';
import { fixture, ktRun, runAs } from './support/programs.ts';
import { needs } from './support/servers.ts';

const laptop = new Laptop();
const shop = new CalledBack(laptop, 'kt-t-gradle');
let project: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  await needs({ gradle: 'gradle' });
  project = await fixture(laptop, 'gradle-app');
  copyFileSync('test/fixtures/launches/Ask.java', join(project, 'src/main/java/Ask.java'));
  await execute('chown', ['-R', `${UID}:${UID}`, project]);
  env = {
    JAVA_HOME: findJdks().find(({ feature }) => feature === 17)?.home,
    GRADLE_USER_HOME: laptop.own('gradle'),
    // The user has no entry in passwd, so the JVM has to be told where home is.
    GRADLE_OPTS: `-Duser.home=${laptop.own('work')}`,
    ASK: 'http://orders/',
  };
  await shop.deploy();
}, 300_000);
afterAll(async () => {
  await laptop.close();
  await shop.remove();
});

test('its program reads from the cluster; without kt it does not', { timeout: 240_000 }, async () => {
  const command = ['gradle', '--offline', '-q', 'run'];
  const without = await runAs(laptop, command, { cwd: project, env });
  expect(without.stdout, without.stderr).toContain('http://orders/ ! UnknownHostException');
  const outcome = await runAs(laptop, ktRun(laptop, ...command), { cwd: project, env });
  expect(outcome.stdout, outcome.stderr).toMatch(/^http:\/\/orders\/ = .*"service":"orders"/m);
  expect(outcome.code).toBe(0);
});

test('a pod calls it back, and its answer comes from the cluster', { timeout: 240_000 }, async () => {
  const command = (): string[] => ['gradle', '--offline', '-q', 'run'];
  const running = await shop.serve({ cwd: project, env, command }, '/');
  expect(running.answer).toContain('"service":"orders"');
  await shop.expectCalledBack(running, '/', 'the laptop asked = {"service":"orders"');
});
