// Must: where the local proxy asks for a password, nobody else on the machine gets through it or learns the password, and what kt starts or
// explains works as before: kt run with and without a proxy of the user's, kt env, kt open, kt status.
import { readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { curl, execute, Laptop, type Ready, type Running } from './support/kt.ts';
import { runAs } from './support/programs.ts';

/** Another user of the machine. */
const OTHER_UID = 54_321;
const laptop = new Laptop();
let kt: Running & { ready: Ready };
let file = '';
let password = '';

beforeAll(async () => {
  kt = await laptop.connect(['--proxyAuth', 'password']);
  file = kt.ready.login?.file ?? '';
  password = readFileSync(file, 'utf8').trim();
});
afterAll(async () => {
  await kt?.stop();
  await laptop.close();
});

const status = async (...args: string[]): Promise<string> =>
  (await curl('-o', '/dev/null', '-w', '%{http_code}', ...args, 'http://gateway/')).stdout;

test('SOCKS5 and HTTP ask for it', async () => {
  const { proxy } = kt.ready;
  const [socks, http] = [`socks5h://${proxy}`, `http://${proxy}`];
  expect([await status('-x', socks), await status('-x', http)]).toEqual(['000', '407']);
  const user = ['--proxy-user', `kt:${password}`];
  expect([await status('-x', socks, ...user), await status('-x', http, ...user)]).toEqual(['200', '200']);
});

test('it is in a file that no other user can read, and nowhere else', async () => {
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const other = await execute('setpriv', ['--reuid', `${OTHER_UID}`, '--clear-groups', 'cat', file]);
  expect([other.code, other.stdout]).toEqual([1, '']);
  const { stdout } = await runAs(laptop, [laptop.node, laptop.kt, 'status']);
  expect(stdout).toContain(`user kt, password in ${file}`);
  expect(`${stdout}${kt.stdout}${kt.stderr}`).not.toContain(password);
});

test('kt run: a program with a shim, and one that goes by the proxy variables', async () => {
  const run = [laptop.node, laptop.kt, 'run', '--'];
  const fetched = await runAs(laptop, [
    ...run,
    laptop.node,
    '-e',
    "fetch('http://gateway/').then((a)=>console.log(a.status))",
  ]);
  expect(`${fetched.stdout}${fetched.stderr}`).toContain('200');
  const env = { http_proxy: 'http://127.0.0.1:9', HTTP_PROXY: 'http://127.0.0.1:9' };
  const curled = await runAs(
    laptop,
    [...run, 'curl', '-sS', '-o', '/dev/null', '-w', '%{http_code}', 'http://gateway/'],
    { env },
  );
  expect(`${curled.stdout}${curled.stderr}`).toContain('200');
});

test('kt env and kt open say what it takes', async () => {
  const env = { HTTP_PROXY: 'http://127.0.0.1:9' };
  const printed = await runAs(laptop, [laptop.node, laptop.kt, 'env'], { env });
  expect(printed.stdout).toContain(`http://kt:${password}@${kt.ready.proxy}`);
  const opened = await runAs(laptop, [laptop.node, laptop.kt, 'open', '--print', 'svc/gateway']);
  expect(opened.stdout).toContain(`the browser asks for the proxy's password: user kt, password in ${file}`);
  const pac = (await curl(`http://${kt.ready.proxy}/proxy.pac`)).stdout;
  expect(pac).toContain(`"PROXY ${kt.ready.proxy}"`);
  expect(pac).not.toContain('SOCKS5');
});
