// Must: on Windows, as far as Wine has it, and on the real cluster: kt starts from any folder; `kt run` hands on arguments, batch files and exit codes, and
// the program reaches the cluster; sessions are joined and stopped; a pod's request comes to the laptop; the single executable does the same.
// Node's build for Windows runs all of it. Not here: Ctrl-C in a console, and what Wine lacks (docs/windows.md).
import { execFileSync } from 'node:child_process';
import { copyFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ORDERS, POD, shimWorld } from '../support/shim-world.ts';
import { CalledBack } from './support/call-back.ts';
import { findJdks } from './support/jdks.ts';
import { curl, kubectl, Laptop, UID } from './support/kt.ts';
import { ended, WINDOWS_NODE, Wine, windowsPath } from './support/wine.ts';

const laptop = new Laptop();
const shop = new CalledBack(laptop, 'kt-t-wine');
let wine: Wine;
/** Without a space or a letter of another language: Wine's cmd.exe finds no batch file otherwise, Windows' does. */
let plain: string;

const ASK = `console.log(JSON.stringify(process.argv.slice(2)));
fetch('http://gateway/').then(
  async (answer) => { console.log(answer.status, await answer.text()); process.exitCode = 7; },
  (error) => { console.log('!', error.cause?.code ?? error); process.exitCode = 8; },
);
`;
const SERVE = `require('node:http').createServer((request, response) => {
  response.end('from Windows ' + request.url);
  if (request.url === '/end') setImmediate(() => process.exit(5));
}).listen(process.argv[2], '127.0.0.1', () => console.log('listening'));
`;

beforeAll(async () => {
  wine = await Wine.install(laptop);
  plain = laptop.own('plain');
  for (const folder of [wine.folder, plain]) {
    execFileSync('tee', [join(folder, 'ask.cjs')], { input: ASK });
    execFileSync('tee', [join(folder, 'ask.cmd')], { input: '@echo off\r\nnode "%~dp0ask.cjs" %*\r\n' });
  }
  wine.write('serve.cjs', SERVE);
  const java = findJdks().find(({ feature }) => feature === 17)?.home ?? '';
  const sources = ['launches/Ask.java', 'jvm-checks/Checks.java'].map((name) => `test/fixtures/${name}`);
  execFileSync(join(java, 'bin/javac'), ['--release', '11', '-d', wine.folder, ...sources]);
  execFileSync('chown', ['-R', `${UID}:${UID}`, wine.folder, plain]);
  await shop.deploy();
}, 300_000);
afterAll(async () => {
  await wine?.close();
  await laptop.close();
  await shop.remove();
});

const sockets = (): string[] => readdirSync(wine.runtimeFolder).filter((name) => name.endsWith('.sock'));
const ARGUMENTS = ['a b', 'c"d', 'x&y', '', '^', '!x!', 'ü', '--debug'];

test('starts from a folder with a space and letters of other languages', async () => {
  const { version } = JSON.parse(execFileSync('cat', ['package.json'], { encoding: 'utf8' })) as { version: string };
  expect(await ended(wine.kt(['--version']))).toEqual({ code: 0, said: `${version}\n` });
  expect((await ended(wine.node(['-p', 'process.platform']))).said).toBe('win32\n');
});

test('a program reaches the cluster, with its arguments and its exit code; without kt it does not', async () => {
  const without = await ended(wine.node(['ask.cjs']));
  expect(without).toMatchObject({ code: 8, said: expect.stringContaining('! ENOTFOUND') });
  const under = await ended(wine.kt(['run', '--', 'node', 'ask.cjs', ...ARGUMENTS]));
  expect(under.said).toContain(JSON.stringify(ARGUMENTS));
  expect(under.said).toMatch(/200 .*"service":"gateway"/);
  expect(under.code).toBe(7);
  expect(sockets()).toEqual([]);
});

test('a Java program reaches the cluster by name and by address', { timeout: 120_000 }, async () => {
  const ip = await kubectl(['get', 'pod', '-l', 'app=orders', '-o', 'jsonpath={.items[0].status.podIP}']);
  const urls = ['http://orders/', `http://${ip}:8080/`];
  const under = await ended(wine.kt(['run', '--', 'java', '-cp', '.', 'Ask', ...urls, 'http://nope.shop.svc/']));
  for (const url of urls) expect(under.said).toContain(`${url} = {"service":"orders"`);
  expect(under.said).toContain('http://nope.shop.svc/ ! UnknownHostException');
  expect(under.code, under.said).toBe(0);
});

test('the JVM shim in what Windows does otherwise: plain sockets, asynchronous channels, HTTP, refusals', {
  timeout: 120_000,
}, async () => {
  const world = await shimWorld();
  const checks: Readonly<Record<string, string>> = {
    InetAddress: `= [orders.shop/${ORDERS}]`,
    'Socket by name': `= ping ${ORDERS}:7000`,
    'Socket by address with a timeout': `= ping ${ORDERS}:7000`,
    '40 Sockets at once': '= 40 of 40',
    'SocketChannel.socket() with a timeout': '= ping',
    'HttpURLConnection by pod address': `= {"service":"orders","path":"/","host":"${POD}:8080"}`,
    'HttpURLConnection outside': '= outside',
    refused: '! ConnectException: Connection refused (kt: ECONNREFUSED nobody listens there)',
    'refused asynchronous': '! IOException: Connection refused',
    timeout: '! SocketTimeoutException: Connect timed out',
    'unknown name': '! UnknownHostException: nope.shop.svc (kt: ENOTFOUND no such name in the cluster: nope.shop.svc)',
  };
  const { PATH: _, HOME: __, ...env } = world.environment();
  const jar = windowsPath(join(wine.folder, 'dist', 'shims', 'kt-jvm.jar'));
  const under = wine.java(['-cp', '.', 'Checks', ...Object.keys(checks), 'AsynchronousSocketChannel'], {
    ...env,
    JAVA_TOOL_OPTIONS: `-javaagent:"${jar}"`,
  });
  const { said } = await ended(under);
  await world.stop();
  for (const [check, result] of Object.entries(checks)) expect(said).toContain(`${check} ${result}`);
  // Its peer is shown as it is.
  expect(said).toContain('AsynchronousSocketChannel = ping 127.0.0.1/127.0.0.1:');
});

test('a batch file is found without its extension as mvn is', async () => {
  const under = await ended(wine.kt(['run', '--', 'ask', ...ARGUMENTS], plain));
  expect(under.said).toContain(JSON.stringify(ARGUMENTS));
  expect(under.said).toMatch(/200 .*"service":"gateway"/);
  expect(under.code).toBe(7);
  const missing = await ended(wine.kt(['run', '--', 'no-such-program'], plain));
  // In the words of cmd.exe, which looks for it.
  expect(missing.said).toContain("'no-such-program'");
  expect(missing.code).not.toBe(0);
});

describe('a session', () => {
  test('answers by its proxy, is found and stopped by other commands', { timeout: 120_000 }, async () => {
    const session = wine.kt(['connect', '--plain', '--proxyPort', '0', '--dnsPort', '0']);
    await expect.poll(session.said, { timeout: 60_000 }).toContain('Connected to shop');
    const [, proxy = ''] = /proxy {2}(\S+)/.exec(session.said()) ?? [];
    expect((await curl('-x', `socks5h://${proxy}`, 'http://gateway')).stdout).toContain('"service":"gateway"');
    const status = await ended(wine.kt(['status']));
    expect(status).toMatchObject({ code: 0, said: expect.stringContaining(proxy) });
    const [, agent = ''] = /agent (\S+)/.exec(status.said) ?? [];
    expect((await ended(wine.kt(['run', '--', 'node', 'ask.cjs']))).code).toBe(7);
    expect(await ended(wine.kt(['stop']))).toMatchObject({ code: 0, said: expect.stringContaining('stopped shop') });
    expect(await session.ended, session.said()).toBe(0);
    expect(sockets()).toEqual([]);
    await expect.poll(() => kubectl(['get', 'pods', '-o', 'name']), { timeout: 30_000 }).not.toContain(agent);
  });

  test('that was killed is nobody: the next command removes what it left', { timeout: 120_000 }, async () => {
    const session = wine.kt(['connect', '--plain', '--proxyPort', '0', '--dnsPort', '0']);
    await expect.poll(session.said, { timeout: 60_000 }).toContain('Connected to shop');
    const agent = /agent pod (\S+)/.exec(session.said())?.[1] ?? '';
    session.kill();
    await session.ended;
    expect(sockets()).toHaveLength(1);
    const status = await ended(wine.kt(['status']));
    expect(status.said).not.toContain(agent);
    expect(sockets()).toEqual([]);
    await kubectl(['delete', 'pod', agent, '--grace-period=0', '--force', '--ignore-not-found']);
  });
});

test('a pod of the cluster is answered by the program, and by its own pods when that has ended', async () => {
  const command = ['run', '--exchange', `${shop.name}:18123:80`, '--', 'node', 'serve.cjs', '18123'];
  const program = wine.kt(command);
  await expect.poll(program.said, { timeout: 60_000 }).toContain('listening');
  await expect.poll(() => shop.fromPod('/hi'), { timeout: 30_000, interval: 500 }).toContain('from Windows /hi');
  await shop.fromPod('/end');
  expect(await program.ended, program.said()).toBe(5);
  await expect.poll(() => shop.fromPod('/who'), { timeout: 30_000, interval: 500 }).toContain('"service":"stock"');
}, 120_000);

test('the single executable, without a Node beside it', { timeout: 180_000 }, async () => {
  const build = join(laptop.home, 'build');
  execFileSync(process.execPath, ['scripts/sea.mjs', '--node', WINDOWS_NODE, '--out', build, 'win-x64'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const executable = join(wine.folder, 'kt.exe');
  copyFileSync(join(build, readdirSync(build).find((name) => name.endsWith('.exe')) ?? ''), executable);
  rmSync(build, { recursive: true });
  const under = await ended(wine.exe(executable, ['run', '--', 'ask', ...ARGUMENTS], plain));
  expect(under.said).toContain(JSON.stringify(ARGUMENTS));
  expect(under.code, under.said).toBe(7);
  expect((await ended(wine.exe(windowsPath(executable), ['no-such-command']))).code).toBe(2);
});
