// Keeps a taken Service taken: a redeploy or a `helm upgrade` that writes the Service puts its selector back, and callers would leave the
// agent without a word. The new selector becomes the one that is restored, and the origin leads to it. Called by modes/hold.ts.
import { asKtError } from '../../errors.ts';
import { servicePath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { watchList } from '../watch.ts';
import { takePatch } from './apply.ts';
import { nameFor } from './manifests.ts';
import { find } from './objects.ts';
import { servesAll } from './ports.ts';
import { leadBack } from './restore.ts';
import { ownSelector, replaceSelector } from './selector.ts';
import { ENDING_ANNOTATION, type ServiceObject, type TakeoverOwner, type TakeoverPlan } from './types.ts';
import { isTaken, patchService, writeService } from './write-service.ts';

/** A controller that puts its selector back each time must not be fought for ever: it is told after so many times within the window. */
const TIMES_MAX = 10;
const WINDOW_MS = 60_000;

export interface KeepOptions {
  readonly owner: TakeoverOwner;
  readonly signal: AbortSignal;
  /** It was taken away and is taken again. */
  readonly onKept: () => void;
  /** It is not kept any more, and why: the Service goes on with its own pods. `ended`: the agent goes too. */
  readonly onLost: (reason: string, ended: boolean) => void;
}

/** Until `signal` aborts, or it can't be kept. Never rejects. */
export async function keepTaken(api: ClusterApi, plan: TakeoverPlan, options: KeepOptions): Promise<void> {
  const { namespace, service, kind } = plan;
  const { signal, onKept, onLost } = options;
  let times: number[] = [];
  const query = { fieldSelector: `metadata.name=${service}` };
  try {
    for await (const change of watchList<ServiceObject>(api, servicePath(namespace), { query, signal })) {
      if (change.type === 'deleted') return onLost(`the Service ${service} was deleted`, true);
      // Nothing of a preview is to be restored, and who changes it means the preview.
      if (change.type === 'synced' || kind === 'preview') continue;
      if (!servesAll(plan.listens, change.object.spec.ports ?? [])) {
        await leadBack(api, namespace, service);
        return onLost('its ports were changed: end this and take it again', false);
      }
      if (isTaken(change.object)) continue;
      const now = performance.now();
      times = [...times.filter((time) => now - time < WINDOW_MS), now];
      if (times.length > TIMES_MAX) return onLost('something puts its selector back each time', false);
      const outcome = await takeAgain(api, plan, options);
      if (outcome === 'ended') return onLost('somebody gave it back (`kt recover`)', true);
      if (outcome === 'taken') onKept();
    }
  } catch (error) {
    // Without the right to watch it is as with every other tool: a redeploy ends it.
    if (!signal.aborted && kind !== 'preview')
      onLost(`its changes can't be watched: ${asKtError(error).message}`, false);
  }
  return undefined;
}

/** others: somebody else on the same agent was faster. ended: it is given back, or was while this laptop slept. */
async function takeAgain(
  api: ClusterApi,
  plan: TakeoverPlan,
  { owner, signal }: KeepOptions,
): Promise<'taken' | 'others' | 'ended'> {
  const { namespace, service } = plan;
  const name = nameFor(service, 'origin');
  let ended = false;
  const take = async (current: ServiceObject): Promise<object | undefined> => {
    if (isTaken(current)) return undefined;
    const origin = await find<ServiceObject>(api, servicePath(namespace, name), signal);
    ended = origin === undefined || origin.metadata.annotations?.[ENDING_ANNOTATION] !== undefined;
    if (origin === undefined || ended) return undefined;
    const own = ownSelector(current, origin.spec.selector ?? {});
    // The way to the pods first: the agent's callers must not lead to pods that are going. Of the version that was read: it may be marked now.
    const { resourceVersion } = origin.metadata;
    const selector = replaceSelector(origin.spec.selector, own);
    await patchService(api, namespace, name, { metadata: { resourceVersion }, spec: { selector } }, signal);
    return takePatch(current, plan, owner, own);
  };
  if (await writeService(api, namespace, service, take, signal)) return 'taken';
  return ended ? 'ended' : 'others';
}
