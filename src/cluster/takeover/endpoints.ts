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
  readonly endpoints?: readonly {
    readonly conditions?: { readonly ready?: boolean };
    readonly targetRef?: { readonly name?: string };
  }[];
}

/** `to`: the agent, or the Service's own pods. `signal` ends it with an error. */
export async function callersMoved(
  api: ClusterApi,
  namespace: string,
  service: string,
  to: 'agent' | 'pods',
  signal?: AbortSignal,
): Promise<void> {
  const agents = async (): Promise<Set<string>> =>
    new Set((await agentPods(api, namespace, service, signal)).map(({ metadata }) => metadata.name));
  let known: Set<string> | undefined;
  await endpointsAre(api, namespace, service, signal, async (names) => {
    known ??= await agents();
    return names.every((name) => known?.has(name) === (to === 'agent'));
  });
  await wait(SETTLE_MS, undefined, { signal });
}

/** Until a connection to the Service reaches a pod, after there was none for a while. */
export async function podsReachable(
  api: ClusterApi,
  namespace: string,
  service: string,
  signal?: AbortSignal,
): Promise<void> {
  await endpointsAre(api, namespace, service, signal, (names) => names.length > 0);
  // Twice the time: until now each kube-proxy refused, which callers would see.
  await wait(2 * SETTLE_MS, undefined, { signal });
}

async function endpointsAre(
  api: ClusterApi,
  namespace: string,
  service: string,
  signal: AbortSignal | undefined,
  fits: (readyPods: readonly string[]) => boolean | Promise<boolean>,
): Promise<void> {
  const end = performance.now() + ENDPOINTS_MS;
  const selector = `kubernetes.io/service-name=${service}`;
  try {
    while (performance.now() < end) {
      const slices = await list<EndpointSlice>(api, endpointSlicesPath(namespace), selector, signal);
      const endpoints = slices.flatMap((slice) => slice.endpoints ?? []);
      const ready = endpoints.filter(({ conditions }) => conditions?.ready !== false);
      if (await fits(ready.map(({ targetRef }) => targetRef?.name ?? ''))) return;
      await wait(POLL_MS, undefined, { signal });
    }
  } catch (error) {
    if (signal?.aborted) throw error;
    // It only shortens the wait.
  }
}
