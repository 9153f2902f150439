// Must: the packed tarball, installed in an empty folder without running any script and without a registry, by a user without rights, runs
// `kt demo --once`. Its size, its size on the disk and its start-up beside Node's own are printed. No Kubernetes is needed for it.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UID } from './e2e/support/kt.ts';

/** A demo starts a whole playground; on a busy machine that takes its time. */
const DEMO_MS = 60_000;
const root = process.getuid?.() === 0;
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
    // Only root can become somebody else; who runs the tests without rights is such a user.
    ...(root ? { uid: UID, gid: UID } : {}),
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
  if (root) chownSync(join(home, 'project'), UID, UID);
  execFileSync('npm', ['pack', '--silent', '--pack-destination', home], { stdio: ['ignore', 'pipe', 'inherit'] });
  tarball = join(home, readdirSync(home).find((name) => name.endsWith('.tgz')) ?? '');
  chmodSync(tarball, 0o644);
  // Offline with an empty cache: no mirror has to know kt or anything that it needs.
  const installed = await asUser('npm', [
    'install',
    '--ignore-scripts',
    '--offline',
    '--no-audit',
    '--no-fund',
    tarball,
  ]);
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
      'package/dist/ui.mjs',
      'package/dist/shims/kt-jvm.jar',
      'package/dist/shims/kt-node.cjs',
      'package/dist/shims/python/sitecustomize.py',
      'package/dist/demo/hello.mjs',
      'package/dist/playground/shop.mjs',
      'package/dist/THIRD-PARTY-LICENSES.txt',
      'package/docs/install.md',
      'package/LICENSE',
      'package/README.md',
    ])
      expect(files).toContain(file);
    expect(files.filter((file) => /^package\/(src|test|node_modules|benchmarks|scripts)\//.test(file))).toEqual([]);
  });

  test('installs nothing but itself, and wants to run no script', () => {
    const lock = JSON.parse(readFileSync(join(home, 'project', 'node_modules', '.package-lock.json'), 'utf8')) as {
      packages: Record<string, { hasInstallScript?: boolean }>;
    };
    expect(Object.keys(lock.packages)).toEqual(['node_modules/kt']);
    expect(lock.packages['node_modules/kt']?.hasInstallScript).toBeUndefined();
    const installed = join(home, 'project', 'node_modules', 'kt');
    const files = readdirSync(installed, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const bytes = files.reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).size, 0);
    console.log(`installed: ${Math.round(bytes / 1024)} KiB`);
    expect(bytes).toBeLessThan(6 * 1024 * 1024);
  });

  test('carries the licence of every library that is in it', () => {
    const dist = join(home, 'project', 'node_modules', 'kt', 'dist');
    const bundled = JSON.parse(readFileSync(join(dist, 'bundled.json'), 'utf8')) as string[];
    const texts = readFileSync(join(dist, 'THIRD-PARTY-LICENSES.txt'), 'utf8').split(/^(?=\S+@\d[^\n]*\n-+\n)/m);
    expect(texts.slice(1).map((text) => text.split('\n')[0])).toEqual(bundled);
    const silent = texts
      .slice(1)
      .filter(
        (text) =>
          !/\b(MIT|ISC|Apache|BSD)\b|Permission is hereby granted|Permission to use|Redistribution and use in source/.test(
            text,
          ),
      );
    expect(silent).toEqual([]);
    expect(texts.find((text) => text.startsWith('quickjs-wasi@'))).toContain('Fabrice Bellard');
  });

  test('starts', async () => {
    const bare = await asUser('node', ['-e', '0']);
    const version = await asUser(kt(), ['--version']);
    expect(version.text).toBe(`${(JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version}\n`);
    expect(version.code, version.text).toBe(0);
    const help = await asUser(kt(), ['--help']);
    const ms = (run: { ms: number }): string => `${Math.round(run.ms)} ms`;
    console.log(`kt --version: ${ms(version)}, kt --help: ${ms(help)}, node -e 0: ${ms(bare)}`);
    expect(help.text).toContain('kt COMMAND');
  });

  test('runs kt demo --once', { timeout: DEMO_MS }, async () => {
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

describe('the single executable', () => {
  let executable: string;
  const settings = (): NodeJS.ProcessEnv => ({ PATH: '/usr/bin:/bin', XDG_CACHE_HOME: join(home, 'project', 'cache') });

  beforeAll(() => {
    execFileSync(process.execPath, ['scripts/sea.mjs', '--out', join(home, 'build')], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const name = readdirSync(join(home, 'build')).find((one) => /^kt-.*-(linux|darwin|win)-/.test(one)) ?? '';
    executable = join(home, 'kt');
    copyFileSync(join(home, 'build', name), executable);
    chmodSync(executable, 0o755);
  });

  test('comes with checksums, and an SBOM that lists the bundled libraries', () => {
    const lines = readFileSync(join(home, 'build', 'SHA256SUMS'), 'utf8')
      .trim()
      .split('\n');
    expect(lines).toHaveLength(2);
    for (const line of lines) {
      const [sum = '', name = ''] = line.split('  ');
      expect(
        createHash('sha256')
          .update(readFileSync(join(home, 'build', name)))
          .digest('hex'),
      ).toBe(sum);
    }
    const file = readdirSync(join(home, 'build')).find((one) => one.endsWith('.cdx.json')) ?? '';
    const sbom = JSON.parse(readFileSync(join(home, 'build', file), 'utf8')) as {
      bomFormat: string;
      components: { name: string; version: string }[];
    };
    expect(sbom.bomFormat).toBe('CycloneDX');
    const listed = sbom.components.map((one) => `${one.name}@${one.version}`);
    const bundled = JSON.parse(readFileSync('dist/bundled.json', 'utf8')) as string[];
    expect(listed).toEqual(expect.arrayContaining([...bundled, `node@${process.versions.node}`]));
  });

  test('needs no Node, unpacks itself once into a folder of the user alone', async () => {
    const first = await asUser(executable, ['--version'], settings());
    expect(first.code, first.text).toBe(0);
    const cache = join(home, 'project', 'cache', 'kt');
    const [unpacked] = readdirSync(cache);
    expect(statSync(cache).mode & 0o777).toBe(0o700);
    const again = await asUser(executable, ['--version'], settings());
    expect(again.text).toBe(first.text);
    expect(readdirSync(cache)).toEqual([unpacked]);
    const size = Math.round(statSync(executable).size / 1024 / 1024);
    console.log(
      `executable: ${size} MiB, first --version: ${Math.round(first.ms)} ms, then: ${Math.round(again.ms)} ms`,
    );
  });

  test('says what to do where the folder must not run programs', async () => {
    const cache = join(home, 'project', 'cache', 'kt');
    const node = join(cache, readdirSync(cache)[0] ?? '', 'node');
    chmodSync(node, 0o600);
    const refused = await asUser(executable, ['--version'], settings());
    chmodSync(node, 0o700);
    expect(refused.code).toBe(1);
    expect(refused.text).toContain('must not run programs\n    set XDG_CACHE_HOME');
  });

  test('runs kt demo --once, and gives its exit code', { timeout: DEMO_MS }, async () => {
    const demo = await asUser(executable, ['demo', '--once'], settings());
    expect(demo.code, demo.text).toBe(0);
    expect(demo.text).toContain('orders');
    expect((await asUser(executable, ['no-such-command'], settings())).code).toBe(2);
  });
});
