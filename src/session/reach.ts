// The way to the cluster that this session has: an agent behind a pool of links (its own, or a shared one), or port-forwards alone.
// Decides by rights which one; the session only sees a dialer with a start and an end. Called by session.ts.
import { readFileSync } from 'node:fs';
import { asset } from '../assets.ts';
import { missingRights, type Right } from '../cluster/access.ts';
import { AgentlessDialer } from '../cluster/agentless-dialer.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { findSharedAgent, SHARED_RIGHTS } from '../cluster/shared-agent.ts';
import { WAYS, type Way } from '../cluster/ways/names.ts';
import { checkWays } from '../cluster/ways/way-rights.ts';
import { KtError } from '../errors.ts';
import type { Dialer } from '../netstack/dialer.ts';
import { AgentDialer } from '../netstack/link/agent-dialer.ts';
import { LinkPool } from '../netstack/link/pool.ts';
import { AgentLink } from './agent-link.ts';
import type { AgentSource } from './agent-source.ts';
import type { EventSink, Mode } from './events.ts';
import type { Flow } from './meter.ts';
import { OwnAgents } from './own-agent.ts';
import { noSharedAgent, SharedAgent } from './shared-agent.ts';
import type { SessionCluster, SessionOptions } from './types.ts';

export interface Reach {
  readonly dialer: Dialer;
  /** What can't be done this way, in sentences. */
  readonly reduced: readonly string[];
  /** Resolves when the cluster answers. */
  start(signal: AbortSignal): Promise<void>;
  /** Name of the agent's pod now. */
  agent(): string | undefined;
  /** What its links carry; undefined without an agent. */
  readonly flow: Flow | undefined;
  close(): Promise<void>;
}

export const AGENT_RIGHTS: readonly Right[] = [
  { verb: 'create', resource: 'pods' },
  { verb: 'get', resource: 'pods' },
  { verb: 'delete', resource: 'pods' },
];
export const AGENTLESS_RIGHTS: readonly Right[] = [
  { verb: 'list', resource: 'pods' },
  { verb: 'list', resource: 'services' },
];

/** An agentless connection is a port-forward to the pod that is called; the other ways need an agent. */
const FORWARDS: readonly Way[] = ['portforward', 'spdy'];

/** Which mode the user's rights allow. Rejects with RIGHTS_MISSING, or AGENT_START for a shared agent that is not there, before anything was made. */
export async function checkRights(
  api: ClusterApi,
  namespace: string,
  wanted: 'auto' | Mode,
  signal?: AbortSignal,
): Promise<Mode> {
  const access = await checkWays(api, namespace, [...AGENT_RIGHTS, ...AGENTLESS_RIGHTS, ...SHARED_RIGHTS], signal);
  const may = (mode: Mode): boolean => wanted === 'auto' || wanted === mode;
  const forAgent = [...access.missing(WAYS), ...access.lacks(AGENT_RIGHTS)];
  if (may('agent') && forAgent.length === 0) return 'agent';
  const forShared = [...access.missing(WAYS), ...access.lacks(SHARED_RIGHTS)];
  if (may('shared') && forShared.length === 0) {
    if (await findSharedAgent(api, namespace, signal)) return 'shared';
    if (wanted === 'shared') throw noSharedAgent(namespace);
  }
  const { transport } = api.config;
  const possible = transport === undefined || FORWARDS.includes(transport);
  const forAgentless = [...access.missing(FORWARDS), ...access.lacks(AGENTLESS_RIGHTS)];
  if (may('agentless') && possible && forAgentless.length === 0) return 'agentless';
  throw missingRights(
    namespace,
    { auto: forAgent, agent: forAgent, shared: forShared, agentless: forAgentless }[wanted],
  );
}

export function reach(
  mode: Mode,
  cluster: SessionCluster,
  options: SessionOptions,
  session: string,
  emit: EventSink,
): Reach {
  if (mode === 'agentless') return agentlessReach(cluster);
  const { api, namespace } = cluster;
  if (mode === 'shared') return agentReach(new SharedAgent(api, namespace, emit), cluster, options, session, emit);
  const { placement, version, startLimitMs } = options;
  const code = readFileSync(asset('agent.mjs'), 'utf8');
  const own = new OwnAgents(api, { namespace, session, code, version, startLimitMs, ...placement }, emit);
  return agentReach(own, cluster, options, session, emit);
}

function agentReach(
  agents: AgentSource,
  { api, namespace, router }: SessionCluster,
  { version, parkMs }: SessionOptions,
  session: string,
  emit: EventSink,
): Reach {
  const link = new AgentLink(api, agents, { namespace, session, version }, (event) => {
    if (event.type === 'agent' && event.state === 'created' && link.podIp) router.learn(link.podIp);
    emit(event);
  });
  const pool = new LinkPool({
    connect: link.connect,
    parkMs,
    onChange: ({ state, reason }) =>
      emit({ type: 'link', state, ...(reason ? { reason: reason.message, code: reason.code } : {}) }),
  });
  return {
    dialer: new AgentDialer(pool),
    reduced: [],
    start: (signal) => pool.start(signal),
    agent: () => link.podName,
    flow: { service: null, ping: () => pool.ping(), traffic: () => pool.traffic },
    close: async () => {
      pool.close();
      await link.close();
    },
  };
}

function agentlessReach(cluster: SessionCluster): Reach {
  const dialer = new AgentlessDialer({
    api: cluster.api,
    namespace: cluster.namespace,
    clusterDomain: cluster.router.clusterDomain,
  });
  return {
    dialer,
    reduced: AgentlessDialer.reduced,
    start: async (signal) => {
      // Proves that the API answers before `ready` is said.
      await dialer.check(signal).catch((error: unknown) => {
        throw error instanceof KtError ? error : new KtError('API_UNREACHABLE', String(error));
      });
    },
    agent: () => undefined,
    flow: undefined,
    close: () => dialer.close(),
  };
}
