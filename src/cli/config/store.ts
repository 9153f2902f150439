// The files of configuration on the disk: read with a limit, written by rename and 0600, profiles, and the list of trusted folders. What is
// in them is file.ts. Called by read.ts and the command config.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { KtError } from '../../errors.ts';
import { administratorFile, PROJECT_FILE, type System, upwards, userFolder } from './places.ts';

/** Bytes of a file: thousands of keys. A larger one is something else. */
const FILE_MAX = 1 << 20;
/** A name that is a file's name on every system. */
const PROFILE = /^[A-Za-z0-9][\w.-]{0,63}$/;
/** Keeps what `load-profile` replaced. */
export const PREVIOUS = 'previous';

export const thisSystem = (): System => ({ env: process.env, platform: process.platform, home: homedir() });

export class ConfigStore {
  readonly userFile: string;
  readonly administratorFile: string;
  readonly #folder: string;
  readonly #system: System;

  constructor(system: System = thisSystem()) {
    this.#system = system;
    this.#folder = userFolder(system);
    this.userFile = join(this.#folder, 'config.yaml');
    this.administratorFile = administratorFile(system);
  }

  /** The nearest project file at or above `folder`. One that belongs to somebody else is nobody's: on a shared host anybody may write to /tmp. */
  projectFile(folder: string): string | undefined {
    return this.#projectFiles(folder).find((file) => isOurs(file, this.#system.platform));
  }

  /** Those that are nearer than the one that counts, and not read. */
  foreignFiles(folder: string): string[] {
    const files = this.#projectFiles(folder);
    const own = files.findIndex((file) => isOurs(file, this.#system.platform));
    return own < 0 ? files : files.slice(0, own);
  }

  #projectFiles(folder: string): string[] {
    return upwards(folder, this.#system.platform)
      .map((one) => join(one, PROJECT_FILE))
      .filter((file) => existsSync(file));
  }

  /** undefined: there is none. Throws CONFIG_INVALID. */
  read(file: string): string | undefined {
    try {
      if (statSync(file).size > FILE_MAX)
        throw new KtError('CONFIG_INVALID', `${file}: is larger than ${FILE_MAX} bytes; it is no configuration of kt`);
      return readFileSync(file, 'utf8');
    } catch (cause) {
      if (cause instanceof KtError) throw cause;
      if (['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? '')) return undefined;
      throw new KtError('CONFIG_INVALID', `${file}: can't be read: ${(cause as Error).message}`, { cause });
    }
  }

  /** In one step, for this user alone: whoever reads it meanwhile has all of it or the older one. Throws CONFIG_INVALID. */
  write(file: string, text: string): void {
    const target = existsSync(file) ? realpathSync(file) : file;
    const fresh = `${target}.${process.pid}`;
    try {
      mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
      writeFileSync(fresh, text, { mode: 0o600, flag: 'wx' });
      renameSync(fresh, target);
    } catch (cause) {
      rmSync(fresh, { force: true });
      throw new KtError('CONFIG_INVALID', `${file}: can't be written: ${(cause as Error).message}`, { cause });
    }
  }

  profiles(): string[] {
    const folder = join(this.#folder, 'profiles');
    if (!existsSync(folder)) return [];
    const names = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
    return names
      .map((name) => name.slice(0, -'.yaml'.length))
      .filter((name) => PROFILE.test(name))
      .toSorted();
  }

  /** Throws USAGE where this can't be a profile's name. */
  profileFile(name: string): string {
    if (!PROFILE.test(name))
      throw new KtError('USAGE', `'${name}' is no name for a profile: letters, digits, dots, - and _, 64 at most`);
    return join(this.#folder, 'profiles', `${name}.yaml`);
  }

  /** Throws USAGE where there is none. */
  readProfile(name: string): string {
    const text = this.read(this.profileFile(name));
    if (text !== undefined) return text;
    const names = this.profiles();
    throw new KtError('USAGE', `there is no profile '${name}'`, {
      hint: names.length === 0 ? '`kt config save-profile NAME` makes one' : `there are: ${names.join(', ')}`,
    });
  }

  dropProfile(name: string): void {
    this.readProfile(name);
    rmSync(this.profileFile(name));
  }

  /** By the folder's true path. A list that is broken trusts nothing. */
  isTrusted(folder: string): boolean {
    return this.#trusted().includes(truePath(folder));
  }

  trust(folder: string, yes: boolean): void {
    const path = truePath(folder);
    const others = this.#trusted().filter((one) => one !== path);
    this.write(this.#trustFile, `${JSON.stringify(yes ? [...others, path] : others, null, 2)}\n`);
  }

  get #trustFile(): string {
    return join(this.#folder, 'trusted.json');
  }

  #trusted(): string[] {
    try {
      const list: unknown = JSON.parse(this.read(this.#trustFile) ?? '[]');
      return Array.isArray(list) ? list.filter((one) => typeof one === 'string') : [];
    } catch {
      return [];
    }
  }
}

/** The user's own, or the administrator's: what a file says may be done then. Windows has no such mark. */
export function isOurs(file: string, platform: NodeJS.Platform = process.platform): boolean {
  if (platform === 'win32') return true;
  const { uid } = statSync(file);
  return uid === 0 || uid === process.getuid?.();
}

function truePath(folder: string): string {
  return existsSync(folder) ? realpathSync(folder) : folder;
}
