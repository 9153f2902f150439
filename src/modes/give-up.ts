// Gives one held Service up: the laptop leaves, and the Service is given back unless somebody else is on it still; a preview and a labelled
// endpoint are removed. Called by hold.ts, once for each.
import { REPLICAS_MS, removeAgent, restoreService } from '../cluster/takeover/restore.ts';
import { forgetScaled, scaleBack, waitForReplicas } from '../cluster/takeover/scale.ts';
import type { ScaledWorkload, TakeoverPlan } from '../cluster/takeover/types.ts';
import { asKtError, KtError } from '../errors.ts';
import { holderName } from '../netstack/link/control.codec.ts';
import type { IngressLink } from '../session/inbound/ingress-link.ts';
import type { HoldContext } from './hold-request.ts';
import { recoverService } from './recover.ts';

/** Milliseconds until it is said that giving back takes long: it takes 2 s where the cluster answers. */
const SLOW_MS = 5_000;

/** Rejects with SERVICE_NOT_RESTORED where something is left. */
export async function giveUp(
  context: HoldContext,
  plan: TakeoverPlan,
  link: IngressLink,
  recoverWaitMs = REPLICAS_MS,
): Promise<void> {
  const { api, namespace, emit, session, version } = context;
  const { service, kind, manual } = plan;
  const onStep = (text: string): void => emit({ type: 'step', id: service, state: 'started', text });
  const slow = setTimeout(() => emit({ type: 'step', id: service, state: 'waiting', text: slowText(plan) }), SLOW_MS);
  try {
    if (manual) {
      // It takes its callers until it is gone: its pod stops being an endpoint first.
      onStep(`delete deployment/${manual.agent.deployment}`);
      await removeAgent(api, namespace, manual.agent);
      emit({ type: 'released', service, kind, restored: true });
      return;
    }
    if (plan.scaled) {
      // It says itself what it waits for.
      clearTimeout(slow);
      await bringPodsBack(context, service, plan.scaled, recoverWaitMs);
    }
    const others = await link.leave().catch(() => undefined);
    if (others !== undefined && others.length > 0) {
      if (plan.scaled) await forgetScaled(api, namespace, service);
      const remaining = others.map(holderName).join(', ');
      emit({ type: 'released', service, kind, restored: false, remaining });
      return;
    }
    const scaledBack = plan.scaled !== undefined;
    // Nobody could be asked: `recover` decides by what the agent says, and waits for nobody who is alive.
    if (others === undefined) {
      const { outcome, by } = await recoverService(api, namespace, service, { session, version });
      const held = outcome === 'held';
      emit({
        type: 'released',
        service,
        kind,
        restored: !held,
        ...(held && by !== undefined ? { remaining: by } : {}),
      });
      return;
    }
    await restoreService(api, namespace, service, { onStep, onReturned: () => link.retire(), scaledBack });
    emit({ type: 'released', service, kind, restored: true });
  } catch (error) {
    throw notRestored(plan, error);
  } finally {
    clearTimeout(slow);
    link.close();
  }
}

/** While the laptop still answers; one more Ctrl-C goes on without waiting for them. */
async function bringPodsBack(
  { api, namespace, emit, skippable }: HoldContext,
  service: string,
  scaled: readonly ScaledWorkload[],
  limitMs: number,
): Promise<void> {
  emit({
    type: 'step',
    id: service,
    state: 'started',
    text: `scale ${scaled.map(({ name }) => name).join(', ')} back`,
  });
  await scaleBack(api, namespace, scaled);
  const onWaiting = (text: string): void =>
    emit({ type: 'step', id: service, state: 'waiting', text: `${text} (Ctrl-C goes on without waiting)` });
  const waiting = (signal?: AbortSignal): Promise<boolean> =>
    waitForReplicas(api, namespace, service, scaled, { limitMs, onWaiting, ...(signal ? { signal } : {}) });
  const ready = await (skippable ? skippable(waiting) : waiting());
  if (!ready)
    emit({ type: 'warning', message: `the pods of ${service} are not all ready yet; it is given back all the same` });
}

function slowText(plan: TakeoverPlan): string {
  const { made, what, again } = leftOf(plan);
  const meanwhile = made ? '' : 'its original pods answer, and ';
  return `${plan.service} is being ${what}, which takes long; one more Ctrl-C goes without waiting: ${meanwhile}${again}`;
}

/** What somebody else can do about a hold that was not given up. */
function leftOf({ service, kind, manual }: TakeoverPlan) {
  const made = kind === 'preview' || manual !== undefined;
  const again = `\`kt recover ${service}\` ${made ? 'removes it' : 'gives it back'}`;
  return { made, what: made ? 'removed' : 'given back', again };
}

function notRestored(plan: TakeoverPlan, cause: unknown): KtError {
  const { made, what, again } = leftOf(plan);
  return new KtError('SERVICE_NOT_RESTORED', `${plan.service} is not ${what} yet: ${asKtError(cause).message}`, {
    hint: made ? again : `it goes on answering from its original pods; ${again}`,
    cause,
  });
}
