// What the local proxy asks for: nothing, a password of kt's own, or the user's.
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { KtError } from '../../src/errors.ts';
import { type ProxyLogin, proxyLogin } from '../../src/session/proxy-login.ts';

type Options = Parameters<typeof proxyLogin>[0];

function laptop(...others: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'kt-login-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const base = { XDG_CONFIG_HOME: folder, LOCALAPPDATA: folder };
  return {
    file: join(folder, 'kt', 'proxy-password'),
    login: (options: Options, env: NodeJS.ProcessEnv = {}): ProxyLogin | undefined =>
      proxyLogin(options, { env: { ...base, ...env }, others: () => others }),
  };
}

test('alone on the machine it asks for nothing, and no file is made', () => {
  const { login, file } = laptop();
  expect(login({ proxyAuth: 'auto' })).toBeUndefined();
  expect(login({ proxyAuth: 'none' })).toBeUndefined();
  expect(login({})).toBeUndefined();
  expect(() => statSync(file)).toThrow('ENOENT');
});

test('where others are, it asks for a password from a file of the user alone, the same in each session', () => {
  const { login, file } = laptop('leo', 'mei');
  const first = login({ proxyAuth: 'auto' });
  expect(first).toMatchObject({ username: 'kt', file, others: ['leo', 'mei'] });
  expect(first?.password).toMatch(/^[\w-]{24}$/);
  expect(readFileSync(file, 'utf8')).toBe(`${first?.password}\n`);
  if (process.platform !== 'win32') expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(login({ proxyAuth: 'auto' })?.password).toBe(first?.password);
});

test('can be wanted anywhere, and turned off anywhere', () => {
  expect(laptop().login({ proxyAuth: 'password' })).toMatchObject({ username: 'kt', others: [] });
  expect(laptop('leo').login({ proxyAuth: 'none' })).toBeUndefined();
});

test("the user's own name and password come before", () => {
  const { login } = laptop('leo');
  const own = { username: 'dev', password: 'pw', file: null };
  expect(login({ proxyUser: 'dev', proxyAuth: 'auto' }, { KT_PROXY_PASSWORD: 'pw' })).toMatchObject(own);
  expect(() => login({ proxyUser: 'dev', proxyAuth: 'none' })).toThrow('--proxyUser needs a password');
});

test('a file that others could read is theirs no more', () => {
  const { login, file } = laptop();
  const password = login({ proxyAuth: 'password' })?.password;
  chmodSync(file, 0o644);
  expect(login({ proxyAuth: 'password' })?.password).toBe(password);
  if (process.platform !== 'win32') expect(statSync(file).mode & 0o777).toBe(0o600);
});

test.each([
  ['empty', ''],
  ['too short', 'abc'],
  ['several lines', 'first-password\nsecond-password\n'],
  ['too long for SOCKS5', 'x'.repeat(256)],
])('a file that holds no password (%s) is named, not replaced', (_, content) => {
  const { login, file } = laptop();
  login({ proxyAuth: 'password' });
  writeFileSync(file, content);
  const failed = ((): KtError => {
    try {
      login({ proxyAuth: 'password' });
    } catch (error) {
      return error as KtError;
    }
    throw new Error('it was taken');
  })();
  expect(failed).toMatchObject({ code: 'LISTEN_FAILED' });
  expect(failed.message).toContain(file);
  expect(readFileSync(file, 'utf8')).toBe(content);
});
