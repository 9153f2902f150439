// Would the cluster take the agent's pod? Asks it to create one with dryRun=All: Pod Security, quotas, limit ranges and webhooks answer as
// for a real one, and nothing is made. Called by doctor.ts.
import { tryAgent } from '../../../cluster/agent-lifecycle.ts';
import { statusCode } from '../../../cluster/status.ts';
import { asKtError } from '../../../errors.ts';
import type { Check, Outcome } from '../types.ts';

interface Quota {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly hard?: Record<string, string>; readonly used?: Record<string, string> };
}

export const checkNamespace: Check = async (world) => {
  const { api, config, options, mode, signal } = world;
  if (!api || !config) return [];
  const { namespace } = config;
  if (mode !== 'agent') return { verdict: 'skipped', text: 'no agent is started, so no policy is asked' };
  const outcomes: Outcome[] = [];
  try {
    await tryAgent(api, namespace, options.version, options.placement, signal);
    outcomes.push({
      verdict: 'ok',
      text: `'${namespace}' takes the agent's pod: Pod Security, quota and policies agree`,
    });
  } catch (error) {
    if (statusCode(error) === 404) {
      const text = `there is no namespace '${namespace}' in this cluster`;
      return { verdict: 'failed', text, hint: 'name another one with --namespace', code: 'API_STATUS' };
    }
    // Some admission webhooks refuse dry runs because they have side effects; that says nothing of a real pod.
    const { message, hint, code } = asKtError(error);
    if (!/does not support dry run/.test(message)) return { verdict: 'failed', text: message, hint, code };
    outcomes.push({
      verdict: 'ok',
      text: 'a webhook of the cluster takes no dry runs: policies show when the agent is started',
    });
  }
  const quotas = await api
    .request<{ items: Quota[] }>('GET', `/api/v1/namespaces/${encodeURIComponent(namespace)}/resourcequotas`, {
      signal,
    })
    .catch(() => undefined);
  for (const { metadata, status } of quotas?.items ?? []) {
    const used = Object.entries(status?.hard ?? {}).map(
      ([name, hard]) => `${name} ${status?.used?.[name] ?? '?'} of ${hard}`,
    );
    outcomes.push({ verdict: 'ok', text: `quota ${metadata.name}: ${used.join(', ')}` });
  }
  return outcomes;
};
