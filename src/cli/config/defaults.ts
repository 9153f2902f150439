// Makes what is configured the defaults of a command's flags, so that every command has them and `kt COMMAND --help` shows them.
// The one place where configuration meets yargs. Called by parse.ts and the completion.
import type { Argv } from 'yargs';
import { asKtError, type KtError } from '../../errors.ts';
import type { Declare } from '../declarations.ts';
import { Keys } from './keys.ts';
import { type Layer, merged } from './layers.ts';
import { readLayers } from './read.ts';
import { ConfigStore } from './store.ts';

/** Gives a command that was chosen its defaults. Throws CONFIG_INVALID and CONFIG_UNTRUSTED before the command starts. */
export type Defaults = (command: string, yargs: Argv) => void;

export const NO_DEFAULTS: Defaults = () => undefined;

/** These change or need no configuration, and have to work where it is broken. */
const WITHOUT = ['config', 'completion'];
/** What ends and shows sessions goes on without a configuration that is broken, and says so. */
const ENDING = ['status', 'stop', 'release', 'ui'];

export async function configuredDefaults(argv: readonly string[], declare: Declare): Promise<Defaults> {
  const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  // What kt starts by itself (the screen, the janitor's recover) has everything in its arguments, wherever it runs.
  if (own.some((word) => /^--session(=|$)/.test(word))) return NO_DEFAULTS;
  const help = own.some((word) => word === '--help' || word === '-h');
  const keys = new Keys(declare);
  let layers: readonly Layer[] = [];
  let problem: KtError | undefined;
  const store = new ConfigStore();
  try {
    layers = await readLayers(store, keys, process.env, process.cwd());
  } catch (error) {
    problem = asKtError(error);
  }
  return (command, yargs) => {
    if (WITHOUT.includes(command)) return;
    for (const file of store.foreignFiles(process.cwd())) warn(`${file} belongs to somebody else and is not read`);
    if (problem && !help) {
      if (!ENDING.includes(command)) throw problem;
      warn(`goes on without configuration, for it is broken: ${problem.message}`);
      return;
    }
    try {
      for (const [name, { value }] of merged(layers, command, keys, own)) yargs.default(name, value);
    } catch (error) {
      if (!help) throw error;
    }
  };
}

const warn = (text: string): void => void process.stderr.write(`kt: ${text}\n`);

/** What is configured for a command as texts, for the completion: nothing where it is wrong. */
export async function configuredTexts(declare: Declare, command: string): Promise<Readonly<Record<string, string>>> {
  try {
    const keys = new Keys(declare);
    const layers = await readLayers(new ConfigStore(), keys, process.env, process.cwd());
    const values = [...merged(layers, command, keys, []).values()];
    return Object.fromEntries(
      values.flatMap(({ name, value }) => (typeof value === 'string' ? [[name, value] as const] : [])),
    );
  } catch {
    return {};
  }
}
