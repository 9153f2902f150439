// The API for a command that asks the cluster without a session: opened for it and closed behind it. Called by commands.
import { type ClusterConfig, loadClusterConfig } from '../cluster/config.ts';
import { ClusterApi } from '../cluster/rest.ts';
import { type Arguments, text } from './arguments.ts';

/** Rejects with what stopped the kubeconfig, or what `work` rejects with. */
export async function withClusterApi<T>(
  args: Arguments,
  work: (api: ClusterApi, config: ClusterConfig) => Promise<T>,
): Promise<T> {
  const [kubeconfig, context, namespace] = [text(args, 'kubeconfig'), text(args, 'context'), text(args, 'namespace')];
  const config = await loadClusterConfig({ kubeconfig, context, namespace });
  const api = new ClusterApi(config);
  try {
    return await work(api, config);
  } finally {
    api.close();
  }
}
