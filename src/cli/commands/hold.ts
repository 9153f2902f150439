// `kt exchange` and `kt mesh`: takes Services and holds them until a signal ends it. What it does is modes/hold.ts.
import { randomBytes } from 'node:crypto';
import { loadClusterConfig } from '../../cluster/config.ts';
import { ClusterApi } from '../../cluster/rest.ts';
import type { TakeoverPlan } from '../../cluster/takeover/types.ts';
import { asKtError } from '../../errors.ts';
import { type Held, type HoldContext, type HoldRequest, hold, planHold } from '../../modes/hold.ts';
import { Janitor } from '../../session/janitor.ts';
import { endSignals } from '../end-signals.ts';
import { holdRequests } from '../hold-options.ts';
import { type Arguments, sessionArguments } from '../options.ts';
import { type Output, outputOf } from '../output.ts';

export const exchange = (args: Arguments, version: string): Promise<number> => run(args, version, 'exchange');
export const mesh = (args: Arguments, version: string): Promise<number> => run(args, version, 'mesh');

async function run(args: Arguments, version: string, kind: 'exchange' | 'mesh'): Promise<number> {
  const output = outputOf(args);
  const signals = endSignals();
  try {
    const requests = holdRequests(args, kind);
    const wanted = sessionArguments(args);
    const config = await loadClusterConfig({
      ...(wanted.kubeconfig === undefined ? {} : { kubeconfig: wanted.kubeconfig }),
      ...(wanted.context === undefined ? {} : { context: wanted.context }),
      ...(wanted.namespace === undefined ? {} : { namespace: wanted.namespace }),
    });
    const api = new ClusterApi(config);
    try {
      const { image, imagePullSecret, nodeSelector, startLimitMs } = wanted;
      const context: HoldContext = {
        api,
        namespace: config.namespace,
        session: randomBytes(4).toString('hex'),
        version,
        placement: { image, imagePullSecret, nodeSelector },
        startLimitMs,
        emit: output.event,
        signal: signals.signal,
      };
      // All are checked before the first is changed.
      const planned: [HoldRequest, TakeoverPlan][] = [];
      for (const request of requests) planned.push([request, await planHold(context, request)]);
      if (args['plan'] === true)
        return showPlans(
          planned.map(([, plan]) => plan),
          output,
        );
      const where = [...(wanted.kubeconfig ? ['--kubeconfig', wanted.kubeconfig] : []), '--context', config.context];
      const recover = ['recover', '--session', context.session, ...where, '--namespace', config.namespace];
      const entry = process.argv[1];
      const janitor = entry === undefined ? undefined : new Janitor([process.execPath, entry, ...recover], process.env);
      await holdAll(context, planned, signals.received);
      janitor?.dismiss();
      return 0;
    } finally {
      api.close();
    }
  } catch (error) {
    return output.failure(error);
  } finally {
    signals.dispose();
  }
}

/** Holds all until `ended`; whatever happens, each one is given up. Rejects with the first error. */
async function holdAll(
  context: HoldContext,
  planned: readonly [HoldRequest, TakeoverPlan][],
  ended: Promise<string>,
): Promise<void> {
  const held: Held[] = [];
  let failure: unknown;
  try {
    for (const [request, plan] of planned) held.push(await hold(context, request, plan));
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
