// Knows whether the agent of a taken Service serves callers: a pod of it is ready, one that drains included. Without it the Service would lead
// to nothing: a node that goes, an image that can't be pulled, an agent that crashes again and again. Changes nothing. Called by keep.ts.
import type { Pod } from '../agent-lifecycle.ts';
import { podPath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { watchList } from '../watch.ts';
import { agentLabels } from './manifests.ts';
import { selectorText } from './objects.ts';

/**
 * Milliseconds without a ready pod before it counts. A container that ended for the first time is ready again after 1.5 s, and so is a new pod:
 * callers with kept-alive connections would go to the original pods for nothing, and stay there.
 */
const GRACE_MS = 2_000;

export interface AgentWatchOptions {
  readonly signal: AbortSignal;
  readonly onChange: (serves: boolean) => void;
  readonly graceMs?: number;
}

/** Until `signal` aborts. Never rejects: without the right to watch pods nothing is known, and nothing is said. */
export async function watchAgent(
  api: ClusterApi,
  namespace: string,
  service: string,
  { signal, onChange, graceMs = GRACE_MS }: AgentWatchOptions,
): Promise<void> {
  const pods = new Map<string, Pod>();
  const query = { labelSelector: selectorText(agentLabels(service)) };
  let serves = true;
  let synced = false;
  let timer: NodeJS.Timeout | undefined;
  const say = (now: boolean): void => {
    timer = undefined;
    if (now === serves || signal.aborted) return;
    serves = now;
    onChange(now);
  };
  try {
    for await (const change of watchList<Pod>(api, podPath(namespace), { query, signal })) {
      if (change.type === 'synced') synced = true;
      else if (change.type === 'deleted') pods.delete(change.object.metadata.name);
      else pods.set(change.object.metadata.name, change.object);
      if (!synced) continue;
      const ready = [...pods.values()].some(isServing);
      // The kubelet waits 10 s and more before it starts that one again.
      const late = !ready && [...pods.values()].some(isHeldBack);
      if (ready || late) {
        clearTimeout(timer);
        say(ready);
      } else timer ??= setTimeout(() => say(false), graceMs);
    }
  } catch {
    // As above.
  } finally {
    clearTimeout(timer);
  }
}

const isServing = ({ status }: Pod): boolean =>
  status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;

const isHeldBack = ({ status }: Pod): boolean =>
  status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff';
