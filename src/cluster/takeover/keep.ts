// Keeps a taken Service taken: a redeploy or a `helm upgrade` that writes the Service puts its selector back, and callers would leave the
// agent without a word. The new selector becomes the one that is restored, and the origin leads to it. Called by modes/hold.ts.
import { asKtError } from '../../errors.ts';
import { servicePath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { watchList } from '../watch.ts';
import { takePatch } from './apply.ts';
import { nameFor } from './manifests.ts';
import type { ServiceObject, TakeoverOwner, TakeoverPlan } from './types.ts';
import { isTaken, patchService, replaceSelector, writeService } from './write-service.ts';

/** A controller that puts its selector back each time must not be fought for ever: it is told after so many times within the window. */
const TIMES_MAX = 10;
const WINDOW_MS = 60_000;

export interface KeepOptions {
  readonly owner: TakeoverOwner;
  readonly signal: AbortSignal;
  /** It was taken away and is taken again. */
  readonly onKept: () => void;
  /** It is not kept any more, and why: the Service goes on with its own pods. */
  readonly onLost: (reason: string) => void;
}

/** Until `signal` aborts, or it can't be kept. Never rejects. */
export async function keepTaken(api: ClusterApi, plan: TakeoverPlan, options: KeepOptions): Promise<void> {
  const { namespace, service } = plan;
  const { signal, onKept, onLost } = options;
  let times: number[] = [];
  const query = { fieldSelector: `metadata.name=${service}` };
  try {
    for await (const change of watchList<ServiceObject>(api, servicePath(namespace), { query, signal })) {
      if (change.type === 'deleted') return onLost(`the Service ${service} was deleted`);
      if (change.type === 'synced' || isTaken(change.object)) continue;
      // Nothing is to be restored, and who changes it means the preview.
      if (plan.kind === 'preview') continue;
      const now = performance.now();
      times = [...times.filter((time) => now - time < WINDOW_MS), now];
      if (times.length > TIMES_MAX) return onLost(`something puts the selector of ${service} back each time`);
      if (await takeAgain(api, plan, options)) onKept();
    }
  } catch (error) {
    // Without the right to watch it is as with every other tool: a redeploy ends it.
    if (!signal.aborted && plan.kind !== 'preview')
      onLost(`changes of ${service} can't be watched: ${asKtError(error).message}`);
  }
  return undefined;
}

/** False where somebody else on the same agent was faster. */
function takeAgain(api: ClusterApi, plan: TakeoverPlan, { owner, signal }: KeepOptions): Promise<boolean> {
  const { namespace, service } = plan;
  const name = nameFor(service, 'origin');
  const take = async (current: ServiceObject): Promise<object | undefined> => {
    if (isTaken(current)) return undefined;
    // The way to the pods first: the agent's callers must not lead to pods that are going.
    const origin = await api.request<ServiceObject>('GET', servicePath(namespace, name), { signal });
    const selector = replaceSelector(origin.spec.selector, current.spec.selector);
    await patchService(api, namespace, name, { spec: { selector } }, signal);
    return takePatch(current, plan, owner);
  };
  return writeService(api, namespace, service, take, signal);
}
