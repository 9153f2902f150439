// Must: the Node shim in every Node line from 18 to 26 that npm brings, with the checks of test/shims/node.test.ts (which runs on the pinned
// one), with --permission, in a cluster of workers, and preloaded beside others. Needs no cluster.
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Outcome, runProgram } from '../support/run-program.ts';
import { ORDERS, type ShimWorld, shimWorld } from '../support/shim-world.ts';
import { execute } from './support/kt.ts';

const LINES = ['18.20.8', '20.20.2', '22.23.3', '26.10.0'] as const;
const PACKAGE = `node-${process.platform}-${process.arch}`;
let world: ShimWorld;
let folder: string;

beforeAll(async () => {
  world = await shimWorld();
  folder = await mkdtemp(join(tmpdir(), 'kt-nodes-'));
  // Each under a name of its own in one project: the platform's package is what npm's `node` would install.
  const packages = LINES.map((version) => `node-${version.split('.')[0]}@npm:${PACKAGE}@${version}`);
  const flags = ['--no-audit', '--no-fund', '--no-save', '--ignore-scripts', '--prefix', folder];
  const done = await execute('npm', ['install', ...flags, ...packages], { timeoutMs: 240_000 });
  expect(done, done.stderr).toMatchObject({ code: 0 });
}, 300_000);
afterAll(async () => {
  await world.stop();
  await rm(folder, { recursive: true });
});

const binary = (version: string): string =>
  join(folder, 'node_modules', `node-${version.split('.')[0]}`, 'bin', 'node');

function checks({ stdout }: Outcome): Record<string, unknown> {
  const lines = stdout.split('\n').filter((line) => line.startsWith('{"check"'));
  return Object.fromEntries(
    lines.map((line) => {
      const { check, ok, error } = JSON.parse(line) as { check: string; ok?: unknown; error?: string };
      return [check, error === undefined ? ok : `! ${error}`];
    }),
  );
}

describe.each(LINES)('Node %s', (version) => {
  test('names, connects, http, fetch, workers, refusals', { timeout: 60_000 }, async () => {
    const outcome = await runProgram(binary(version), ['test/support/node-checks.mjs'], world.environment());
    expect(outcome.stderr).toBe('');
    expect(checks(outcome)).toMatchObject({
      'dns.lookup': { address: ORDERS, family: 4 },
      'dns.lookup all': [{ address: ORDERS, family: 4 }],
      'dns.promises.lookup': { address: ORDERS, family: 4 },
      'dns.resolve4': [ORDERS],
      'dns.resolveSrv': ['orders-0.orders.shop.svc:5432'],
      'dns.reverse': ['orders-0.orders.shop.svc'],
      'localhost is untouched': '127.0.0.1',
      'net.connect by name': `ping ${ORDERS}:7000`,
      'net.connect by address': `ping ${ORDERS}:7000`,
      'a socket used twice': 'twice',
      'http.get': 'orders',
      'http2.connect': 'connected',
      'fetch by name': 'orders',
      'fetch by pod address': 'orders',
      'fetch 20 at once': 20,
      'fetch outside of the cluster': 'outside',
      'worker thread': 'orders',
      'child process': 'orders',
      'refused address': '! ECONNREFUSED',
      'fetch refused': '! ECONNREFUSED',
      'unknown name': '! ENOTFOUND',
    });
  });

  test('in the workers of a cluster', async () => {
    const code = `const cluster = require('node:cluster');
      if (cluster.isPrimary) for (let i = 0; i < 2; i++) cluster.fork();
      else require('node:http').get('http://orders/', (answer) => { console.log(answer.statusCode); process.exit(0); });`;
    // fork() needs a file.
    const file = join(folder, 'cluster.cjs');
    writeFileSync(file, code);
    const outcome = await runProgram(binary(version), [file], world.environment());
    expect([outcome.stdout, outcome.stderr]).toEqual(['200\n200\n', '']);
  });
});

test.each(LINES.filter((version) => Number(version.split('.')[0]) >= 22))(
  'Node %s with --permission: the shims may be read, and the network where that is a permission',
  async (version) => {
    const net = Number(version.split('.')[0]) >= 25 ? ['--allow-net'] : [];
    const flag = version.startsWith('22') ? '--experimental-permission' : '--permission';
    const code = `require('node:http').get('http://orders/', (answer) => console.log(answer.statusCode));`;
    const args = [flag, ...net, `--allow-fs-read=${world.shims}/*`, '-e', code];
    const outcome = await runProgram(binary(version), args, world.environment());
    expect(outcome.stdout, outcome.stderr).toBe('200\n');
  },
);
