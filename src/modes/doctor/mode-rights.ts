// Which rights each mode of kt asks for, gathered from the modes themselves: no verb is listed here that a mode does not check.
// Called by checks/rights.ts, rbac.ts and the rights matrix of test/e2e.
import { CREATE_FORWARD, GET_FORWARD, type Right } from '../../cluster/access.ts';
import { SHARED_RIGHTS } from '../../cluster/shared-agent.ts';
import { holdRights } from '../../cluster/takeover/rights.ts';
import { AGENT_RIGHTS, AGENTLESS_RIGHTS } from '../../session/reach.ts';

export interface ModeRights {
  /** Without one of them the mode does not start. */
  readonly needs: readonly Right[];
  /** What it is good for. */
  readonly does: string;
}

const LIST_SERVICES: Right = { verb: 'list', resource: 'services' };

/** `forward`: what a port-forward needs on this server (access.ts knows). */
export function modeRights(forward: readonly Right[]): Readonly<Record<string, ModeRights>> {
  return {
    connect: { needs: [...AGENT_RIGHTS, ...forward], does: 'connect, run, forward, through an agent' },
    shared: {
      needs: [...SHARED_RIGHTS, ...forward],
      does: 'connect, run, forward, through an agent that the platform team runs',
    },
    agentless: { needs: [...AGENTLESS_RIGHTS, ...forward], does: 'connect, run, forward, without an agent' },
    exchange: { needs: [...holdRights(['selector']), ...forward], does: 'exchange' },
    mesh: { needs: [...holdRights(['selector']), ...forward], does: 'mesh' },
    'exchange-scale': { needs: [...holdRights(['scale']), ...forward], does: 'exchange --mode scale' },
    'mesh-manual': { needs: [...holdRights(['manual']), ...forward], does: 'mesh --mode manual' },
    preview: { needs: [...holdRights(['preview']), ...forward], does: 'preview' },
    birdseye: { needs: [LIST_SERVICES], does: 'birdseye' },
  };
}

/** Nothing fails without them, but reasons and addresses are known sooner. */
export const HELPFUL_RIGHTS: readonly (Right & { readonly without: string })[] = [
  { verb: 'list', resource: 'services', without: 'names are asked of the cluster one by one' },
  { verb: 'watch', resource: 'services', without: 'new Services are noticed late' },
  { verb: 'list', resource: 'pods', without: '`kt clean` and `kt birdseye` can not see agents' },
  { verb: 'watch', resource: 'pods', without: 'the state of the agent is asked twice a second instead' },
  { verb: 'list', resource: 'events', without: 'the reason why an agent does not start comes from its pod alone' },
  { verb: 'watch', resource: 'events', without: 'the reason why an agent does not start comes from its pod alone' },
];

/** Both verbs, for a Role that also holds after an upgrade to Kubernetes 1.35. */
export const FORWARD_RIGHTS: readonly Right[] = [GET_FORWARD, CREATE_FORWARD];
