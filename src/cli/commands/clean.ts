// `kt clean`: removes what ended sessions left in the namespace. See modes/clean.ts for what is safe.
import { loadClusterConfig } from '../../cluster/config.ts';
import { ClusterApi } from '../../cluster/rest.ts';
import { cleanAgents } from '../../modes/clean.ts';
import type { Arguments } from '../options.ts';
import { outputOf } from '../output.ts';

export async function clean(args: Arguments): Promise<number> {
  const output = outputOf(args);
  try {
    const named = (name: string): Record<string, string> =>
      typeof args[name] === 'string' ? { [name]: args[name] } : {};
    const config = await loadClusterConfig({ ...named('kubeconfig'), ...named('context'), ...named('namespace') });
    const api = new ClusterApi(config);
    try {
      const removed = await cleanAgents(
        api,
        config.namespace,
        typeof args['session'] === 'string' ? args['session'] : undefined,
      );
      output.result(
        { removed },
        removed.length === 0
          ? [`nothing of kt is left in ${config.namespace}`]
          : removed.map((name) => `removed pod ${name}`),
      );
    } finally {
      api.close();
    }
    return 0;
  } catch (error) {
    return output.failure(error);
  }
}
