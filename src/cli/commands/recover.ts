// `kt recover`: gives Services back whose holder is gone. See modes/recover.ts for what is safe.
import { type Recovered, recoverAll, recoverService } from '../../modes/recover.ts';
import { withClusterApi } from '../cluster-api.ts';
import type { Arguments } from '../options.ts';
import { outputOf } from '../output.ts';

export async function recover(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  try {
    await withClusterApi(args, async (api, { namespace }) => {
      const options = {
        version,
        session: typeof args['session'] === 'string' ? args['session'] : undefined,
        force: args['force'] === true,
      };
      const service = args['service'];
      const results =
        typeof service === 'string'
          ? [await recoverService(api, namespace, service.replace(/^(svc|services?)\//, ''), options)]
          : await recoverAll(api, namespace, options);
      output.result(
        { recovered: results },
        results.length === 0 ? [`no Service of ${namespace} is taken over`] : results.map(line),
      );
    });
    return 0;
  } catch (error) {
    return output.failure(error);
  }
}

function line({ service, outcome, by }: Recovered): string {
  switch (outcome) {
    case 'restored':
      return `${service} is given back to its original pods`;
    case 'cleaned':
      return `${service}: what an unfinished take-over left is removed`;
    case 'held':
      return `${service} is held by ${by ?? 'somebody'}: left as it is (--force gives it back all the same)`;
    default:
      return `${service} was not taken over: nothing to do`;
  }
}
