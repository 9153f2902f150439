// `kt clean`: removes what ended sessions left in the namespace. See modes/clean.ts for what is safe.
import { cleanAgents } from '../../modes/clean.ts';
import { withClusterApi } from '../cluster-api.ts';
import type { Arguments } from '../options.ts';
import { outputOf } from '../output.ts';

export async function clean(args: Arguments): Promise<number> {
  const output = outputOf(args);
  try {
    await withClusterApi(args, async (api, { namespace }) => {
      const removed = await cleanAgents(
        api,
        namespace,
        typeof args['session'] === 'string' ? args['session'] : undefined,
      );
      output.result(
        { removed },
        removed.length === 0 ? [`nothing of kt is left in ${namespace}`] : removed.map((name) => `removed pod ${name}`),
      );
    });
    return 0;
  } catch (error) {
    return output.failure(error);
  }
}
