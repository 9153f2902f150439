// Must: the ways in which Node programs are started: each reaches a name and an address of the cluster, and without kt neither. By the environment that
// `kt run` gives, against a broker with a pretend cluster. Needs npm's registry, no cluster. What a program does once it runs is in
// test/shims/node.test.ts, the lines of Node in node-versions.test.ts, NestJS in the real cluster in run-apps.test.ts.
import { cpSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Outcome, runProgram } from '../support/run-program.ts';
import { type ShimWorld, shimWorld } from '../support/shim-world.ts';
import { ANSWERS, said, URLS } from './support/asked.ts';
import { curl, execute } from './support/kt.ts';
import { startWatched, type Watched } from './support/watched.ts';

let world: ShimWorld;
let folder: string;
let path: string;

beforeAll(async () => {
  world = await shimWorld();
  folder = await mkdtemp(join(tmpdir(), 'kt node launches '));
  cpSync('test/fixtures/node-launches', folder, { recursive: true });
  // The pinned Node, the project's tools, then the machine's.
  path = [dirname(process.execPath), join(folder, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter);
  const flags = ['install', '--no-audit', '--no-fund', '--no-package-lock', '--prefix', folder];
  const done = await execute('npm', flags, { timeoutMs: 240_000, env: { ...process.env, PATH: path } });
  expect(done, done.stderr).toMatchObject({ code: 0 });
  // It would install what npm has installed.
  writeFileSync(join(folder, 'pnpm-workspace.yaml'), 'verifyDepsBeforeRun: false\n');
  const pnp = join(folder, 'pnp');
  const settings = [
    'enableTelemetry: false',
    'enableGlobalCache: false',
    'nodeLinker: pnp',
    'pnpEnableEsmLoader: true',
  ];
  writeFileSync(join(pnp, '.yarnrc.yml'), `${settings.join('\n')}\n`);
  writeFileSync(join(pnp, 'yarn.lock'), '');
  const linked = await run([...berry(), 'install'], world.bare(), pnp);
  expect(linked.code, linked.stdout).toBe(0);
}, 300_000);
afterAll(async () => {
  await world?.stop();
  await rm(folder, { recursive: true, force: true });
});

const berry = (): string[] => ['node', join(folder, 'node_modules/@yarnpkg/cli-dist/bin/yarn.js')];
const variables = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({ ...env, PATH: path, ASK: URLS.join(' ') });

/** By a shell's rules for PATH, which is the program's own. */
function run([file = '', ...args]: readonly string[], env: NodeJS.ProcessEnv, cwd = folder): Promise<Outcome> {
  return runProgram(file, args, variables(env), cwd);
}

async function expectBoth(command: readonly string[], cwd = folder, base: NodeJS.ProcessEnv = {}): Promise<void> {
  const under = await run(command, world.environment(base), cwd);
  expect(said(under), under.stdout + under.stderr).toEqual(ANSWERS);
  expect(under.code).toBe(0);
  const without = await run(command, { ...world.bare(), ...base }, cwd);
  const failed = URLS.map((url) => expect.stringMatching(`^${url} ! `) as string);
  expect(said(without), without.stdout + without.stderr).toEqual(failed);
}

test.each<[string, string[]]>([
  ['node with a module', ['node', 'ask.mjs']],
  ['node with CommonJS', ['node', 'ask.cjs']],
  ['node with TypeScript', ['node', 'ask.ts']],
  ['node -e', ['node', '-e', "import('./ask.mjs')"]],
  ['node --run', ['node', '--run', 'ask']],
  ['node --test', ['node', '--test', '--test-reporter=spec', 'ask.test.mjs']],
  ['a worker thread', ['node', 'worker.mjs']],
  ['the worker of a cluster', ['node', 'cluster.cjs']],
  ['a child process', ['node', 'child.cjs']],
  ['npm run', ['npm', 'run', '-s', 'ask']],
  ['npm run, which runs npm run', ['npm', 'run', '-s', 'nested']],
  ['npx tsx', ['npx', '--no-install', 'tsx', 'ask.ts']],
  ['tsx', ['tsx', 'ask.ts']],
  ['node --import tsx', ['node', '--import', 'tsx', 'ask.ts']],
  ['pnpm run', ['pnpm', 'run', '--silent', 'ask']],
  ['pnpm exec', ['pnpm', 'exec', 'node', 'ask.mjs']],
  ['yarn 1', ['node', 'node_modules/yarn/bin/yarn.js', '--silent', 'run', 'ask']],
  ['nest start', ['nest', 'start']],
  ['vitest with processes', ['vitest', 'run', '--pool=forks']],
  ['vitest with threads', ['vitest', 'run', '--pool=threads']],
])('%s', { timeout: 60_000 }, (_, command) => expectBoth(command));

test('--permission, with the shims to read', () =>
  expectBoth(['node', '--permission', `--allow-fs-read=${world.shims}/*`, `--allow-fs-read=${folder}/*`, 'ask.mjs']));

test("the user's options in NODE_OPTIONS", () =>
  expectBoth(['node', 'ask.mjs'], folder, { NODE_OPTIONS: '--import tsx --max-old-space-size=128' }));

test.each([
  ['node', ['node', 'ask.cjs']],
  ['node with a module', ['node', 'ask.mjs']],
  ['a script', ['run', 'ask']],
])('yarn 4 with PnP: %s', { timeout: 60_000 }, (_, args) => expectBoth([...berry(), ...args], join(folder, 'pnp')));

/** A program that stays; ended with all that it started. */
function stays(command: readonly string[], env: NodeJS.ProcessEnv): Watched {
  const program = startWatched(command, { env: variables(env), cwd: folder });
  onTestFinished(() => program.stop());
  return program;
}

describe('started anew when a file was saved', () => {
  test.each([
    ['node --watch', ['node', '--watch', 'watched.mjs'], 'watched.mjs'],
    ['tsx watch', ['tsx', 'watch', '--clear-screen=false', 'watched.mjs'], 'watched.mjs'],
    ['nodemon', ['nodemon', '--quiet', 'watched.mjs'], 'watched.mjs'],
    ['vitest watch', ['vitest', 'watch'], 'ask.test.mjs'],
  ])('%s', { timeout: 60_000 }, async (_, command, file) => {
    const program = stays(command, world.environment());
    const answers = (): string[] => said(program.outcome());
    await expect.poll(answers, { timeout: 20_000 }).toEqual(ANSWERS);
    const now = new Date();
    utimesSync(join(folder, file), now, now);
    await expect.poll(answers, { timeout: 20_000 }).toEqual([...ANSWERS, ...ANSWERS]);
  });
});

test.each([
  ['passes requests on to the cluster', () => world.environment(), '"service":"orders" 200'],
  ['can not without kt', () => world.bare(), ' 502'],
])("vite's proxy %s", { timeout: 60_000 }, async (_, env, expected) => {
  const program = stays(['vite', '--port', '0'], { ...env(), NO_COLOR: '1' });
  const url = await program.until(/Local:\s+(http:\S+)\//);
  for (const at of URLS.keys()) {
    const { stdout } = await curl('-w', ' %{http_code}', `${url}/api${at}`);
    expect(stdout.replace(/,.*\}/, '')).toContain(expected);
  }
  expect(program.outcome().stderr).not.toContain('kt:');
});
