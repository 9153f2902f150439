// The flags of birdseye: kt-connect's, with its spelling of some versions beside it. What they become is commands/birdseye.ts.
import type { Argv } from 'yargs';

export function withBirdseyeOptions<T>(yargs: Argv<T>): Argv<T> {
  yargs.options({
    'sort-by': {
      type: 'string',
      choices: ['status', 'name'] as const,
      default: 'status' as const,
      describe: 'taken Services first, or all by name',
    },
    'show-connector': { type: 'boolean', default: true, describe: 'who is connected' },
    'hide-natural-service': {
      type: 'boolean',
      alias: 'hide-naughty-service',
      default: false,
      describe: 'only Services that somebody has taken',
    },
  });
  return yargs;
}
