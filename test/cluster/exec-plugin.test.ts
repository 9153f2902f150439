// Credentials plugins, as small Node programs that are really run.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadClusterConfig } from '../../src/cluster/config.ts';
import { takeTerminal } from '../../src/cluster/plugin-terminal.ts';
import { failure } from './support/fake-api.ts';
import { folder, kubeconfig } from './support/kubeconfig-files.ts';
import { base64, pem } from './support/tls.ts';

const V1 = 'client.authentication.k8s.io/v1';

interface PluginSetup {
  /** Statements of the plugin; `answer(status)` prints an ExecCredential, `runs` counts from 1. */
  readonly code: string;
  readonly exec?: string;
  /** With a terminal, where it is not `Never`. */
  readonly interactiveMode?: string;
  readonly cluster?: string;
  readonly env?: NodeJS.ProcessEnv;
}

const PRELUDE = `
const fs = require('node:fs');
fs.appendFileSync(__dirname + '/runs', 'x');
const runs = fs.readFileSync(__dirname + '/runs').length;
const answer = (status, apiVersion = '${V1}') => console.log(JSON.stringify({ kind: 'ExecCredential', apiVersion, status }));
`;

async function plugin({ code, exec = '', interactiveMode = 'Never', cluster, env = {} }: PluginSetup) {
  const write = folder();
  const program = write('plugin.cjs', PRELUDE + code);
  const user = `exec: {apiVersion: ${V1}, command: ${JSON.stringify(process.execPath)}, args: [${JSON.stringify(program)}], interactiveMode: ${interactiveMode}${exec}}`;
  const file = write('config', kubeconfig({ user, ...(cluster === undefined ? {} : { cluster }) }));
  const terminal = interactiveMode !== 'Never';
  const config = await loadClusterConfig({ kubeconfig: file, terminal, env: { PATH: process.env['PATH'], ...env } });
  return {
    credentials: config.credentials,
    file,
    runs: () => (existsSync(join(dirname(file), 'runs')) ? readFileSync(join(dirname(file), 'runs')).length : 0),
    written: (name: string): unknown => JSON.parse(readFileSync(join(dirname(file), name), 'utf8')),
  };
}

describe('running', () => {
  test('five who ask at once share one run, and those who ask later its answer', async () => {
    const { credentials, runs } = await plugin({ code: "answer({ token: 't' + runs })" });
    const all = await Promise.all(Array.from({ length: 5 }, () => credentials.current()));
    expect(all.map(({ headers }) => headers['Authorization'])).toEqual(Array(5).fill('Bearer t1'));
    await credentials.current();
    expect(runs()).toBe(1);
  });

  test('loading the kubeconfig runs nothing', async () => {
    expect((await plugin({ code: 'answer({ token: "t" })' })).runs()).toBe(0);
  });

  test('a client certificate is used', async () => {
    const { credentials } = await plugin({ code: "answer({ clientCertificateData: 'CERT', clientKeyData: 'KEY' })" });
    expect(await credentials.current()).toMatchObject({ headers: {}, certificate: 'CERT', key: 'KEY' });
  });

  test('a token of the user counts more than the plugin', async () => {
    const { credentials, runs } = await plugin({ code: "answer({ token: 'plugin' })", exec: '}, token: own, x: {' });
    expect((await credentials.current()).headers).toEqual({ Authorization: 'Bearer own' });
    expect(runs()).toBe(0);
  });

  test('impersonation is added to what the plugin gives', async () => {
    const { credentials } = await plugin({ code: "answer({ token: 't' })", exec: '}, as: jane, x: {' });
    expect((await credentials.current()).headers).toEqual({ Authorization: 'Bearer t', 'Impersonate-User': 'jane' });
  });

  test('one who gives up waiting does not end the run for the others', async () => {
    const { credentials, runs } = await plugin({ code: "answer({ token: 't' })" });
    const leaving = new AbortController();
    const left = failure(credentials.current(leaving.signal));
    const stays = credentials.current();
    leaving.abort();
    expect((await left).code).toBe('CANCELLED');
    expect((await stays).headers).toEqual({ Authorization: 'Bearer t' });
    expect(runs()).toBe(1);
  });
});

describe('what the plugin is told', () => {
  const dump =
    "fs.writeFileSync(__dirname + '/info', process.env.KUBERNETES_EXEC_INFO); fs.writeFileSync(__dirname + '/env', JSON.stringify(process.env)); answer({ token: 't' })";

  test('KUBERNETES_EXEC_INFO without the cluster', async () => {
    const { credentials, written } = await plugin({ code: dump });
    await credentials.current();
    expect(written('info')).toEqual({ apiVersion: V1, kind: 'ExecCredential', spec: { interactive: false } });
  });

  test('with the cluster, where provideClusterInfo says so', async () => {
    const cluster = `server: "https://api.test:6443/", tls-server-name: n, certificate-authority-data: ${base64(pem('ca.pem'))}, proxy-url: "http://p:1", extensions: [{name: client.authentication.k8s.io/exec, extension: {audience: a, deep: [1, true]}}, {name: other, extension: {}}]`;
    const { credentials, written } = await plugin({ code: dump, exec: ', provideClusterInfo: true', cluster });
    await credentials.current();
    expect(written('info')).toEqual({
      apiVersion: V1,
      kind: 'ExecCredential',
      spec: {
        interactive: false,
        cluster: {
          server: 'https://api.test:6443',
          'tls-server-name': 'n',
          'certificate-authority-data': base64(pem('ca.pem')),
          'proxy-url': 'http://p:1',
          config: { audience: 'a', deep: [1, true] },
        },
      },
    });
  });

  test('its own variables and those of kt, its own first', async () => {
    const { credentials, written } = await plugin({
      code: dump,
      exec: ', env: [{name: AWS_PROFILE, value: work}, {name: BOTH, value: own}]',
      env: { BOTH: 'kt', ONLY_KT: '1' },
    });
    await credentials.current();
    expect(written('env')).toMatchObject({ AWS_PROFILE: 'work', BOTH: 'own', ONLY_KT: '1' });
  });

  test('a command with a folder is beside the kubeconfig', async () => {
    const write = folder();
    const file = write(
      'config',
      kubeconfig({ user: `exec: {apiVersion: ${V1}, command: ./bin/missing, interactiveMode: Never}` }),
    );
    const { credentials } = await loadClusterConfig({ kubeconfig: file, env: {} });
    expect((await failure(credentials.current())).message).toContain(join(dirname(file), 'bin', 'missing'));
  });
});

describe('renewal', () => {
  const expiring = (seconds: number): string =>
    `answer({ token: 't' + runs, expirationTimestamp: new Date(Date.now() + ${seconds} * 1000).toISOString() })`;
  const bearer = async (credentials: { current(): Promise<{ headers: Readonly<Record<string, unknown>> }> }) =>
    (await credentials.current()).headers['Authorization'];

  test('not before it is due', async () => {
    const { credentials, runs } = await plugin({ code: expiring(3600) });
    expect([await bearer(credentials), await bearer(credentials)]).toEqual(['Bearer t1', 'Bearer t1']);
    expect(runs()).toBe(1);
  });

  test('after the end of their life', async () => {
    const { credentials } = await plugin({ code: expiring(-1) });
    expect([await bearer(credentials), await bearer(credentials)]).toEqual(['Bearer t1', 'Bearer t2']);
  });

  test('credentials just made that are refused are not asked for again at once', async () => {
    const { credentials, runs } = await plugin({ code: "answer({ token: 't' + runs })" });
    const made = await credentials.current();
    expect(credentials.rejected(made)).toBe(false);
    expect(runs()).toBe(1);
  });

  test('older ones that are refused while there are newer: ask again', async () => {
    const { credentials } = await plugin({ code: expiring(-1) });
    const first = await credentials.current();
    await credentials.current();
    expect(credentials.rejected(first)).toBe(true);
  });
});

describe('failures', () => {
  test.each([
    ['nothing', '', 'did not answer with JSON'],
    ['garbage', "console.log('s3cret')", 'did not answer with JSON'],
    ['another kind', 'console.log(\'{"kind":"Token"}\')', 'is no ExecCredential'],
    ['another version', "answer({ token: 't' }, 'client.authentication.k8s.io/v1beta1')", 'in another version'],
    ['no status', 'answer(null)', 'without a status'],
    ['no credentials', 'answer({})', 'neither a token nor a client certificate'],
    ['half a certificate', "answer({ clientCertificateData: 'x' })", 'half of a client certificate'],
    ['a token that is no text', 'answer({ token: 5 })', 'status.token that is no text'],
    ['a wrong time', "answer({ token: 's3cret', expirationTimestamp: 'soon' })", 'is no time'],
    ['exit code 3', 'process.exit(3)', 'failed with exit code 3'],
    ['a signal', "process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000)", 'was ended by SIGTERM'],
    ['too much', "process.stdout.write('x'.repeat(3 << 20))", 'wrote more than a MiB'],
  ])('%s', async (_, code, message) => {
    const failed = await failure((await plugin({ code })).credentials.current());
    expect(failed.code).toBe('CREDENTIALS_PLUGIN');
    expect(failed.message).toContain(message);
    expect(JSON.stringify(failed)).not.toContain('s3cret');
  });

  test('a command that is not there shows the hint of the kubeconfig', async () => {
    const user = `exec: {apiVersion: ${V1}, command: kt-no-such-plugin, interactiveMode: Never, installHint: "get it from example.com"}`;
    const { credentials } = await loadClusterConfig({
      kubeconfig: folder()('config', kubeconfig({ user })),
      env: { PATH: process.env['PATH'] },
    });
    expect(await failure(credentials.current())).toMatchObject({
      code: 'CREDENTIALS_PLUGIN',
      message: "the credentials plugin 'kt-no-such-plugin' of the user 'u' was not found",
      hint: 'get it from example.com',
    });
  });

  test('interactiveMode Always without a terminal', async () => {
    const write = folder();
    const user = `exec: {apiVersion: ${V1}, command: node, interactiveMode: Always}`;
    const config = await loadClusterConfig({
      kubeconfig: write('config', kubeconfig({ user })),
      env: {},
      terminal: false,
    });
    expect((await failure(config.credentials.current())).message).toContain('needs a terminal');
  });

  test('a failure is not kept: the next who asks runs it again', async () => {
    const { credentials } = await plugin({ code: "if (runs === 1) process.exit(1); answer({ token: 't' })" });
    expect((await failure(credentials.current())).code).toBe('CREDENTIALS_PLUGIN');
    expect((await credentials.current()).headers).toEqual({ Authorization: 'Bearer t' });
  });
});

test('what the plugin says on its standard error is seen at once, and nothing of its standard output', async () => {
  const { file } = await plugin({
    code: "console.error('open https://login.test and enter CODE'); answer({ token: 's3cret' })",
  });
  const program = `
    import { loadClusterConfig } from ${JSON.stringify(join(import.meta.dirname, '../../src/cluster/config.ts'))};
    const config = await loadClusterConfig({ kubeconfig: ${JSON.stringify(file)} });
    await config.credentials.current();
  `;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: import.meta.dirname,
  });
  expect(stderr).toContain('open https://login.test and enter CODE');
  expect(stdout).toBe('');
});

describe('while another program has the terminal', () => {
  const lines: string[] = [];
  let giveBack: () => void;
  beforeEach(() => {
    lines.length = 0;
    giveBack = takeTerminal((line) => lines.push(line));
  });
  afterEach(() => giveBack());

  test('its lines go there, as many as a login needs, and it is told that it can ask nothing', async () => {
    const code = `
      for (let line = 1; line <= 100; line += 1) console.error('line ' + line);
      fs.writeFileSync(__dirname + '/info', process.env.KUBERNETES_EXEC_INFO);
      answer({ token: 't' });
    `;
    const { credentials, written } = await plugin({ code, interactiveMode: 'IfAvailable' });
    expect((await credentials.current()).headers).toEqual({ Authorization: 'Bearer t' });
    expect(lines.slice(0, 2)).toEqual(['node: line 1', 'node: line 2']);
    expect(lines).toHaveLength(20);
    expect(written('info')).toMatchObject({ spec: { interactive: false } });
  });

  test('interactiveMode Always: says who has it, and asks when it is free', async () => {
    const user = `exec: {apiVersion: ${V1}, command: node, interactiveMode: Always}`;
    const kubeconfigFile = folder()('config', kubeconfig({ user }));
    const config = await loadClusterConfig({ kubeconfig: kubeconfigFile, env: {}, terminal: true });
    expect(await failure(config.credentials.current())).toMatchObject({
      code: 'CREDENTIALS_PLUGIN',
      message: expect.stringContaining('another program has this one') as string,
      hint: 'log in in another terminal; kt asks again',
    });
  });
});
