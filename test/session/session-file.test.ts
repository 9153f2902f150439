// The session file: whose it is, who may take its place, and that only its owner reads it.
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import {
  deadSessionFiles,
  removeSessionFile,
  sessionFilePath,
  writeSessionFile,
} from '../../src/session/session-file.ts';

const settings = (token: string): Parameters<typeof writeSessionFile>[1] => ({
  broker: { address: '127.0.0.1:4000', token },
  cidrs: ['198.18.0.0/24', '198.19.0.7'],
  suffixes: ['svc', 'Corp.example'],
  dns: '127.0.0.1:4001',
});
/** No process has it. */
const DEAD = 2 ** 22 + 1;
let folder = '';
let path = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kt-session-'));
  path = join(folder, 'x.session');
});
afterEach(() => rmSync(folder, { recursive: true }));

test('has what a shim must know, in its one form, for this user only', () => {
  writeSessionFile(path, settings('secret'), true);
  expect(readFileSync(path, 'utf8').split('\n')).toEqual([
    `KT_PID=${process.pid}`,
    'KT_BROKER=127.0.0.1:4000',
    'KT_TOKEN=secret',
    'KT_CIDRS=198.18.0.0/24,198.19.0.7/32',
    'KT_SUFFIXES=.svc,.corp.example',
    'KT_DNS=127.0.0.1:4001',
    '',
  ]);
  if (process.platform !== 'win32') expect(statSync(path).mode & 0o777).toBe(0o600);
  removeSessionFile(path);
  expect(existsSync(path)).toBe(false);
});

test("a program's own session leaves that of a living one; a shared one takes its place", () => {
  // The parent of the tests lives for as long as they do.
  writeFileSync(path, `KT_PID=${process.ppid}\nKT_TOKEN=other\n`);
  writeSessionFile(path, settings('mine'), false);
  expect(readFileSync(path, 'utf8')).toContain('KT_TOKEN=other');
  removeSessionFile(path);
  expect(existsSync(path)).toBe(true);
  writeSessionFile(path, settings('mine'), true);
  expect(readFileSync(path, 'utf8')).toContain('KT_TOKEN=mine');
});

test.each([`KT_PID=${DEAD}\nKT_TOKEN=old\n`, 'not one of ours', ''])(
  'what a killed session left is replaced: %j',
  (left) => {
    writeFileSync(path, left);
    writeSessionFile(path, settings('mine'), false);
    expect(readFileSync(path, 'utf8')).toContain('KT_TOKEN=mine');
  },
);

test('the same for one context and namespace, another for others', () => {
  expect(sessionFilePath('staging', 'shop')).toBe(sessionFilePath('staging', 'shop'));
  const others = [
    sessionFilePath('staging', 'web'),
    sessionFilePath('prod', 'shop'),
    sessionFilePath('prod\nshop', ''),
  ];
  expect(new Set([...others, sessionFilePath('staging', 'shop')]).size).toBe(4);
});

test('files of killed sessions are told from those of living ones', () => {
  vi.stubEnv('KT_RUNTIME_DIR', folder);
  vi.stubEnv('LOCALAPPDATA', folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  const dead = sessionFilePath('staging', 'dead');
  writeFileSync(dead, `KT_PID=${DEAD}\nKT_TOKEN=old\n`);
  writeFileSync(sessionFilePath('staging', 'alive'), `KT_PID=${process.ppid}\nKT_TOKEN=other\n`);
  writeFileSync(path, 'not one of ours');
  expect(deadSessionFiles()).toEqual([dead]);
});
