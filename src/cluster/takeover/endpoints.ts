// Waits until callers of a Service are led where its selector says: the endpoints have to change, and every kube-proxy has to hear of it.
// Without the right to look at endpoints, or at the limit, it goes on: the settle time follows in any case. Called by restore.ts and scale.ts.
import { setTimeout as wait } from 'node:timers/promises';
import { endpointSlicesPath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { agentPods, list } from './objects.ts';

/** Milliseconds for the endpoints to be the new ones; the controller needs some 100. */
const ENDPOINTS_MS = 10_000;
/** Milliseconds until every kube-proxy has heard of it: its sync period is 1 s. */
const SETTLE_MS = 1_200;
const POLL_MS = 200;

interface EndpointSlice {
  readonly endpoints?: readonly { readonly targetRef?: { readonly name?: string } }[];
}

/** `to`: the agent, or the Service's own pods. `signal` ends it with an error. */
export async function callersMoved(
  api: ClusterApi,
  namespace: string,
  service: string,
  to: 'agent' | 'pods',
  signal?: AbortSignal,
): Promise<void> {
  const path = endpointSlicesPath(namespace);
  const end = performance.now() + ENDPOINTS_MS;
  try {
    const agents = new Set((await agentPods(api, namespace, service, signal)).map(({ metadata }) => metadata.name));
    while (performance.now() < end) {
      const slices = await list<EndpointSlice>(api, path, `kubernetes.io/service-name=${service}`, signal);
      const names = slices.flatMap(({ endpoints }) => endpoints ?? []).map(({ targetRef }) => targetRef?.name ?? '');
      if (names.every((name) => agents.has(name) === (to === 'agent'))) break;
      await wait(POLL_MS, undefined, { signal });
    }
  } catch (error) {
    if (signal?.aborted) throw error;
    // It only shortens the wait.
  }
  await wait(SETTLE_MS, undefined, { signal });
}
