// Remembers on this laptop which way worked for an API server where the first one did not, so that the next kt need not try in vain. One small
// file for each server, no secret in it; a file that can't be read or written is no error. Called by ways.ts.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { WAYS, type Way } from './names.ts';

/** Milliseconds for which it counts: proxies and rights change. */
const GOOD_MS = 24 * 3_600_000;

function fileOf(server: string): string {
  const { env } = process;
  const base = env['XDG_CACHE_HOME'] || env['LOCALAPPDATA'] || join(env['HOME'] || homedir(), '.cache');
  return join(base, 'kt', `way-${createHash('sha256').update(server).digest('hex').slice(0, 16)}`);
}

export function rememberedWay(server: string): Way | undefined {
  try {
    const [word = '', at = ''] = readFileSync(fileOf(server), 'utf8').split(' ');
    const age = Date.now() - Number(at);
    return age >= 0 && age < GOOD_MS ? WAYS.find((way) => way === word) : undefined;
  } catch {
    return undefined;
  }
}

export function rememberWay(server: string, way: Way): void {
  try {
    const file = fileOf(server);
    mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 });
    writeFileSync(file, `${way} ${Date.now()}\n`, { mode: 0o600 });
  } catch {
    // The next kt tries again; that is all.
  }
}

export function forgetWay(server: string): void {
  try {
    rmSync(fileOf(server), { force: true });
  } catch {
    // As above.
  }
}
