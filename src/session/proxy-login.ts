// The user name and password that the local proxy asks for, or none: --proxyAuth, --proxyUser. Where it is kt's own, the password is in a
// file that only the user can read, and stays the same, so that a tool that has it once goes on. Called by listeners.ts.
import { randomBytes } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { KtError } from '../errors.ts';
import { hostFacts, othersOn } from './shared-host.ts';
import type { SessionOptions } from './types.ts';

export interface ProxyLogin {
  readonly username: string;
  readonly password: string;
  /** Where the password can be read; null where the user gave it. */
  readonly file: string | null;
  /** Other people of this machine, where they are why. */
  readonly others: readonly string[];
}

const USERNAME = 'kt';
/** Bytes of the password: nobody guesses it. */
const PASSWORD_BYTES = 18;

export interface LoginSources {
  readonly env: NodeJS.ProcessEnv;
  /** Other people of this machine. */
  readonly others: () => readonly string[];
}

const machine: LoginSources = {
  env: process.env,
  others: () => othersOn(hostFacts(homedir())),
};

/** undefined: the proxy asks for nothing. Throws USAGE, or LISTEN_FAILED where the file can't be kept. */
export function proxyLogin(
  { proxyUser, proxyAuth = 'none' }: Pick<SessionOptions, 'proxyUser' | 'proxyAuth'>,
  { env, others }: LoginSources = machine,
): ProxyLogin | undefined {
  if (proxyUser !== undefined) {
    const password = env['KT_PROXY_PASSWORD'];
    if (password) return { username: proxyUser, password, file: null, others: [] };
    throw new KtError('USAGE', '--proxyUser needs a password in $KT_PROXY_PASSWORD', {
      hint: 'never on the command line: others can read that',
    });
  }
  if (proxyAuth === 'none') return undefined;
  const people = proxyAuth === 'auto' ? others() : [];
  if (proxyAuth === 'auto' && people.length === 0) return undefined;
  const file = passwordFile(env);
  return { username: USERNAME, password: keptPassword(file), file, others: people };
}

function passwordFile(env: NodeJS.ProcessEnv): string {
  const given = env['XDG_CONFIG_HOME'] ?? '';
  const home = env['HOME'] || homedir();
  if (process.platform === 'win32') return join(env['LOCALAPPDATA'] || homedir(), 'kt', 'proxy-password');
  return join(isAbsolute(given) ? given : join(home, '.config'), 'kt', 'proxy-password');
}

/** The password of the file; a new one where it has none. Two that start at once agree on one. */
function keptPassword(file: string): string {
  const kept = read(file);
  if (kept !== undefined) return kept;
  const fresh = `${file}.${process.pid}`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(fresh, `${randomBytes(PASSWORD_BYTES).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
    try {
      linkSync(fresh, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(fresh, { force: true });
    }
  } catch (cause) {
    throw unusable(file, (cause as NodeJS.ErrnoException).code ?? '', cause);
  }
  const password = read(file);
  if (password === undefined) throw unusable(file, 'it is gone again');
  return password;
}

function read(file: string): string | undefined {
  let text: string;
  try {
    // Before it is read: a copy or an editor may have opened it to others.
    if (process.platform !== 'win32') chmodSync(file, 0o600);
    text = readFileSync(file, 'utf8').trim();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw unusable(file, code ?? '', cause);
  }
  // SOCKS5 takes 255 bytes; what is in a URL must be one line.
  if (/^[!-~]{8,255}$/.test(text)) return text;
  throw unusable(file, 'it holds no password of 8 to 255 characters');
}

const unusable = (file: string, why: string, cause?: unknown): KtError =>
  new KtError('LISTEN_FAILED', `the password of the local proxy can't be kept in ${file}: ${why}`, {
    hint: 'remove that file, or choose: --proxyUser NAME with KT_PROXY_PASSWORD, or --proxyAuth none',
    cause,
  });
