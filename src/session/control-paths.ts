// Where sessions leave their local sockets: one private folder per user, one socket per session. Called by control.ts and the CLI.
// On Windows, where Node's local sockets are named pipes and in no folder, a file there tells of each pipe; elsewhere a 0600 socket in a 0700 folder.
import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { KtError } from '../errors.ts';
import { userName } from './who.ts';

const windows = process.platform === 'win32';

/** The folder for what is this user's alone, made if it is missing. Throws LISTEN_FAILED where somebody else owns it (a trap in a shared /tmp). */
export function runtimeFolder(env: NodeJS.ProcessEnv = process.env): string {
  const folder = env['KT_RUNTIME_DIR'] || usualFolder(env);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new KtError('LISTEN_FAILED', `${folder} can't be made: ${(cause as NodeJS.ErrnoException).code ?? ''}`, {
      hint: 'set KT_RUNTIME_DIR to a folder of your own',
      cause,
    });
  }
  // Of Windows this says nothing; the usual folder there lies in the user's profile, which others can't enter.
  if (windows) return folder;
  const stat = lstatSync(folder);
  if (!stat.isDirectory() || stat.uid !== process.getuid?.()) {
    throw new KtError('LISTEN_FAILED', `${folder} does not belong to you`, {
      hint: 'set KT_RUNTIME_DIR to a folder of your own',
    });
  }
  if ((stat.mode & 0o077) !== 0) chmodSync(folder, 0o700);
  return folder;
}

function usualFolder(env: NodeJS.ProcessEnv): string {
  if (windows) return join(env['LOCALAPPDATA'] || tmpdir(), 'kt');
  const runtime = env['XDG_RUNTIME_DIR'];
  return runtime ? join(runtime, 'kt') : join(tmpdir(), `kt-${process.getuid?.() ?? 0}`);
}

/** A session's own socket; on Windows the file that tells of it. */
export function controlPath(session: string): string {
  return join(runtimeFolder(), `${session}.sock`);
}

/** Every socket there is; some may be left over from a session that was killed. */
export function controlPaths(): string[] {
  const folder = runtimeFolder();
  return readdirSync(folder)
    .filter((name) => name.endsWith('.sock'))
    .map((name) => join(folder, name));
}

/** What node:net listens on and connects to for one of these paths. */
export function endpointOf(path: string): string {
  if (!windows) return path;
  // Pipes of all users have one folder.
  const name = createHash('sha256')
    .update(`${userName()}\n${resolve(path)}`)
    .digest('hex')
    .slice(0, 32);
  return `\\\\.\\pipe\\kt-${name}`;
}
