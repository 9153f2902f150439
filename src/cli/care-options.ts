// The flags of recover and clean; kt-connect's names where it has them. What they become is commands/recover.ts and commands/clean.ts.
import type { Argv } from 'yargs';
import { PLAN_OPTION } from './options.ts';

export function withRecoverOptions<T>(yargs: Argv<T>): Argv<T> {
  yargs
    .positional('service', { type: 'string' })
    .option('session', { type: 'string', hidden: true })
    .option('plan', PLAN_OPTION)
    .option('force', { type: 'boolean', default: false, describe: 'also where somebody holds it' });
  return yargs;
}

export function withCleanOptions<T>(yargs: Argv<T>): Argv<T> {
  yargs.options({
    'dry-run': {
      type: 'boolean',
      alias: 'plan',
      default: false,
      describe: 'say what would be cleaned, and change nothing',
    },
    'threshold-in-minus': {
      type: 'number',
      alias: 'threshold-in-minutes',
      default: 5,
      describe: 'minutes without a sign of life after which something is left over',
    },
    'local-only': { type: 'boolean', default: false, describe: 'only this laptop; the cluster is not asked' },
    session: { type: 'string', hidden: true },
  });
  return yargs;
}
