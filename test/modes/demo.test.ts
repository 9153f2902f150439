// `kt demo --once` as a newcomer starts it: connect, run, exchange, mesh, each with its answer, and nothing left behind.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { execute } from '../e2e/support/kt.ts';

const CHAIN = 'gateway → orders → stock → vault';
const HERE = 'gateway → orders (on this laptop) → stock → vault';

test('the demo shows connect, run, exchange and mesh, and ends with 0', { timeout: 90_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kt-demo-'));
  const env = { PATH: process.env['PATH'], HOME: folder, TMPDIR: folder, KT_RUNTIME_DIR: join(folder, 'run') };
  const { code, stdout, stderr } = await execute(process.execPath, ['dist/kt.mjs', 'demo', '--once'], {
    env,
    timeoutMs: 80_000,
  });
  expect(code, stdout + stderr).toBe(0);
  expect(stderr).not.toContain('kt is not running');
  const shown = stdout.split('\n').map((line) => line.trim());
  const answers = shown.filter((line) => line.includes('gateway → orders') && !line.startsWith('A cluster'));
  expect(answers.map((line) => line.replace(/^.*through /, ''))).toEqual([CHAIN, HERE, HERE, CHAIN]);
  expect(stdout).toMatch(/db-0\.db:5432 \(raw TCP\) +→ hello from the laptop/);
  expect(shown.filter((line) => line.startsWith('$ kt ')).map((line) => line.split(' ')[2])).toEqual(
    expect.arrayContaining(['connect', 'run', 'exchange', 'mesh']),
  );
  // Of the playground, the session and the programs; the compile cache is for the next start.
  const left = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length));
  expect(left.filter((path) => !path.includes('cache'))).toEqual([]);
  expect(readdirSync(folder).filter((name) => name.startsWith('kt-playground'))).toEqual([]);
  rmSync(folder, { recursive: true, force: true });
});
