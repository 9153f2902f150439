// The words and flags of `kt config`. What they do is commands/config.ts.
import type { Argv } from 'yargs';

export const CONFIG_ACTIONS = [
  'show',
  'get',
  'set',
  'unset',
  'list-profile',
  'save-profile',
  'load-profile',
  'drop-profile',
  'trust',
  'untrust',
] as const;
export type ConfigAction = (typeof CONFIG_ACTIONS)[number];

export function withConfigOptions<T>(yargs: Argv<T>): Argv<T> {
  yargs
    .positional('action', { choices: CONFIG_ACTIONS, demandOption: true })
    .positional('word', {
      type: 'string',
      array: true,
      describe: 'KEY, KEY VALUE, KEY=VALUE, or the name of a profile',
    })
    .options({
      all: { type: 'boolean', alias: 'a', default: false, describe: 'show: every key; unset: every key' },
      project: {
        type: 'boolean',
        default: false,
        describe: "set and unset in the project's .kt.yaml, not in your file",
      },
      'dry-run': { type: 'boolean', default: false, describe: 'load-profile: only print it' },
    });
  return yargs;
}
