// `kt recover`: gives Services back whose holder is gone. See modes/recover.ts for what is safe.
import { recoverAll, recoverByName, recoveredText } from '../../modes/recover.ts';
import type { Arguments } from '../arguments.ts';
import { withClusterApi } from '../cluster-api.ts';
import { outputOf } from '../output.ts';

export async function recover(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  try {
    await withClusterApi(args, async (api, { namespace }) => {
      const options = {
        version,
        session: typeof args['session'] === 'string' ? args['session'] : undefined,
        force: args['force'] === true,
        dryRun: args['plan'] === true,
      };
      const service = args['service'];
      const results =
        typeof service === 'string'
          ? await recoverByName(api, namespace, service.replace(/^(svc|services?)\//, ''), options)
          : await recoverAll(api, namespace, options);
      output.result(
        { recovered: results },
        results.length === 0
          ? [`no Service of ${namespace} is taken over`]
          : results.map((one) => `${options.dryRun ? 'would be: ' : ''}${recoveredText(one)}`),
      );
    });
    return 0;
  } catch (error) {
    return output.failure(error);
  }
}
