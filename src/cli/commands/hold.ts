// `kt exchange`, `kt mesh` and `kt preview`: takes or makes Services and holds them until a signal ends it. What it does is modes/hold.ts.
import type { TakeoverKind, TakeoverPlan } from '../../cluster/takeover/types.ts';
import { asKtError } from '../../errors.ts';
import { type Held, type HoldContext, hold, type PlannedHold, planHolds } from '../../modes/hold.ts';
import { endSignals } from '../end-signals.ts';
import { holdRequests } from '../hold-options.ts';
import { openInbound } from '../inbound.ts';
import { type Arguments, sessionArguments } from '../options.ts';
import { type Output, outputOf } from '../output.ts';

export const exchange = (args: Arguments, version: string): Promise<number> => run(args, version, 'exchange');
export const preview = (args: Arguments, version: string): Promise<number> => run(args, version, 'preview');
export const mesh = (args: Arguments, version: string): Promise<number> => run(args, version, 'mesh');

async function run(args: Arguments, version: string, kind: TakeoverKind): Promise<number> {
  const output = outputOf(args);
  const signals = endSignals();
  try {
    const requests = holdRequests(args, kind);
    const inbound = await openInbound(sessionArguments(args), version, output.event, signals.signal);
    try {
      // All are checked before the first is changed.
      const planned = await planHolds(inbound.context, requests);
      if (args['plan'] === true)
        return showPlans(
          planned.map(({ plan }) => plan),
          output,
        );
      inbound.guard();
      await holdAll(inbound.context, planned, signals.received);
      inbound.dismiss();
      return 0;
    } finally {
      inbound.close();
    }
  } catch (error) {
    return output.failure(error);
  } finally {
    signals.dispose();
  }
}

/** Holds all until `ended`; whatever happens, each one is given up. Rejects with the first error. */
async function holdAll(context: HoldContext, planned: readonly PlannedHold[], ended: Promise<string>): Promise<void> {
  const held: Held[] = [];
  let failure: unknown;
  try {
    for (const one of planned) held.push(await hold(context, one));
    context.emit({ type: 'ended', reason: await ended });
  } catch (error) {
    failure = error;
  }
  const results = await Promise.allSettled(held.map((one) => one.release()));
  failure ??= results.find((result) => result.status === 'rejected')?.reason;
  if (failure !== undefined) throw asKtError(failure);
}

function showPlans(plans: readonly TakeoverPlan[], output: Output): number {
  const lines = plans.flatMap((plan) => [
    `${plan.kind} ${plan.service} in ${plan.namespace}:`,
    ...(plan.joins ? ['  joins the agent that is there; nothing is changed in the cluster'] : []),
    ...plan.steps.map(({ text }, index) => `  ${index + 1}. ${text}`),
    ...(plan.steps.length > 0 ? ['at the end, in reverse:'] : []),
    ...plan.steps.toReversed().map(({ undo }) => `  ${undo}`),
    ...plan.warnings.map((warning) => `  ! ${warning}`),
  ]);
  const value = plans.map(({ kind, namespace, service, ports, joins, steps, warnings }) => ({
    kind,
    namespace,
    service,
    ports,
    joins,
    steps,
    warnings,
  }));
  output.result({ plans: value }, lines);
  return 0;
}
