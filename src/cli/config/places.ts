// Where configuration stands on this system. Pure: paths from variables and folders, no look at the disk. Called by read.ts and store.ts.
import { posix, win32 } from 'node:path';

export const PROJECT_FILE = '.kt.yaml';

export interface System {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  readonly home: string;
}

/** The user's folder: config.yaml, profiles/ and the list of trusted folders. */
export function userFolder({ env, platform, home }: System): string {
  if (platform === 'win32') return win32.join(env['APPDATA'] || win32.join(home, 'AppData', 'Roaming'), 'kt');
  const given = env['XDG_CONFIG_HOME'] ?? '';
  // A relative one is not to be used, says the XDG specification.
  return posix.join(posix.isAbsolute(given) ? given : posix.join(home, '.config'), 'kt');
}

export const administratorFile = ({ env, platform }: System): string =>
  platform === 'win32'
    ? win32.join(env['ProgramData'] || 'C:\\ProgramData', 'kt', 'config.yaml')
    : '/etc/kt/config.yaml';

/** The folder and those above it, nearest first: where a project's file may be. */
export function upwards(folder: string, platform: NodeJS.Platform): string[] {
  const path = platform === 'win32' ? win32 : posix;
  const found = [path.resolve(folder)];
  for (;;) {
    const last = found.at(-1) ?? folder;
    const above = path.dirname(last);
    if (above === last) return found;
    found.push(above);
  }
}
