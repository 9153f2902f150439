// The built kt with configuration: flags from files and variables reach commands, `kt config` changes and shows them, profiles go round.
import { execFile } from 'node:child_process';
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let home: string;
let work: string;
let userFile: string;

beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'kt-config-')));
  work = join(home, 'project', 'module');
  mkdirSync(work, { recursive: true });
  userFile = join(home, 'xdg', 'kt', 'config.yaml');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function kt(args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    XDG_CONFIG_HOME: join(home, 'xdg'),
    KT_RUNTIME_DIR: home,
    ...more,
  };
  return new Promise((done) => {
    execFile(process.execPath, [resolve('dist/kt.mjs'), ...args], { cwd: work, env }, (error, stdout, stderr) =>
      done({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr }),
    );
  });
}
const project = (text: string) => writeFileSync(join(home, 'project', '.kt.yaml'), text);
const OK = expect.objectContaining({ code: 0 }) as Ran;

describe('commands', () => {
  test('take a flag from .kt.yaml, weaker than $KT_… and the command line', async () => {
    project('output: json\n');
    expect((await kt(['status'])).stdout).toBe('[]\n');
    expect((await kt(['status'], { KT_OUTPUT: 'plain' })).stdout).toMatch(/^no session/);
    expect((await kt(['status', '-o', 'json'], { KT_OUTPUT: 'plain' })).stdout).toBe('[]\n');
  });

  test('are refused before anything is done: a wrong key, an untrusted one', async () => {
    project('namespace: shop\nproxyprt: 1\n');
    const wrong = await kt(['connect']);
    expect(wrong).toMatchObject({ code: 2, stdout: '' });
    expect(wrong.stderr).toContain(`.kt.yaml:2:1: unknown key 'proxyprt'; did you mean 'proxy-port'?`);
    project('kubeconfig: ../evil\n');
    expect((await kt(['connect'])).stderr).toContain('CONFIG_UNTRUSTED');
    // No longer the folder's file, but the one that it names, is what is wrong.
    expect(await kt(['config', 'trust'])).toEqual(OK);
    expect((await kt(['connect'])).stderr).toContain('KUBECONFIG_MISSING');
    expect(await kt(['config', 'untrust'])).toEqual(OK);
    expect((await kt(['connect'])).stderr).toContain('CONFIG_UNTRUSTED');
    expect((await kt(['connect'], { KT_PROXY_PORT: 'x' })).stderr).toContain('$KT_PROXY_PORT: must be a whole number');
  });

  test('say in --help what is configured', async () => {
    project('proxy-port: 2299\n');
    expect((await kt(['connect', '--help'])).stdout).toContain('[default: 2299]');
  });
});

test('a broken file does not keep anybody from showing and ending sessions', async () => {
  project('namespace: shop\nproxyprt: 1\n');
  const status = await kt(['status']);
  expect(status.stdout).toMatch(/^no session/);
  expect(status.stderr).toMatch(/^kt: goes on without configuration, for it is broken: .*\.kt\.yaml:2:1: unknown key/);
  expect((await kt(['stop'])).stderr).toContain('SESSION_NONE');
});

test.runIf(process.getuid?.() === 0)(
  'a file of somebody else is not read, which is said; neither is a kt.yaml',
  async () => {
    project('output: json\n');
    chownSync(join(home, 'project', '.kt.yaml'), 12_345, 12_345);
    const status = await kt(['status']);
    expect(status.stdout).toMatch(/^no session/);
    expect(status.stderr).toMatch(/\.kt\.yaml belongs to somebody else and is not read\n$/);
    writeFileSync(join(home, 'project', 'kt.yaml'), 'run: { x: { command: [true] } }');
    chownSync(join(home, 'project', 'kt.yaml'), 12_345, 12_345);
    expect((await kt(['up'])).stderr).toContain('there is no kt.yaml here or above');
  },
);

describe('kt config', () => {
  test.each([[['namespace', 'shop']], [['namespace=shop']], [['namespace', '=', 'shop']], [['global.namespace=shop']]])(
    'set %j, get, show with its place, unset',
    async (words) => {
      expect(await kt(['config', 'set', ...words])).toEqual(OK);
      if (process.platform !== 'win32') expect(statSync(userFile).mode & 0o777).toBe(0o600);
      expect(readFileSync(userFile, 'utf8')).toBe('namespace: shop\n');
      expect((await kt(['config', 'get', 'namespace'])).stdout).toBe('shop\n');
      expect((await kt(['config', 'show'])).stdout).toBe(`namespace = shop  (user: ${userFile}:1:1)\n`);
      expect(await kt(['config', 'unset', 'namespace'])).toEqual(OK);
      expect((await kt(['config', 'get', 'namespace'])).code).toBe(1);
    },
  );

  test('show says which layer counts, and what is refused', async () => {
    project('namespace: project\nimage: evil\n');
    await kt(['config', 'set', 'namespace', 'user']);
    const shown = await kt(['config', 'show', '-o', 'json'], { KT_NAMESPACE: 'env' });
    expect(JSON.parse(shown.stdout)).toEqual([
      expect.objectContaining({ key: 'image', layer: 'project', state: 'untrusted' }),
      expect.objectContaining({ key: 'namespace', value: 'env', source: '$KT_NAMESPACE', state: 'counts' }),
      expect.objectContaining({ key: 'namespace', value: 'project', state: 'covered' }),
      expect.objectContaining({ key: 'namespace', value: 'user', state: 'covered' }),
    ]);
    expect((await kt(['config', 'show', '--all'])).stdout).toContain('proxy-port is not set\n');
  });

  test.each([
    [['set', 'namespce', 'x'], "unknown key 'namespce'; did you mean 'namespace'?"],
    [['set', 'proxy-port', 'x'], 'proxy-port: must be a whole number'],
    [['set', 'namespace'], 'name a key and its value'],
    [['unset', 'namespace'], 'namespace is not set in'],
    [['unset'], 'name the keys, or say --all'],
    [['load-profile', 'none'], "there is no profile 'none'"],
    [['save-profile', '../x'], "'../x' is no name for a profile"],
  ])('%j is refused and changes nothing', async (words, message) => {
    const ran = await kt(['config', ...words]);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(message);
    expect((await kt(['config', 'list-profile', '-o', 'json'])).stdout).toBe('[]\n');
  });

  test('profiles go round; what load-profile replaces is kept', async () => {
    await kt(['config', 'set', 'namespace', 'shop']);
    expect(await kt(['config', 'save-profile', 'shop'])).toEqual(OK);
    await kt(['config', 'set', 'namespace', 'stage']);
    expect((await kt(['config', 'load-profile', 'shop', '--dryRun'])).stdout).toBe('namespace: shop\n');
    expect((await kt(['config', 'get', 'namespace'])).stdout).toBe('stage\n');
    expect(await kt(['config', 'load-profile', 'shop'])).toEqual(OK);
    expect((await kt(['config', 'get', 'namespace'])).stdout).toBe('shop\n');
    expect((await kt(['config', 'list-profile'])).stdout).toBe('previous\nshop\n');
    expect((await kt(['config', 'load-profile', 'previous', '--dryRun'])).stdout).toBe('namespace: stage\n');
    expect(await kt(['config', 'drop-profile', 'shop'])).toEqual(OK);
    expect((await kt(['config', 'list-profile'])).stdout).toBe('previous\n');
  });

  test('set --project writes the nearest .kt.yaml', async () => {
    project('# ours\n');
    expect(await kt(['config', 'set', '--project', 'expose', '8080', '9090'])).toEqual(OK);
    expect(readFileSync(join(home, 'project', '.kt.yaml'), 'utf8')).toContain('# ours\n');
    expect((await kt(['config', 'get', 'expose'])).stdout).toBe('8080, 9090\n');
  });
});
