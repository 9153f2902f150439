// Holds one Service for this laptop: plan → apply → link → (traffic) → leave → restore if nobody else is on it. Exchange, mesh and preview.
// Ends by its signal; what was done is undone then, also in the middle. After kill -9 the agent goes on as the way to the original pods,
// and `kt recover` (the janitor of this session starts it) gives the Service back.
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { asset } from '../assets.ts';
import { orCancelled } from '../cancel.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { type ApplyOptions, applyTakeover } from '../cluster/takeover/apply.ts';
import { keepTaken } from '../cluster/takeover/keep.ts';
import { applyManual, markText, planManual } from '../cluster/takeover/manual.ts';
import { planTakeover } from '../cluster/takeover/plan.ts';
import { applyPreview, planPreview } from '../cluster/takeover/preview.ts';
import { checkHoldRights, type HoldWay } from '../cluster/takeover/rights.ts';
import { scaleDown } from '../cluster/takeover/scale.ts';
import type { TakeoverPlan } from '../cluster/takeover/types.ts';
import { asKtError, KtError } from '../errors.ts';
import type { Match, Rule } from '../netstack/link/control.codec.ts';
import { IngressLink } from '../session/inbound/ingress-link.ts';
import { connectLocal } from '../session/inbound/local-port.ts';
import { tapsOf } from '../session/traffic/inbound-tap.ts';
import { shownName } from '../session/who.ts';
import { giveUp } from './give-up.ts';
import type { Held, HoldContext, HoldRequest, PlannedHold } from './hold-request.ts';
import { watchKept } from './kept.ts';

/** Plans all of them, or refuses before anything is changed, with the reason. */
export function planHolds(context: HoldContext, requests: readonly HoldRequest[]): Promise<PlannedHold[]> {
  // Changes nothing, so that it may go on behind.
  return orCancelled(planAll(context, requests), context.signal, 'what is to be taken was looked at');
}

async function planAll(context: HoldContext, requests: readonly HoldRequest[]): Promise<PlannedHold[]> {
  const { api, namespace } = context;
  const ways = requests.map(({ kind, mode }): HoldWay => (kind === 'preview' ? kind : mode));
  await checkHoldRights(api, namespace, ways);
  const planned: PlannedHold[] = [];
  for (const request of requests) {
    const plan = await planHold(context, request);
    if (!request.skipPortChecking) await checkLocalPorts(plan);
    planned.push({ request, plan });
  }
  return planned;
}

function planHold({ api, namespace, session }: HoldContext, request: HoldRequest): Promise<TakeoverPlan> {
  const { kind, mode, match } = request;
  if (kind === 'preview') return planPreview(api, namespace, request);
  const wanted = { ...request, kind, scale: mode === 'scale' };
  if (mode === 'manual' && match.kind === 'header') return planManual(api, namespace, wanted, match, session);
  return planTakeover(api, namespace, wanted);
}

async function checkLocalPorts({ ports }: TakeoverPlan): Promise<void> {
  for (const { local, protocol } of ports) {
    if (protocol === 'UDP') continue;
    const socket = await connectLocal(local).catch(() => undefined);
    if (socket === undefined)
      throw new KtError('LISTEN_FAILED', `nothing listens on the local port ${local}`, {
        hint: 'start your service first, name its port with --expose LOCAL:REMOTE, or skip this with --skipPortChecking',
      });
    socket.destroy();
  }
}

export async function hold(context: HoldContext, { request, plan }: PlannedHold): Promise<Held> {
  const { api, namespace, session, version, emit, signal } = context;
  const { service, kind } = plan;
  for (const message of plan.warnings) emit({ type: 'warning', message });
  const step = (state: 'started' | 'waiting' | 'done' | 'failed', text: string, ms?: number): void =>
    emit({ type: 'step', id: service, state, text, ...(ms === undefined ? {} : { ms }) });
  const started = performance.now();
  const text = whatFor(plan);
  step('started', text);
  // What comes to a labelled pod is for the laptop: the mark decided before.
  const rules = rulesOf(plan, plan.manual ? { kind: 'all' } : request.match);
  const mark = markOf(plan, request.match);
  const held = { service, reason: `${kind}: ${mark ?? 'all requests'}` };
  const link = new IngressLink({
    api,
    namespace,
    service,
    agent: plan.manual?.agent,
    linkPort: plan.linkPort,
    session,
    version,
    takeOver: request.takeOver,
    rules,
    tap: context.traffic && tapsOf(context.traffic, held, new Map(rules.map(({ id, local }) => [id, local]))),
    onChange: ({ state, reason }) =>
      emit({ type: 'inbound', service, kind, state, ...(reason ? { reason: reason.message, code: reason.code } : {}) }),
    onEvicted: (by) => emit({ type: 'evicted', service, by }),
    // A line per connection only where it was asked for: it costs as much as the connection.
    ...(context.debug ? { onStream: (peer) => emit({ type: 'debug', message: `${service}: from ${peer}` }) } : {}),
  });
  const uncount = context.meter?.add(link.flow);
  let releasing: Promise<void> | undefined;
  let moving: Promise<void> = Promise.resolve();
  const keeping = new AbortController();
  const owner = { session, version, user: shownName(), host: hostname() };
  const release = (): Promise<void> => {
    // First, or it would take again what is being given back.
    keeping.abort();
    uncount?.();
    releasing ??= moving.then(() => giveUp(context, plan, link, request.recoverWaitMs));
    return releasing;
  };
  let [linked, applied] = [false, false];
  const linkUp = async (): Promise<void> => {
    await link.start(signal);
    linked = true;
  };
  try {
    // The agent of a Service that is taken already is there. Else the link comes before the callers: its rules are the claim on the agent.
    if (!plan.joins)
      await applyPlan(api, plan, {
        ...context.placement,
        owner,
        code: readFileSync(asset('agent.mjs'), 'utf8'),
        limitMs: context.startLimitMs,
        signal,
        onStep: (one) => step('started', one),
        onReady: linkUp,
        onWaiting: (reason) => step('waiting', reason),
      });
    applied = !plan.joins;
    if (!linked) await linkUp();
    // Last: now somebody else answers.
    if (plan.scaled) {
      step('started', `scale ${plan.scaled.map(({ name }) => name).join(', ')} to 0`);
      await scaleDown(api, namespace, service, plan.scaled, signal);
    }
  } catch (error) {
    step('failed', text);
    uncount?.();
    const known = signal.aborted
      ? new KtError('CANCELLED', `cancelled while ${service} was being taken`)
      : asKtError(error);
    // What was made by us is given back; what others hold stays, and what is half made was undone by who made it.
    if (known.code === 'SERVICE_HELD' || !applied) link.close();
    else await release().catch(() => undefined);
    throw known;
  }
  if (!plan.manual)
    void keepTaken(api, plan, {
      owner,
      signal: keeping.signal,
      onKept: (reason) => emit({ type: 'warning', message: `${service} is taken again: ${reason}` }),
      onAway: () =>
        emit({ type: 'warning', message: `${service} goes to its own pods meanwhile: its agent is not there` }),
      onLost: (reason, ended) => {
        // There is no agent to come back to.
        if (ended) link.close();
        emit({ type: 'warning', message: `${service} is not kept any more: ${reason}` });
      },
    });
  step('done', text, performance.now() - started);
  emit({
    type: 'holding',
    service,
    kind,
    mark,
    ...(plan.manual ? { manual: true } : {}),
    ports: plan.ports.map(({ servicePort, local, protocol }) => ({ port: servicePort, local, protocol })),
    since: new Date().toISOString(),
  });
  if (kind !== 'preview' && !plan.manual && !plan.scaled) moving = watchKept(context, plan, keeping.signal);
  return { plan, release };
}

function applyPlan(api: ClusterApi, plan: TakeoverPlan, options: ApplyOptions): Promise<void> {
  if (plan.kind === 'preview') return applyPreview(api, plan, options);
  return plan.manual ? applyManual(api, plan, options) : applyTakeover(api, plan, options);
}

function whatFor({ joins, kind, manual, service }: TakeoverPlan): string {
  if (joins) return `joining the agent of ${service}`;
  if (kind === 'preview') return `making ${service}`;
  return manual ? `adding the endpoint ${markText(manual.mark)} to ${service}` : `taking ${service} over`;
}

/** `VERSION: anna`, or the label of a manual mesh; null: everything. */
function markOf({ manual }: TakeoverPlan, match: Match): string | null {
  if (manual) return markText(manual.mark);
  return match.kind === 'header' ? `${match.name}: ${match.value}` : null;
}

/** Two ports of the Service with one target port are one rule. */
function rulesOf({ ports }: TakeoverPlan, match: Match): (Rule & { readonly local: number })[] {
  const rules = ports.map(({ listen: port, protocol, local }) => ({
    id: `${port}-${protocol}`,
    port,
    protocol,
    match,
    local,
  }));
  return [...new Map(rules.map((rule) => [rule.id, rule])).values()];
}
