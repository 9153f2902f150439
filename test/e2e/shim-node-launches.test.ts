// Must: the ways in which Node programs are started: each reaches a name and an address of the cluster, and without kt neither. By the environment that
// `kt run` gives, against a broker with a pretend cluster. Needs npm's registry, no cluster. Workers, cluster and --permission are in
// node-versions.test.ts, NestJS in run-apps.test.ts.
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type ShimWorld, shimWorld } from '../support/shim-world.ts';
import { ANSWERS, said, URLS } from './support/asked.ts';
import { curl, execute } from './support/kt.ts';

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
  writeFileSync(join(pnp, '.yarnrc.yml'), 'enableTelemetry: false\nenableGlobalCache: false\nnodeLinker: pnp\n');
  writeFileSync(join(pnp, 'yarn.lock'), '');
  const linked = await run(['node', berry(), 'install'], world.bare(), pnp);
  expect(linked.code, linked.stdout).toBe(0);
}, 300_000);
afterAll(async () => {
  await world?.stop();
  await rm(folder, { recursive: true, force: true });
});

const berry = (): string => join(folder, 'node_modules/@yarnpkg/cli-dist/bin/yarn.js');
const variables = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({ ...env, PATH: path, ASK: URLS.join(' ') });

function start([file = '', ...args]: readonly string[], env: NodeJS.ProcessEnv, cwd: string): ChildProcess {
  return spawn(file, args, { cwd, env: variables(env), stdio: ['ignore', 'pipe', 'pipe'], detached: true });
}

async function run(command: readonly string[], env: NodeJS.ProcessEnv, cwd = folder) {
  const child = start(command, env, cwd);
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (piece: Buffer) => (stdout += String(piece)));
  child.stderr?.on('data', (piece: Buffer) => (stderr += String(piece)));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stdout, stderr };
}

test.each<[string, string[]]>([
  ['node with a module', ['node', 'ask.mjs']],
  ['node with CommonJS', ['node', 'ask.cjs']],
  ['node with TypeScript', ['node', 'ask.ts']],
  ['node --run', ['node', '--run', 'ask']],
  ['npm run', ['npm', 'run', '-s', 'ask']],
  ['npx tsx', ['npx', '--no-install', 'tsx', 'ask.ts']],
  ['tsx', ['tsx', 'ask.ts']],
  ['node --import tsx', ['node', '--import', 'tsx', 'ask.ts']],
  ['pnpm run', ['pnpm', 'run', '--silent', 'ask']],
  ['pnpm exec', ['pnpm', 'exec', 'node', 'ask.mjs']],
  ['yarn 1', ['node', 'node_modules/yarn/bin/yarn.js', '--silent', 'run', 'ask']],
])('%s', { timeout: 60_000 }, async (_, command) => {
  const under = await run(command, world.environment());
  expect(said(under), under.stderr).toEqual(ANSWERS);
  expect(under.code).toBe(0);
  const without = await run(command, world.bare());
  expect(said(without), without.stderr).toEqual(URLS.map((url) => expect.stringMatching(`^${url} ! `)));
});

test('yarn 4 with PnP', async () => {
  const command = ['node', berry(), 'node', 'ask.cjs'];
  const under = await run(command, world.environment(), join(folder, 'pnp'));
  expect(said(under), under.stdout + under.stderr).toEqual(ANSWERS);
  const without = await run(command, world.bare(), join(folder, 'pnp'));
  expect(said(without)).toEqual(URLS.map((url) => expect.stringMatching(`^${url} ! `)));
});

/** A program that stays, with what it says; ended with all that it started. */
function stays(command: readonly string[], env: NodeJS.ProcessEnv): () => string {
  const child = start(command, env, folder);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (piece: Buffer) => (text += String(piece)));
  onTestFinished(() => {
    if (child.exitCode === null) process.kill(-(child.pid ?? 0), 'SIGKILL');
  });
  return () => text;
}

describe('started anew when a file was saved', () => {
  test.each([
    ['node --watch', ['node', '--watch', 'watched.mjs']],
    ['tsx watch', ['tsx', 'watch', '--clear-screen=false', 'watched.mjs']],
    ['nodemon', ['nodemon', '--quiet', 'watched.mjs']],
  ])('%s', { timeout: 60_000 }, async (_, command) => {
    const text = stays(command, world.environment());
    const answers = (): string[] => said({ code: 0, stdout: text(), stderr: '' });
    await expect.poll(answers, { timeout: 20_000 }).toEqual(ANSWERS);
    const now = new Date();
    utimesSync(join(folder, 'watched.mjs'), now, now);
    await expect.poll(answers, { timeout: 20_000 }).toEqual([...ANSWERS, ...ANSWERS]);
  });
});

test('vite passes requests on to the cluster', { timeout: 60_000 }, async () => {
  const port = 20_000 + (process.pid % 20_000);
  const text = stays(['vite', '--port', String(port), '--strictPort'], world.environment());
  for (const at of URLS.keys()) {
    const ask = async (): Promise<string> => (await curl(`http://127.0.0.1:${port}/api${at}`)).stdout;
    await expect.poll(ask, { timeout: 20_000 }).toContain('"service":"orders"');
  }
  expect(text()).not.toContain('kt:');
});
