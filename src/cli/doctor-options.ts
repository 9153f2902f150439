// The flags of doctor. The shared ones are options.ts.
import type { Argv } from 'yargs';
import { withSessionOptions } from './options.ts';

export function withDoctorOptions<T>(yargs: Argv<T>): Argv<T> {
  withSessionOptions(yargs).options({
    'read-only': { type: 'boolean', default: false, describe: 'create nothing: no agent is started' },
    report: { type: 'string', describe: 'also write the findings to this file, without secrets, to send to somebody' },
    rbac: {
      type: 'string',
      array: true,
      describe:
        'only print the Role and RoleBinding for these modes: connect, shared, agentless, exchange, mesh, preview, birdseye',
    },
    'shared-agent': {
      type: 'boolean',
      default: false,
      describe: 'only print the Deployment of an agent for users who may not create pods, for the platform team',
    },
    helpful: { type: 'boolean', default: false, describe: 'with --rbac: also what nothing fails without' },
  });
  return yargs;
}
