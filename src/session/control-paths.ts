// Where sessions leave their local sockets: one private folder per user, one socket per session. Called by control.ts and the CLI.
// On Windows a named pipe, which has the user's own access list; elsewhere a 0600 socket in a 0700 folder.
import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KtError } from '../errors.ts';
import { userName } from './who.ts';

const windows = process.platform === 'win32';

/** The folder, made if it is missing. Throws LISTEN_FAILED where somebody else owns it (a trap in a shared /tmp). */
export function controlFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (windows) return '\\\\.\\pipe\\';
  const uid = process.getuid?.() ?? 0;
  const runtime = env['XDG_RUNTIME_DIR'];
  const folder = env['KT_RUNTIME_DIR'] ?? (runtime ? join(runtime, 'kt') : join(tmpdir(), `kt-${uid}`));
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new KtError('LISTEN_FAILED', `${folder} can't be made: ${(cause as NodeJS.ErrnoException).code ?? ''}`, {
      hint: 'set KT_RUNTIME_DIR to a folder of your own',
      cause,
    });
  }
  const stat = lstatSync(folder);
  if (!stat.isDirectory() || stat.uid !== uid) {
    throw new KtError('LISTEN_FAILED', `${folder} does not belong to you`, {
      hint: 'set KT_RUNTIME_DIR to a folder of your own',
    });
  }
  if ((stat.mode & 0o077) !== 0) chmodSync(folder, 0o700);
  return folder;
}

/** A session's own socket. */
export function controlPath(session: string): string {
  if (!windows) return join(controlFolder(), `${session}.sock`);
  const user = createHash('sha256').update(userName()).digest('hex').slice(0, 8);
  return `\\\\.\\pipe\\kt-${user}-${session}`;
}

/** Every socket there is; some may be left over from a session that was killed. */
export function controlPaths(): string[] {
  if (windows) {
    const user = createHash('sha256').update(userName()).digest('hex').slice(0, 8);
    return readdirSync('\\\\.\\pipe\\')
      .filter((name) => name.startsWith(`kt-${user}-`))
      .map((name) => `\\\\.\\pipe\\${name}`);
  }
  const folder = controlFolder();
  return readdirSync(folder)
    .filter((name) => name.endsWith('.sock'))
    .map((name) => join(folder, name));
}
