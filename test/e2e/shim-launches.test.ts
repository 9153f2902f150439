// Must: the ways in which Java programs are started (the launch table): each reaches a name and an address of the cluster, and without kt
// neither. By the environment that `kt run` gives, against a broker with a pretend cluster. Needs a JDK 17, Maven and Gradle (which is
// installed where it is not there), no cluster. `mvn spring-boot:run` is in run-spring.test.ts, executable jars in run-apps.test.ts.
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runProgram } from '../support/run-program.ts';
import { type ShimWorld, shimWorld } from '../support/shim-world.ts';
import { ANSWERS, said, URLS } from './support/asked.ts';
import { findJdks } from './support/jdks.ts';
import { needs } from './support/servers.ts';

const home17 = findJdks().find(({ feature }) => feature === 17)?.home ?? '';
const java = join(home17, 'bin/java');
const SOURCE = 'test/fixtures/launches/Ask.java';
let world: ShimWorld;
let folder: string;

beforeAll(async () => {
  await needs({ gradle: 'gradle' });
  world = await shimWorld();
  folder = await mkdtemp(join(tmpdir(), 'kt launches '));
  const must = async (command: string, args: readonly string[]): Promise<void> => {
    expect(await runProgram(join(home17, 'bin', command), args, world.bare())).toMatchObject({ code: 0 });
  };
  await must('javac', ['-d', folder, SOURCE]);
  await must('jar', ['--create', '--file', join(folder, 'ask.jar'), '--main-class', 'Ask', '-C', folder, 'Ask.class']);
  writeFileSync(join(folder, 'arguments'), `-cp "${folder}"\nAsk\n${URLS.join('\n')}\n`);
}, 300_000);
afterAll(async () => {
  await world.stop();
  await rm(folder, { recursive: true, force: true });
});

const twice = [...ANSWERS, ...ANSWERS];

test.each<[string, () => string[], NodeJS.ProcessEnv, unknown[]]>([
  ['java -cp', () => ['-cp', folder, 'Ask', ...URLS], {}, ANSWERS],
  ['java -jar', () => ['-jar', join(folder, 'ask.jar'), ...URLS], {}, ANSWERS],
  ['java @argfile', () => [`@${join(folder, 'arguments')}`], {}, ANSWERS],
  ['java Ask.java', () => [SOURCE, ...URLS], {}, ANSWERS],
  [
    'options in JAVA_TOOL_OPTIONS',
    () => ['-cp', folder, 'Ask', 'property', 'said', ...URLS],
    { JAVA_TOOL_OPTIONS: '-Dsaid="by the user" -Xmx64m' },
    ['http:said = by the user', ...ANSWERS],
  ],
  ['options in JDK_JAVA_OPTIONS', () => ['Ask', ...URLS], { JDK_JAVA_OPTIONS: '-cp "FOLDER" -Xmx64m' }, ANSWERS],
  ['a JVM that starts a JVM', () => ['-cp', folder, 'Ask', 'child', ...URLS], {}, ANSWERS],
  ['the classes loaded anew, as devtools does', () => ['-cp', folder, 'Ask', 'again', ...URLS], {}, twice],
  ['class data sharing off', () => ['-Xshare:off', '-cp', folder, 'Ask', ...URLS], {}, ANSWERS],
])(
  '%s',
  async (_, args, variables, expected) => {
    const base = Object.fromEntries(
      Object.entries(variables).map(([name, value]) => [name, value?.replace('FOLDER', folder)]),
    );
    const under = await runProgram(java, args(), world.environment(base));
    expect(said(under), under.stderr).toEqual(expected);
    const without = await runProgram(java, args(), { ...world.bare(), ...base });
    const failed = expected.map((one) => (typeof one === 'string' ? one : expect.stringMatching(' ! ')));
    expect(said(without), without.stderr).toEqual(failed);
  },
  60_000,
);

test('gradle run: a JavaExec of the distribution, offline and without a daemon', async () => {
  const project = join(folder, 'gradle app');
  cpSync('test/fixtures/gradle-app', project, { recursive: true });
  mkdirSync(join(project, 'src/main/java'), { recursive: true });
  copyFileSync(SOURCE, join(project, 'src/main/java/Ask.java'));
  const home = join(folder, 'gradle home');
  const base = { JAVA_HOME: home17, GRADLE_USER_HOME: home, ASK: URLS.join(' ') };
  const arguments_ = ['--offline', '-q', '-p', project, '--project-cache-dir', join(folder, 'gradle cache'), 'run'];
  const under = await runProgram('gradle', arguments_, world.environment(base));
  expect(said(under), under.stderr + under.stdout).toEqual(ANSWERS);
  // No daemon is left that would keep this session's environment.
  const status = await runProgram('gradle', ['--status'], { ...world.bare(), ...base });
  expect(status.stdout).not.toMatch(/IDLE|BUSY/);
}, 240_000);
