// Must: what Maven starts reaches the cluster (the launch table): the test JVMs of surefire and failsafe, exec:java and exec:exec, with Maven 3.8,
// 3.9 and 4, on JDK 17 and every newer one. Without kt the same build fails, and fetches what Maven needs. Against a broker with a pretend cluster;
// other launches are shim-launches.test.ts.
import { copyFileSync, cpSync, mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Outcome, runProgram } from '../support/run-program.ts';
import { type ShimWorld, shimWorld } from '../support/shim-world.ts';
import { ANSWERS, said, URLS } from './support/asked.ts';
import { findJdks } from './support/jdks.ts';
import { execute } from './support/kt.ts';

const jdks = findJdks();
const home17 = jdks.find(({ feature }) => feature === 17)?.home ?? '';
const OTHER_MAVENS = ['3.9.16', '4.0.0-rc-5'];
let world: ShimWorld;
let folder: string;
let project: string;

/** Unpacks a distribution of Maven from its repository. */
async function maven(version: string): Promise<void> {
  const artifact = `org.apache.maven:apache-maven:${version}:tar.gz:bin`;
  const get = ['-q', '-B', 'dependency:get', `-Dartifact=${artifact}`, '-Dtransitive=false'];
  const got = await execute('mvn', get, { timeoutMs: 120_000 });
  expect(got, got.stdout).toMatchObject({ code: 0 });
  const file = `.m2/repository/org/apache/maven/apache-maven/${version}/apache-maven-${version}-bin.tar.gz`;
  expect(await execute('tar', ['-xzf', join(homedir(), file), '-C', folder])).toMatchObject({ code: 0 });
}

beforeAll(async () => {
  world = await shimWorld();
  folder = await mkdtemp(join(tmpdir(), 'kt maven '));
  project = join(folder, 'maven app');
  cpSync('test/fixtures/maven-app', project, { recursive: true });
  mkdirSync(join(project, 'src/main/java'), { recursive: true });
  copyFileSync('test/fixtures/launches/Ask.java', join(project, 'src/main/java/Ask.java'));
  for (const version of OTHER_MAVENS) await maven(version);
}, 300_000);
afterAll(async () => {
  await world?.stop();
  await rm(folder, { recursive: true, force: true });
});

const run = (command: string, goals: readonly string[], env: NodeJS.ProcessEnv, home: string): Promise<Outcome> =>
  runProgram(command, ['-q', '-B', '-f', project, ...goals], {
    ...env,
    HOME: homedir(),
    JAVA_HOME: home,
    ASK: URLS.join(' '),
  });

const SUREFIRE = ['test'];
const FAILSAFE = ['verify', '-Dtest=None', '-Dsurefire.failIfNoSpecifiedTests=false'];
test.each<[string, string, string[], string]>([
  ['surefire', 'mvn', SUREFIRE, home17],
  ['failsafe', 'mvn', FAILSAFE, home17],
  ...OTHER_MAVENS.map((version): [string, string, string[], string] => [
    `surefire by Maven ${version}`,
    `apache-maven-${version}/bin/mvn`,
    SUREFIRE,
    home17,
  ]),
  ...jdks
    .filter(({ feature }) => feature > 17)
    .map(({ feature, home }): [string, string, string[], string] => [
      `surefire on JDK ${feature}`,
      'mvn',
      SUREFIRE,
      home,
    ]),
])('%s: the tests talk to the cluster', { timeout: 240_000 }, async (_, command, goals, home) => {
  const file = command.includes('/') ? join(folder, command) : command;
  const without = await run(file, goals, world.bare(), home);
  expect(without.code).not.toBe(0);
  expect(without.stdout).toMatch(/orders\.shop\/ ! UnknownHostException/);
  const under = await run(file, goals, world.environment(), home);
  expect(under.code, under.stdout + under.stderr).toBe(0);
});

test.each([
  ['exec:java, in the JVM of Maven', ['exec:java', '-Dexec.mainClass=Ask', `-Dexec.args=${URLS.join(' ')}`]],
  [
    'exec:exec, in a JVM beside it',
    ['exec:exec', '-Dexec.executable=java', `-Dexec.args=-cp %classpath Ask ${URLS.join(' ')}`],
  ],
])('%s', { timeout: 120_000 }, async (_, goals) => {
  const without = await run('mvn', ['compile', ...goals], world.bare(), home17);
  expect(said(without), without.stdout + without.stderr).toEqual(
    URLS.map((url) => expect.stringMatching(`^${url} ! `)),
  );
  const under = await run('mvn', ['compile', ...goals], world.environment(), home17);
  expect(said(under), under.stdout + under.stderr).toEqual(ANSWERS);
});
