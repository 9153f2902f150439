// `kt birdseye`: the Services of the namespace, who has which of them, and who is connected. Changes nothing in the cluster.
import { loadClusterConfig } from '../../cluster/config.ts';
import { ClusterApi } from '../../cluster/rest.ts';
import { birdseye as look } from '../../modes/birdseye/overview.ts';
import { endSignals } from '../end-signals.ts';
import type { Arguments } from '../options.ts';
import { outputOf } from '../output.ts';
import { arrange, type BirdseyeOptions, birdseyeLines } from '../view/birdseye.ts';

export async function birdseye(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  const signals = endSignals();
  try {
    const named = (name: string): Record<string, string> =>
      typeof args[name] === 'string' ? { [name]: args[name] } : {};
    const config = await loadClusterConfig({ ...named('kubeconfig'), ...named('context'), ...named('namespace') });
    const api = new ClusterApi(config);
    try {
      const options: BirdseyeOptions = {
        sortBy: args['sortBy'] === 'name' ? 'name' : 'status',
        showConnector: args['showConnector'] !== false,
        hideNatural: args['hideNaturalService'] === true,
      };
      const overview = await look(api, config.namespace, version, signals.signal);
      output.result(arrange(overview, options), birdseyeLines(overview, options, Date.now()));
    } finally {
      api.close();
    }
    return 0;
  } catch (error) {
    return output.failure(error);
  } finally {
    signals.dispose();
  }
}
