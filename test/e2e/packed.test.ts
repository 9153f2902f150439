// Must: the packed tarball, installed in an empty folder without running any script, by a user without rights, runs `kt demo --once`. Its size,
// its start-up and what it brings are printed. No Kubernetes is needed for it.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UID } from './support/kt.ts';

let home: string;
let tarball: string;

/** As the user, with a home of its own. */
async function asUser(
  command: string,
  args: readonly string[],
  more: NodeJS.ProcessEnv = {},
): Promise<{ code: number; text: string; ms: number }> {
  const started = performance.now();
  const child = spawn(command, args, {
    uid: UID,
    gid: UID,
    cwd: join(home, 'project'),
    env: {
      PATH: `${join(home, 'bin')}:${process.env['PATH'] ?? ''}`,
      HOME: join(home, 'project'),
      KT_RUNTIME_DIR: join(home, 'project', 'run'),
      ...more,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? -1, text, ms: performance.now() - started };
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'kt-packed-'));
  chmodSync(home, 0o755);
  for (const name of ['project', 'bin']) mkdirSync(join(home, name));
  // The Node that the tests run on, where that user can read it.
  copyFileSync(process.execPath, join(home, 'bin', 'node'));
  chmodSync(join(home, 'bin', 'node'), 0o755);
  chownSync(join(home, 'project'), UID, UID);
  execFileSync('npm', ['pack', '--silent', '--pack-destination', home], { stdio: ['ignore', 'pipe', 'inherit'] });
  tarball = join(home, readdirSync(home).find((name) => name.endsWith('.tgz')) ?? '');
  chmodSync(tarball, 0o644);
  // The mirror that this machine uses, and its authority; the user has no settings of its own.
  const setting = (name: string): string => execFileSync('npm', ['config', 'get', name], { encoding: 'utf8' }).trim();
  const settings = Object.fromEntries(
    ['registry', 'cafile'].map((name) => [name, setting(name)] as const).filter(([, value]) => value !== 'null'),
  );
  const installed = await asUser('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', tarball], {
    ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [`npm_config_${name}`, value])),
    // A mirror that does not answer must fail the test, not hang it.
    npm_config_fetch_retries: '1',
    npm_config_fetch_timeout: '30000',
    ...(process.env['NODE_EXTRA_CA_CERTS'] ? { NODE_EXTRA_CA_CERTS: process.env['NODE_EXTRA_CA_CERTS'] } : {}),
  });
  expect(installed.code, installed.text).toBe(0);
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

const kt = (): string => join(home, 'project', 'node_modules', '.bin', 'kt');

describe('the packed tarball', () => {
  test('is small, and holds what it needs and nothing else', () => {
    const files = execFileSync('tar', ['tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
    console.log(`tarball: ${Math.round(statSync(tarball).size / 1024)} KiB, ${files.length} files`);
    expect(statSync(tarball).size).toBeLessThan(2 * 1024 * 1024);
    for (const file of [
      'package/dist/kt.mjs',
      'package/dist/agent.mjs',
      'package/dist/shims/kt-jvm.jar',
      'package/LICENSE',
      'package/README.md',
    ])
      expect(files).toContain(file);
    expect(files.filter((file) => /^package\/(src|test|node_modules|benchmarks|scripts)\//.test(file))).toEqual([]);
  });

  test('installs no package that wants to run a script', () => {
    const folder = join(home, 'project', 'node_modules');
    const lock = JSON.parse(execFileSync('cat', [join(folder, '.package-lock.json')], { encoding: 'utf8' })) as {
      packages: Record<string, { hasInstallScript?: boolean }>;
    };
    const names = Object.keys(lock.packages);
    console.log(`packages: ${names.length}`);
    expect(names.filter((name) => lock.packages[name]?.hasInstallScript)).toEqual([]);
  });

  test('starts', async () => {
    const version = await asUser(kt(), ['--version']);
    expect(version.code, version.text).toBe(0);
    const help = await asUser(kt(), ['--help']);
    console.log(`kt --version: ${Math.round(version.ms)} ms, kt --help: ${Math.round(help.ms)} ms`);
    expect(help.text).toContain('kt COMMAND');
  });

  test('runs kt demo --once', async () => {
    const demo = await asUser(kt(), ['demo', '--once']);
    expect(demo.code, demo.text).toBe(0);
    console.log(`kt demo --once: ${Math.round(demo.ms)} ms`);
    expect(demo.text).toContain('orders');
  });

  test('runs from a folder that the user can not write to', async () => {
    expect((await asUser('chmod', ['-R', 'a-w', join(home, 'project', 'node_modules')])).code).toBe(0);
    const demo = await asUser(kt(), ['doctor', '--read-only'], { KUBECONFIG: join(home, 'nowhere') });
    expect(demo.text).toContain('kubeconfig');
    expect(demo.code).toBe(3);
    await asUser('chmod', ['-R', 'u+w', join(home, 'project', 'node_modules')]);
  });
});
