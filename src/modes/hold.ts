// Holds one Service for this laptop: plan → apply → link → (traffic) → leave → restore if nobody else is on it. Exchange, mesh and preview.
// Ends by its signal; what was done is undone then, also in the middle. After kill -9 the agent goes on as the way to the original pods,
// and `kt recover` (the janitor of this session starts it) gives the Service back.
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { asset } from '../assets.ts';
import type { AgentPlacement } from '../cluster/agent-pod.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { applyTakeover } from '../cluster/takeover/apply.ts';
import { keepTaken } from '../cluster/takeover/keep.ts';
import { checkTakeoverRights, planTakeover } from '../cluster/takeover/plan.ts';
import { applyPreview, planPreview } from '../cluster/takeover/preview.ts';
import { restoreService } from '../cluster/takeover/restore.ts';
import type { TakeoverKind, TakeoverPlan, WantedPort } from '../cluster/takeover/types.ts';
import { asKtError, KtError } from '../errors.ts';
import { holderName, type Match, type Rule } from '../netstack/link/control.codec.ts';
import type { EventSink } from '../session/events.ts';
import { IngressLink } from '../session/inbound/ingress-link.ts';
import { connectLocal } from '../session/inbound/local-port.ts';
import type { Meter } from '../session/meter.ts';
import { tapsOf } from '../session/traffic/inbound-tap.ts';
import type { TrafficJournal } from '../session/traffic/journal.ts';
import { shownName } from '../session/who.ts';
import { watchKept } from './kept.ts';
import { recoverService } from './recover.ts';

export interface HoldContext {
  readonly api: ClusterApi;
  readonly namespace: string;
  readonly session: string;
  readonly version: string;
  readonly placement: AgentPlacement;
  readonly startLimitMs: number;
  readonly debug: boolean;
  readonly emit: EventSink;
  readonly signal: AbortSignal;
  /** Counts what its links carry. */
  readonly meter?: Pick<Meter, 'add'> | undefined;
  /** Gets a record of each request, while somebody looks. */
  readonly traffic?: TrafficJournal | undefined;
}

export interface HoldRequest {
  readonly kind: TakeoverKind;
  readonly target: string;
  readonly ports: readonly WantedPort[];
  readonly match: Match;
  readonly takeOver: boolean;
  /** Of a preview: reachable from outside of the cluster. */
  readonly external: boolean;
  /** Replace original pods to which callers keep connections. */
  readonly drain: boolean;
  /** Do not ask whether something listens on the local ports: `kt run` starts it later, and until then the original pods answer. */
  readonly skipPortChecking: boolean;
}

export interface PlannedHold {
  readonly request: HoldRequest;
  readonly plan: TakeoverPlan;
}

export interface Held {
  readonly plan: TakeoverPlan;
  /** Gives it up; rejects with SERVICE_NOT_RESTORED where something is left. Safe to call again. */
  release(): Promise<void>;
}

/** Plans all of them, or refuses before anything is changed, with the reason. */
export async function planHolds(
  { api, namespace }: HoldContext,
  requests: readonly HoldRequest[],
): Promise<PlannedHold[]> {
  const kinds = requests.map(({ kind }) => kind);
  await checkTakeoverRights(api, namespace, kinds);
  const planned: PlannedHold[] = [];
  for (const request of requests) {
    const { kind } = request;
    const plan =
      kind === 'preview'
        ? await planPreview(api, namespace, request)
        : await planTakeover(api, namespace, { ...request, kind });
    if (!request.skipPortChecking) await checkLocalPorts(plan);
    planned.push({ request, plan });
  }
  return planned;
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
  const text = plan.joins
    ? `joining the agent of ${service}`
    : `${kind === 'preview' ? 'making' : 'taking'} ${service}${kind === 'preview' ? '' : ' over'}`;
  step('started', text);
  const rules = rulesOf(plan, request.match);
  const mark = request.match.kind === 'header' ? `${request.match.name}: ${request.match.value}` : null;
  const held = { service, reason: `${kind}: ${mark ?? 'all requests'}` };
  const link = new IngressLink({
    api,
    namespace,
    service,
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
    releasing ??= moving.then(() => giveUp(context, plan, link));
    return releasing;
  };
  let [linked, applied] = [false, false];
  const linkUp = async (): Promise<void> => {
    await link.start(signal);
    linked = true;
  };
  try {
    // The agent of a Service that is taken already is there. Else the link comes before the callers: its rules are the claim on the agent.
    const apply = kind === 'preview' ? applyPreview : applyTakeover;
    if (!plan.joins)
      await apply(api, plan, {
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
  } catch (error) {
    step('failed', text);
    uncount?.();
    const known = asKtError(error);
    // What was made by us is given back; what others hold stays, and what is half made was undone by who made it.
    if (known.code === 'SERVICE_HELD' || !applied) link.close();
    else await release().catch(() => undefined);
    throw known;
  }
  void keepTaken(api, plan, {
    owner,
    signal: keeping.signal,
    onKept: () =>
      emit({ type: 'warning', message: `${service} was written by somebody (a redeploy?) and is taken again` }),
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
    ports: plan.ports.map(({ servicePort, local, protocol }) => ({ port: servicePort, local, protocol })),
    since: new Date().toISOString(),
  });
  if (kind !== 'preview') moving = watchKept(context, plan, keeping.signal);
  return { plan, release };
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

async function giveUp(
  { api, namespace, emit, session, version }: HoldContext,
  { service, kind }: TakeoverPlan,
  link: IngressLink,
): Promise<void> {
  const others = await link.leave().catch(() => undefined);
  if (others !== undefined && others.length > 0) {
    const remaining = others.map(holderName).join(', ');
    link.close();
    emit({ type: 'released', service, kind, restored: false, remaining });
    return;
  }
  const onStep = (text: string): void => emit({ type: 'step', id: service, state: 'started', text });
  try {
    // Nobody could be asked: `recover` decides by what the agent says, and waits for nobody who is alive.
    if (others === undefined) await recoverService(api, namespace, service, { session, version });
    else await restoreService(api, namespace, service, { onStep, onReturned: () => link.retire() });
    emit({ type: 'released', service, kind, restored: true });
  } catch (error) {
    throw new KtError(
      'SERVICE_NOT_RESTORED',
      `${service} is not ${kind === 'preview' ? 'removed' : 'given back'} yet: ${asKtError(error).message}`,
      {
        hint:
          kind === 'preview'
            ? `\`kt recover ${service}\` removes it`
            : `it goes on answering from its original pods; \`kt recover ${service}\` gives it back`,
        cause: error,
      },
    );
  } finally {
    link.close();
  }
}
