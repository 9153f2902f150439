// `kt birdseye`: the Services of the namespace, who has which of them, and who is connected. Changes nothing in the cluster.
import { birdseye as look } from '../../modes/birdseye/overview.ts';
import type { Arguments } from '../arguments.ts';
import { withClusterApi } from '../cluster-api.ts';
import { endSignals } from '../end-signals.ts';
import { outputOf } from '../output.ts';
import { arrange, type BirdseyeOptions, birdseyeLines } from '../view/birdseye.ts';

export async function birdseye(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  const signals = endSignals();
  try {
    await withClusterApi(args, async (api, { namespace }) => {
      const options: BirdseyeOptions = {
        sortBy: args['sortBy'] === 'name' ? 'name' : 'status',
        showConnector: args['showConnector'] !== false,
        hideNatural: args['hideNaturalService'] === true,
      };
      const overview = await look(api, namespace, version, signals.signal);
      output.result(arrange(overview, options), birdseyeLines(overview, options, Date.now()));
    });
    return 0;
  } catch (error) {
    return output.failure(error);
  } finally {
    signals.dispose();
  }
}
