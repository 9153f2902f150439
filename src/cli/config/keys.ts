// The keys of a configuration: the long names of the flags, as parse.ts declares them. `namespace` is for every command that has that flag,
// `exchange.mode` for one. Both of kt-connect's spellings (`proxyPort`, `global.namespace`) are understood. Pure.
// Called by file.ts, layers.ts, read.ts and the command config.
import { camelCase, type Declarations, type Declare, declarations, type Flag } from '../declarations.ts';

/** Commands that have nothing to configure: they are how it is done, or how a shell asks. */
const WITHOUT_KEYS = ['config', 'completion'];
/** kt-connect's name for what is for all commands. */
const GLOBAL = 'global';

export interface Key {
  /** The one command that it is for. */
  readonly section: string | undefined;
  /** The flag's long name, in kebab-case. */
  readonly name: string;
  readonly flag: Flag;
}

/** As it is typed and shown. */
export const keyText = ({ section, name }: Pick<Key, 'section' | 'name'>): string =>
  section === undefined ? name : `${section}.${name}`;

/** KT_PROXY_PORT, KT_EXCHANGE_MODE. */
export const variableOf = (key: Key): string => `KT_${keyText(key).replace(/[-.]/g, '_').toUpperCase()}`;

export class Keys {
  readonly #commands = new Map<string, Declarations>();
  readonly #shared = new Map<string, Key>();

  constructor(declare: Declare) {
    const { builders, flags } = declarations(declare);
    for (const [command, build] of builders) {
      if (WITHOUT_KEYS.includes(command)) continue;
      const found = declarations(build);
      this.#commands.set(command, { ...found, flags: { ...flags, ...found.flags } });
    }
    for (const { flags: own, again } of this.#commands.values())
      this.#share(Object.fromEntries(Object.entries(own).filter(([name]) => !again.has(name))));
  }

  get sections(): readonly string[] {
    return [...this.#commands.keys()];
  }

  /** One for each flag, then those of single commands. */
  get all(): readonly Key[] {
    return [...this.#shared.values(), ...this.sections.flatMap((section) => this.#ofSection(section))];
  }

  /** Whether one of these words gives the flag itself: `--proxy-port=1`, `--proxyPort 1`, `-i node:24`, `--no-service-links`. */
  isGiven({ section, name }: Pick<Key, 'section' | 'name'>, argv: readonly string[]): boolean {
    const key = this.find(section, name);
    const letters = [key?.flag.alias ?? []].flat().filter((one) => one.length === 1);
    const long = key === undefined ? [] : spellings(key).flatMap((one) => [`--${one}`, `--no-${one}`]);
    return argv.some((word) => {
      const [head = ''] = word.split('=');
      return long.includes(head) || letters.some((letter) => word.startsWith(`-${letter}`));
    });
  }

  isSection(word: string): boolean {
    return word === GLOBAL || this.#commands.has(word);
  }

  /** `section` is a command, `global`, or nothing. Aliases give the flag's own name. */
  find(section: string | undefined, word: string): Key | undefined {
    return this.#keysFor(section).find((key) => spellings(key).includes(word));
  }

  /** The key or command that was probably meant; nothing where none is near. */
  suggest(section: string | undefined, word: string): string | undefined {
    const here = nearest(word, this.#keysFor(section), spellings);
    if (here) return keyText(here);
    const command = section === undefined ? nearest(word, [GLOBAL, ...this.sections], (one) => [one]) : undefined;
    if (command !== undefined) return command;
    // At the wrong place.
    const elsewhere = nearest(word, this.all, spellings);
    return elsewhere && keyText(elsewhere);
  }

  /** Whether a command takes a value of this key from a configuration. */
  counts(key: Pick<Key, 'section' | 'name'>, command: string): boolean {
    const declared = this.#commands.get(command);
    if (declared === undefined || !Object.hasOwn(declared.flags, key.name)) return false;
    return key.section === undefined ? !declared.again.has(key.name) : key.section === command;
  }

  #share(flags: Readonly<Record<string, Flag>>): void {
    for (const [name, flag] of Object.entries(flags)) {
      // `exchange: …` is the command's section: the flag of `run` is `run.exchange`.
      if (flag.hidden === true || this.#shared.has(name) || this.isSection(name)) continue;
      this.#shared.set(name, { section: undefined, name, flag });
    }
  }

  #keysFor(section: string | undefined): readonly Key[] {
    return section === undefined || section === GLOBAL ? [...this.#shared.values()] : this.#ofSection(section);
  }

  #ofSection(section: string): readonly Key[] {
    const flags = Object.entries(this.#commands.get(section)?.flags ?? {});
    return flags.filter(([, flag]) => flag.hidden !== true).map(([name, flag]) => ({ section, name, flag }));
  }
}

function spellings({ name, flag }: Key): string[] {
  const names = [name, ...[flag.alias ?? []].flat()].filter((one) => one.length > 1);
  return names.flatMap((one) => [one, camelCase(one)]);
}

function nearest<T>(word: string, from: readonly T[], names: (one: T) => readonly string[]): T | undefined {
  const limit = word.length < 4 ? 1 : Math.max(2, Math.floor(word.length / 3));
  const found = from.map((one) => ({ one, far: Math.min(...names(one).map((name) => distance(name, word))) }));
  return found.filter(({ far }) => far <= limit).toSorted((one, other) => one.far - other.far)[0]?.one;
}

/** Letters to add, drop or change (Levenshtein). Words longer than a key are far from every key. */
function distance(one: string, other: string): number {
  if (one.length > 64 || other.length > 64) return 64;
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [i, letter] of Array.from(one).entries()) {
    const next = [i + 1];
    for (const [j, wanted] of Array.from(other).entries())
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (letter === wanted ? 0 : 1)));
    row = next;
  }
  return row.at(-1) ?? 0;
}
