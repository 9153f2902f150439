// Do other people use this machine (VDI, jump host)? Loopback is theirs too, so the local proxy then asks for a password.
// othersOn is pure: it decides by facts, which hostFacts collects. Not for containers: their loopback is their own. Called by proxy-login.ts.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface HostFacts {
  readonly platform: NodeJS.Platform;
  /** undefined on Windows. */
  readonly uid: number | undefined;
  /** Name of the own home folder, which is how Windows is asked. */
  readonly ownHome: string;
  readonly container: boolean;
  /** /etc/passwd; empty where there is none. */
  readonly passwd: string;
  /** Folders below /home, /Users or C:\Users. */
  readonly homes: readonly { readonly name: string; readonly uid: number }[];
  readonly exists: (path: string) => boolean;
}

/** Accounts of people begin here; below are the system's. macOS has its own number and does not list them in /etc/passwd. */
const FIRST_UID = 1_000;
const FIRST_UID_MACOS = 501;
/** nobody, as 16 and as 32 bits have it. */
const NOBODY: ReadonlySet<number> = new Set([65_534, 4_294_967_294]);
const NO_SHELL = /(?:^|\/)(?:nologin|false|sync|halt|shutdown)$/;
const NOT_PEOPLE: ReadonlySet<string> = new Set([
  'public',
  'default',
  'default user',
  'all users',
  'shared',
  'guest',
  'defaultuser0',
  'wdagutilityaccount',
  'lost+found',
]);

/** Names of other people who have a home here and can log in, sorted. */
export function othersOn(facts: HostFacts): string[] {
  if (facts.container) return [];
  const { platform, uid, ownHome, homes } = facts;
  const first = platform === 'darwin' ? FIRST_UID_MACOS : FIRST_UID;
  const isOther = (other: number): boolean => other >= first && other !== uid && !NOBODY.has(other);
  const listed = platform === 'linux' ? loginsOf(facts).filter((one) => isOther(one.uid)) : [];
  // Those of a directory (LDAP, Active Directory) are in no file, but whoever was here has a folder.
  const there = homes.filter(({ name, uid: owner }) => {
    if (name.startsWith('.') || NOT_PEOPLE.has(name.toLowerCase())) return false;
    return platform === 'win32' ? name.toLowerCase() !== ownHome.toLowerCase() : isOther(owner);
  });
  return [...new Set([...listed, ...there].map(({ name }) => name))].toSorted();
}

function loginsOf({ passwd, exists }: HostFacts): { name: string; uid: number }[] {
  return passwd.split('\n').flatMap((line) => {
    const [name = '', , id = '', , , home = '', shell = ''] = line.trim().split(':');
    if (name === '' || !/^\d+$/.test(id) || NO_SHELL.test(shell)) return [];
    return home.length > 1 && exists(home) ? [{ name, uid: Number(id) }] : [];
  });
}

const MARKS = ['/.dockerenv', '/run/.containerenv'];

/** What cannot be read counts as not there. */
export function hostFacts(home: string, env: NodeJS.ProcessEnv = process.env): HostFacts {
  const { platform } = process;
  const folder = platform === 'win32' ? join(home, '..') : platform === 'darwin' ? '/Users' : '/home';
  return {
    platform,
    uid: process.getuid?.(),
    ownHome: basename(home),
    container: MARKS.some((mark) => existsSync(mark)) || env['KUBERNETES_SERVICE_HOST'] !== undefined,
    passwd: quiet(() => readFileSync('/etc/passwd', 'utf8'), ''),
    homes: quiet(() => readdirSync(folder), []).flatMap((name) =>
      quiet(() => {
        const found = statSync(join(folder, name));
        return found.isDirectory() ? [{ name, uid: found.uid }] : [];
      }, []),
    ),
    exists: existsSync,
  };
}

function quiet<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}
