// Carries a plan out: origin Service, agent, then one atomic patch of the taken Service. Whatever fails before the patch is undone.
// Restoring is restore.ts. Each change is announced by `onStep` before it is made; a test ends the process there. Called by modes/hold.ts.
import { asKtError, KtError } from '../../errors.ts';
import type { AgentPlacement } from '../agent-placement.ts';
import { servicePath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { statusCode } from '../status.ts';
import { waitForIngressAgent } from './agent-ready.ts';
import { createAgentDeployment } from './create-agent.ts';
import { journalOf, newJournal } from './journal.ts';
import { ingressDeployment, nameFor, originService, ownerName } from './manifests.ts';
import { find } from './objects.ts';
import { type Remains, removeLeftovers, restoreService } from './restore.ts';
import { replaceSelector, type Selector, selectorToAgent } from './selector.ts';
import { JOURNAL_ANNOTATION, type ServiceObject, type TakeoverOwner, type TakeoverPlan } from './types.ts';
import { fenceService, writeService } from './write-service.ts';

export interface ApplyOptions extends AgentPlacement {
  readonly owner: TakeoverOwner;
  /** Text of dist/agent.mjs. */
  readonly code: string;
  readonly limitMs: number;
  readonly signal: AbortSignal;
  readonly onStep: (text: string) => void;
  /** The agent is ready and no caller comes yet: the moment for the laptop's link, whose rules are its claim on the agent. */
  readonly onReady?: () => Promise<void>;
  /** Why it is not ready yet, in the cluster's own words. */
  readonly onWaiting: (reason: string) => void;
}

/** For a plan that joins nobody. Rejects with AGENT_*, SERVICE_HELD, CANCELLED or what the API said; nothing is left then but what the error names. */
export async function applyTakeover(api: ClusterApi, plan: TakeoverPlan, options: ApplyOptions): Promise<void> {
  const { namespace, service } = plan;
  const { owner, signal, onStep } = options;
  const made: { origin?: string; deployment?: string } = {};
  let switching = false;
  try {
    onStep(`create service/${nameFor(service, 'origin')}`);
    // Its fixed name is also the lock: two who start at the same time can't both create it.
    const origin = await createOrigin(api, plan, options);
    made.origin = uidOf(origin);
    onStep(`create deployment/${nameFor(service, 'ingress')}`);
    const manifest = ingressDeployment(plan, owner, { ...options, origin: clusterAddress(origin, namespace) });
    const deployment = await createAgentDeployment(api, namespace, manifest, signal);
    made.deployment = uidOf(deployment);
    await waitForIngressAgent(api, plan, options);
    await options.onReady?.();
    onStep(`patch service/${service}`);
    // Selector and journal in one write, only on a Service that nobody has taken meanwhile.
    const take = (current: ServiceObject): object => {
      if (journalOf(current) !== undefined)
        throw new KtError('SERVICE_HELD', `${service} was taken by somebody else meanwhile`);
      return takePatch(current, plan, owner);
    };
    switching = true;
    await writeService(api, namespace, service, take, signal);
  } catch (error) {
    const known = signal.aborted
      ? new KtError('CANCELLED', `cancelled while ${service} was being taken over`)
      : asKtError(error);
    await undo(api, plan, made, switching).catch(() => undefined);
    throw known;
  }
}

const uidOf = ({ metadata: { uid = '' } }: ServiceObject): string => uid;

/** What is not undone (the API can't be reached) is safe: either nobody comes to the agent, or it goes on as the way to the original pods. */
async function undo(
  api: ClusterApi,
  { namespace, service }: TakeoverPlan,
  made: Remains,
  switching: boolean,
): Promise<void> {
  if (!switching) return removeLeftovers(api, namespace, service, made);
  // The patch may have been carried out without an answer, or may still be on its way: then the agent must not go before it is back.
  await fenceService(api, namespace, service);
  await restoreService(api, namespace, service);
}

const clusterAddress = ({ metadata, spec }: ServiceObject, namespace: string): string =>
  spec.clusterIP === undefined || spec.clusterIP === 'None' ? `${metadata.name}.${namespace}.svc` : spec.clusterIP;

async function createOrigin(
  api: ClusterApi,
  plan: TakeoverPlan,
  { owner, signal }: ApplyOptions,
): Promise<ServiceObject> {
  try {
    return await api.request<ServiceObject>('POST', servicePath(plan.namespace), {
      body: originService(plan, owner),
      signal,
    });
  } catch (error) {
    if (statusCode(error) !== 409) throw error;
    const name = nameFor(plan.service, 'origin');
    const other = await find<ServiceObject>(api, servicePath(plan.namespace, name), signal);
    throw new KtError(
      'SERVICE_HELD',
      `${ownerName(other)} is taking ${plan.service} over right now, or could not finish it`,
      {
        hint: `try again in some seconds; \`kt recover ${plan.service}\` removes what was left half done`,
        cause: error,
      },
    );
  }
}

/** The merge patch that leads the Service to the agent. `own`: what will be restored; the Service's own selector, where nothing else is said. */
export function takePatch(
  current: ServiceObject,
  plan: TakeoverPlan,
  owner: TakeoverOwner,
  own: Selector = current.spec.selector ?? {},
): object {
  const { service, original } = plan;
  return {
    metadata: {
      resourceVersion: current.metadata.resourceVersion,
      annotations: { [JOURNAL_ANNOTATION]: newJournal(plan, owner, own) },
    },
    spec: { selector: replaceSelector(current.spec.selector, selectorToAgent(service, own, original.spec.selector)) },
  };
}
