// The API for a command that asks the cluster without a session: opened for it and closed behind it. Called by commands.
import { type ClusterConfig, loadClusterConfig } from '../cluster/config.ts';
import { ClusterApi } from '../cluster/rest.ts';
import { type Arguments, text } from './arguments.ts';

/** Which cluster a command means, and the way to it. */
export const whereOf = (
  args: Arguments,
): Record<'kubeconfig' | 'context' | 'namespace' | 'pac', string | undefined> => ({
  kubeconfig: text(args, 'kubeconfig'),
  context: text(args, 'context'),
  namespace: text(args, 'namespace'),
  pac: text(args, 'pac'),
});

/** Rejects with what stopped the kubeconfig, or what `work` rejects with. */
export async function withClusterApi<T>(
  args: Arguments,
  work: (api: ClusterApi, config: ClusterConfig) => Promise<T>,
): Promise<T> {
  const config = await loadClusterConfig(whereOf(args));
  const api = new ClusterApi(config);
  try {
    return await work(api, config);
  } finally {
    api.close();
  }
}
