// `kt completion bash` in a real bash, against a playground; and that it is silent and over where there is no cluster.
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Playground, startPlayground } from '../../../src/playground/start.ts';

let folder: string;
let playground: Playground;

const env = (kubeconfig = playground.kubeconfig): NodeJS.ProcessEnv => ({
  PATH: `${folder}${delimiter}${process.env['PATH'] ?? ''}`,
  HOME: folder,
  KT_RUNTIME_DIR: join(folder, 'run'),
  KUBECONFIG: kubeconfig,
});

/** What bash would put in the place of the last word, by the function that the script registers. */
async function tab(line: string, kubeconfig?: string): Promise<string[]> {
  const script = `source <(kt completion bash)
    complete -p kt >&2
    COMP_LINE=$1 COMP_POINT=\${#1}
    _kt_completion
    for answer in "\${COMPREPLY[@]}"; do echo "$answer"; done`;
  const ran = await promisify(execFile)('bash', ['--norc', '-c', script, 'bash', line], { env: env(kubeconfig) });
  expect(ran.stderr).toBe('complete -o default -F _kt_completion kt\n');
  return ran.stdout.split('\n').filter((word) => word !== '');
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kt-complete-'));
  writeFileSync(join(folder, 'kt'), `#!/bin/sh\nexec '${process.execPath}' '${resolve('dist/kt.mjs')}' "$@"\n`);
  chmodSync(join(folder, 'kt'), 0o755);
  playground = await startPlayground();
});

afterAll(async () => {
  await playground.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('bash', () => {
  test('completes commands, flags and live names', async () => {
    expect(await tab('kt exch')).toEqual(['exchange']);
    expect(await tab('kt exchange --dra')).toEqual(['--drain']);
    expect(await tab('kt exchange or')).toEqual(['orders']);
    expect(await tab('kt --namespace sh')).toEqual([playground.namespace]);
    expect(await tab('kt exchange orders --context de')).toContain('dev');
  });

  test('puts in only what is behind the last : and =', async () => {
    expect(await tab('kt run --exchange orders:')).toEqual(['80']);
    expect(await tab('kt status --output=js')).toEqual(['json']);
  });

  test('keeps answers in a file of the user alone', async () => {
    await tab('kt exchange ');
    const run = join(folder, 'run');
    expect(readdirSync(run)).toEqual(['completion.json']);
    expect(statSync(run).mode & 0o777).toBe(0o700);
    expect(statSync(join(run, 'completion.json')).mode & 0o777).toBe(0o600);
  });

  test('says nothing without a kubeconfig, and where the API server never answers', async () => {
    expect(await tab('kt exchange ', join(folder, 'nowhere'))).toEqual([]);
    const silent: Server = createServer(() => undefined);
    await new Promise<void>((listening) => silent.listen(0, '127.0.0.1', () => listening()));
    const { port } = silent.address() as { port: number };
    const file = join(folder, 'silent.yaml');
    writeFileSync(
      file,
      JSON.stringify({
        clusters: [{ name: 'a', cluster: { server: `https://127.0.0.1:${port}` } }],
        contexts: [{ name: 'a', context: { cluster: 'a', user: '' } }],
        'current-context': 'a',
      }),
    );
    expect(await tab('kt exchange ', file)).toEqual([]);
    silent.close();
  });

  test.each([
    ['--version', 2],
    ['__complete 1 ex', undefined],
    ['--help', undefined],
  ])('%s loads neither the screen nor what talks to a cluster', async (line, exactly) => {
    const preload = join(folder, 'loaded.cjs');
    writeFileSync(
      preload,
      `require('node:module').registerHooks({ load(url, context, next) {
        if (url.startsWith('file:')) process._rawDebug(url);
        return next(url, context);
      } });`,
    );
    const more = { ...env(), NODE_OPTIONS: `--require ${preload}` };
    const { stderr } = await promisify(execFile)('kt', line.split(' '), { env: more });
    const names = [...stderr.matchAll(/([\w.]+?)(?:-[\w-]{8})?\.mjs$/gm)].map((found) => found[1]);
    expect(names).toContain('kt');
    for (const heavy of ['ui', 'rest', 'session', 'live', ...(line === '--help' ? [] : ['yargs'])])
      expect(names).not.toContain(heavy);
    if (exactly) expect(names).toHaveLength(exactly);
  });

  test.each(['zsh', 'fish', 'powershell'])('there is a script for %s', async (shell) => {
    const { stdout } = await promisify(execFile)('kt', ['completion', shell], { env: env() });
    expect(stdout).toContain('__complete');
    expect(stdout).not.toContain('\\${');
  });
});
