// After a Service was taken: names the callers that keep connections to the original pods, and with --drain moves them. In the background
// of a hold, until it is given up. How it is found out and done: cluster/takeover/kept-callers.ts, replace-pods.ts. Called by hold.ts.
import { setTimeout as wait } from 'node:timers/promises';
import type { ClusterApi } from '../cluster/rest.ts';
import { type Kept, keptCallers } from '../cluster/takeover/kept-callers.ts';
import { replacePods } from '../cluster/takeover/replace-pods.ts';
import type { TakeoverPlan } from '../cluster/takeover/types.ts';
import { asKtError } from '../errors.ts';
import type { EventSink } from '../session/events.ts';

/** Milliseconds until new connections come to the agent: kube-proxy's sync period is 1 s. What is at the pods then was there before. */
const SETTLE_MS = 1_500;
/** Milliseconds between two looks, and how many there are: each is a command in every original pod. */
const AGAIN_MS = 20_000;
const LOOKS_MAX = 30;

export interface KeptContext {
  readonly api: ClusterApi;
  readonly startLimitMs: number;
  readonly emit: EventSink;
}

/** Until nobody keeps any, or `signal` aborts. Never rejects. */
export async function watchKept(context: KeptContext, plan: TakeoverPlan, signal: AbortSignal): Promise<void> {
  const { emit } = context;
  const { service } = plan;
  try {
    await wait(SETTLE_MS, undefined, { signal });
    let kept = await look(context, plan, signal);
    if (plan.drain) {
      await drain(context, plan, kept, signal);
      kept = await look(context, plan, signal);
    }
    for (let looks = 0; looks < LOOKS_MAX && kept.callers.length > 0; looks += 1) {
      await wait(AGAIN_MS, undefined, { signal });
      kept = await look(context, plan, signal, kept);
    }
  } catch (error) {
    if (signal.aborted) return;
    const { message, hint } = asKtError(error);
    emit({
      type: 'warning',
      message: `callers that keep connections to ${service}: ${message}`,
      ...(hint ? { hint } : {}),
    });
  }
}

async function look(
  { api, emit }: KeptContext,
  { namespace, service, selector, listens }: TakeoverPlan,
  signal: AbortSignal,
  before?: Kept,
): Promise<Kept> {
  const ports = listens.filter(({ protocol }) => protocol === 'TCP').map(({ listen }) => listen);
  const kept = await keptCallers(api, namespace, { service, selector, ports }, signal);
  const { callers, reason } = kept;
  if (before === undefined || JSON.stringify(callers) !== JSON.stringify(before.callers))
    emit({ type: 'kept', service, callers, reason });
  return kept;
}

/** Pods whose callers are not known are replaced too. */
async function drain(
  { api, startLimitMs, emit }: KeptContext,
  { namespace, service, selector }: TakeoverPlan,
  { callers, unknown }: Kept,
  signal: AbortSignal,
): Promise<void> {
  const pods = [...new Set([...callers.flatMap((caller) => caller.pods), ...unknown])];
  if (pods.length === 0) return;
  const id = `${service} drain`;
  const text = `moving callers: ${pods.length === 1 ? '1 pod is' : `${pods.length} pods are`} replaced`;
  const started = performance.now();
  emit({ type: 'step', id, state: 'started', text });
  const onPod = (pod: string, number: number): void =>
    emit({ type: 'step', id, state: 'started', text: `replacing ${pod} (${number} of ${pods.length})` });
  try {
    await replacePods(api, namespace, { service, selector, pods, limitMs: startLimitMs, signal, onPod });
  } catch (error) {
    emit({ type: 'step', id, state: 'failed', text });
    throw error;
  }
  emit({ type: 'step', id, state: 'done', text, ms: performance.now() - started });
}
