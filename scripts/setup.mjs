// Makes a fresh clone ready, then runs what follows `--exec`: installs when package-lock.json changed, builds when a source is
// newer than dist/. Runs on any Node >= 18 and imports nothing but builtins, because nothing is installed yet.
// Called by every npm script; not part of what is published.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (...parts) => join(root, ...parts);
const windows = process.platform === 'win32';
const node = at('node_modules', 'node', 'bin', windows ? 'node.exe' : 'node');
// The pinned Node first on PATH: every child, vitest's workers included, then runs on it.
const env = { ...process.env, PATH: [at('node_modules', '.bin'), process.env.PATH].join(delimiter) };

function step(command, args) {
  const done = spawnSync(command, args, { cwd: root, env, stdio: ['ignore', 2, 2], shell: windows });
  if (done.status !== 0) {
    console.error(`setup: '${command} ${args.join(' ')}' failed (${done.error?.message ?? `exit ${done.status}`})`);
    process.exit(1);
  }
}

function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}

const lock = createHash('sha256')
  .update(readFileSync(at('package-lock.json')))
  .digest('hex');
const stamp = at('node_modules', '.kt-lock');
if (!existsSync(node) || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  console.error('setup: npm ci (once per lockfile)');
  step('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error']);
  if (!existsSync(node)) {
    console.error('setup: the pinned Node did not arrive; is "ignore-scripts" set for npm? Run: npm rebuild node');
    process.exit(1);
  }
  writeFileSync(stamp, lock);
}

const sources = ['src', 'shims', 'scripts/build.mjs', 'package.json'].map((name) => at(name));
const built = at('dist', '.built');
if (
  process.argv.includes('--build') ||
  !existsSync(built) ||
  statSync(built).mtimeMs < Math.max(...sources.map(newest))
) {
  console.error('setup: build');
  step(node, [at('scripts', 'build.mjs')]);
  mkdirSync(at('dist'), { recursive: true });
  writeFileSync(built, '');
}

const exec = process.argv.indexOf('--exec');
if (exec !== -1) {
  let [command, ...args] = process.argv.slice(exec + 1);
  if (command === 'node') command = node;
  else if (existsSync(at(command))) command = at(command);
  const child = spawn(command, args, { cwd: root, env, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`setup: cannot start ${command}: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(signal ? 1 : code));
}
