// What parse.ts declares, read without yargs: a stand-in takes the declarations down. The commands and flags that it finds are what the
// completion offers and what a configuration may hold, so that neither has a list of its own. Pure.
// Called by completion/words.ts and config/keys.ts.
import type { Argv } from 'yargs';

export interface Flag {
  readonly type?: string;
  readonly alias?: string | readonly string[];
  readonly choices?: readonly unknown[];
  readonly hidden?: boolean;
  readonly array?: boolean;
}

/** Declares every command on `yargs`: of parse.ts. */
export type Declare = (yargs: Argv) => unknown;

export interface Declarations {
  readonly flags: Readonly<Record<string, Flag>>;
  /** Flags that were declared twice: a command gave a shared one a meaning of its own. */
  readonly again: ReadonlySet<string>;
  /** Of the words. */
  readonly choices: readonly unknown[];
  /** Commands that somebody types, by their first word. */
  readonly builders: ReadonlyMap<string, Declare>;
}

export function declarations(declare: Declare): Declarations {
  const flags: Record<string, Flag> = {};
  const again = new Set<string>();
  const choices: unknown[] = [];
  const builders = new Map<string, Declare>();
  const recorder = {
    command: (usage: string, describe: unknown, build: Declare) => {
      if (describe !== false) builders.set(usage.split(' ')[0] ?? '', build);
      return recorder;
    },
    option: (name: string, flag: Flag) => {
      if (Object.hasOwn(flags, name)) again.add(name);
      flags[name] = flag;
      return recorder;
    },
    options: (more: Readonly<Record<string, Flag>>) => {
      for (const [name, flag] of Object.entries(more)) recorder.option(name, flag);
      return recorder;
    },
    positional: (_name: string, flag: Flag) => {
      choices.push(...(flag.choices ?? []));
      return recorder;
    },
  };
  declare(recorder as unknown as Argv);
  return { flags, again, choices, builders };
}

/** proxy-port → proxyPort: kt-connect's spelling, which is understood everywhere. */
export const camelCase = (name: string): string =>
  name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
