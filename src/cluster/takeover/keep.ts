// Keeps a taken Service taken: a redeploy or a `helm upgrade` that writes the Service puts its selector back, and callers would leave the
// agent without a word. The new selector becomes the one that is restored, and the origin leads to it. Where the agent itself is gone for more than
// a moment (agent-watch.ts), the Service leads to its own pods until it is back. Called by modes/hold.ts.
import { asKtError } from '../../errors.ts';
import { servicePath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { watchList } from '../watch.ts';
import { watchAgent } from './agent-watch.ts';
import { takePatch } from './apply.ts';
import { journalOf } from './journal.ts';
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
  /** It was taken away and is taken again; why. */
  readonly onKept: (reason: string) => void;
  /** It has no agent at this moment, and leads to its own pods until it has one again. */
  readonly onAway: () => void;
  /** It is not kept any more, and why: the Service goes on with its own pods. `ended`: the agent goes too. */
  readonly onLost: (reason: string, ended: boolean) => void;
}

/** Until `signal` aborts, or it can't be kept. Never rejects. */
export async function keepTaken(api: ClusterApi, plan: TakeoverPlan, options: KeepOptions): Promise<void> {
  // Nothing of a preview is to be restored, there are no other pods, and who changes it means the preview.
  if (plan.kind === 'preview') return;
  const over = new AbortController();
  const signal = AbortSignal.any([options.signal, over.signal]);
  const keeper = new Keeper(api, plan, { ...options, signal });
  void watchAgent(api, plan.namespace, plan.service, { signal, onChange: (serves) => keeper.agentChanged(serves) });
  try {
    await keeper.run();
  } catch (error) {
    // Without the right to watch it is as with every other tool: a redeploy ends it.
    if (!signal.aborted) options.onLost(`its changes can't be watched: ${asKtError(error).message}`, false);
  } finally {
    over.abort();
  }
}

class Keeper {
  readonly #api: ClusterApi;
  readonly #plan: TakeoverPlan;
  readonly #options: KeepOptions;
  /** Is there an agent to lead callers to? */
  #serves = true;
  #times: number[] = [];

  constructor(api: ClusterApi, plan: TakeoverPlan, options: KeepOptions) {
    this.#api = api;
    this.#plan = plan;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { namespace, service, listens } = this.#plan;
    const { signal, onLost } = this.#options;
    const query = { fieldSelector: `metadata.name=${service}` };
    for await (const change of watchList<ServiceObject>(this.#api, servicePath(namespace), { query, signal })) {
      if (change.type === 'deleted') return onLost(`the Service ${service} was deleted`, true);
      if (change.type === 'synced') continue;
      if (!servesAll(listens, change.object.spec.ports ?? [])) {
        await leadBack(this.#api, namespace, service);
        return onLost('its ports were changed: end this and take it again', false);
      }
      // Without an agent it is this that led it to its own pods.
      if (isTaken(change.object) || !this.#serves) continue;
      const now = performance.now();
      this.#times = [...this.#times.filter((time) => now - time < WINDOW_MS), now];
      if (this.#times.length > TIMES_MAX) return onLost('something puts its selector back each time', false);
      const outcome = await takeAgain(this.#api, this.#plan, this.#options);
      if (outcome === 'ended') return onLost('somebody gave it back (`kt recover`)', true);
      if (outcome === 'taken') this.#options.onKept('it was written by somebody (a redeploy?)');
    }
    return undefined;
  }

  agentChanged(serves: boolean): void {
    this.#serves = serves;
    const { onAway, onKept } = this.#options;
    const done = serves
      ? takeAgain(this.#api, this.#plan, this.#options).then((outcome) => {
          if (outcome === 'taken') onKept('its agent is there again');
        })
      : this.#leadAway().then((led) => {
          if (led) onAway();
        });
    // The API can't be reached: the next change says it again.
    done.catch(() => undefined);
  }

  /** To its own pods, while it stays ours: the journal stays, and with it who holds it. */
  #leadAway(): Promise<boolean> {
    const { namespace, service } = this.#plan;
    const away = (current: ServiceObject): object | undefined => {
      const journal = journalOf(current);
      if (this.#serves || !journal || journal === 'unreadable' || !isTaken(current)) return undefined;
      const { resourceVersion } = current.metadata;
      const selector = replaceSelector(current.spec.selector, journal.selector);
      return { metadata: { resourceVersion }, spec: { selector } };
    };
    return writeService(this.#api, namespace, service, away, this.#options.signal);
  }
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
