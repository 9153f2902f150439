// `--plan` of commands that open a session or take Services: what they would change, as lines and as JSON. The plans are made by
// modes/plan-connect.ts and cluster/takeover/plan.ts. Called by commands.
import { loadClusterConfig } from '../cluster/config.ts';
import { ClusterApi } from '../cluster/rest.ts';
import type { TakeoverPlan } from '../cluster/takeover/types.ts';
import { planHolds } from '../modes/hold.ts';
import type { HoldRequest } from '../modes/hold-request.ts';
import { type ConnectPlan, planConnect } from '../modes/plan-connect.ts';
import { Board } from '../session/board.ts';
import type { EndSignals } from './end-signals.ts';
import { openInbound } from './inbound.ts';
import type { SessionArguments } from './options.ts';
import type { Output } from './output.ts';

type Steps = readonly { readonly text: string; readonly undo: string }[];

const stepLines = (steps: Steps): string[] => [
  ...steps.map(({ text }, index) => `  ${index + 1}. ${text}`),
  ...(steps.length > 0 ? ['at the end, in reverse:'] : []),
  ...steps.toReversed().map(({ undo }) => `  ${undo}`),
];

/** Of a session that is not open. */
export async function connectPlan(
  wanted: SessionArguments,
  version: string,
  { signal }: Pick<EndSignals, 'signal'>,
): Promise<ConnectPlan> {
  const config = await loadClusterConfig({ ...wanted, signal });
  const api = new ClusterApi(config);
  try {
    const { mode, placement } = wanted;
    return await planConnect(api, config, { version, mode, placement, signal });
  } finally {
    api.close();
  }
}

/** Of what a command takes besides; nothing is shown while it is looked up. */
export async function holdPlans(
  wanted: SessionArguments,
  requests: readonly HoldRequest[],
  version: string,
  ends: Pick<EndSignals, 'signal' | 'skippable'>,
): Promise<TakeoverPlan[]> {
  if (requests.length === 0) return [];
  const inbound = await openInbound(wanted, version, new Board(() => undefined), ends);
  try {
    return (await planHolds(inbound.context, requests)).map(({ plan }) => plan);
  } finally {
    inbound.close();
  }
}

export function connectLines({ namespace, context, steps, notes }: ConnectPlan): string[] {
  return [
    `connect to ${namespace} (${context}):`,
    ...(steps.length === 0 ? ['  nothing is changed in the cluster'] : []),
    ...stepLines(steps),
    ...notes.map((note) => `  - ${note}`),
  ];
}

export const holdLines = (plans: readonly TakeoverPlan[]): string[] =>
  plans.flatMap((plan) => [
    `${plan.kind} ${plan.service} in ${plan.namespace}:`,
    ...(plan.joins
      ? [`  joins the agent that is there; nothing ${plan.drain ? 'else ' : ''}is changed in the cluster`]
      : []),
    ...stepLines(plan.steps),
    ...plan.warnings.map((warning) => `  ! ${warning}`),
  ]);

/** As JSON has them. */
export const holdValues = (plans: readonly TakeoverPlan[]): object[] =>
  plans.map(({ kind, namespace, service, ports, joins, steps, warnings }) => ({
    kind,
    namespace,
    service,
    ports,
    joins,
    steps,
    warnings,
  }));

export function showPlans(output: Output, connect: ConnectPlan | undefined, holds: readonly TakeoverPlan[]): number {
  const lines = [...(connect ? connectLines(connect) : []), ...holdLines(holds)];
  output.result({ ...(connect ? { connect } : {}), plans: holdValues(holds) }, lines);
  return 0;
}
