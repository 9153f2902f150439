// Carries a plan out: origin Service, agent, then one atomic patch of the taken Service. Whatever fails before the patch is undone.
// Restoring is restore.ts. Each change is announced by `onStep` before it is made; a test ends the process there. Called by modes/hold.ts.
import { asKtError, KtError } from '../../errors.ts';
import type { AgentPlacement } from '../agent-pod.ts';
import { deploymentPath, servicePath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { statusCode } from '../status.ts';
import { waitForIngressAgent } from './agent-ready.ts';
import { journalOf, newJournal } from './journal.ts';
import { agentLabels, ingressDeployment, nameFor, originService, ownerName } from './manifests.ts';
import { find } from './objects.ts';
import { removeLeftovers } from './restore.ts';
import { JOURNAL_ANNOTATION, type ServiceObject, type TakeoverOwner, type TakeoverPlan } from './types.ts';
import { replaceSelector, writeService } from './write-service.ts';

export interface ApplyOptions extends AgentPlacement {
  readonly owner: TakeoverOwner;
  /** Text of dist/agent.mjs. */
  readonly code: string;
  readonly limitMs: number;
  readonly signal: AbortSignal;
  readonly onStep: (text: string) => void;
  /** Why it is not ready yet, in the cluster's own words. */
  readonly onWaiting: (reason: string) => void;
}

/** For a plan that joins nobody. Rejects with AGENT_*, SERVICE_HELD, CANCELLED or what the API said; nothing is left then but what the error names. */
export async function applyTakeover(api: ClusterApi, plan: TakeoverPlan, options: ApplyOptions): Promise<void> {
  const { namespace, service } = plan;
  const { owner, signal, onStep } = options;
  let created = false;
  try {
    onStep(`create service/${nameFor(service, 'origin')}`);
    // Its fixed name is also the lock: two who start at the same time can't both create it.
    const origin = await createOrigin(api, plan, options);
    created = true;
    onStep(`create deployment/${nameFor(service, 'ingress')}`);
    const manifest = ingressDeployment(plan, owner, { ...options, origin: clusterAddress(origin, namespace) });
    await api.request('POST', deploymentPath(namespace), { body: manifest, signal });
    await waitForIngressAgent(api, plan, options);
    onStep(`patch service/${service}`);
    // Selector and journal in one write, only on a Service that nobody has taken meanwhile.
    const take = (current: ServiceObject): object => {
      if (journalOf(current) !== undefined)
        throw new KtError('SERVICE_HELD', `${service} was taken by somebody else meanwhile`);
      return takePatch(current, plan, owner);
    };
    await writeService(api, namespace, service, take, signal);
  } catch (error) {
    const known = signal.aborted
      ? new KtError('CANCELLED', `cancelled while ${service} was being taken over`)
      : asKtError(error);
    if (created) await removeLeftovers(api, namespace, service).catch(() => undefined);
    throw known;
  }
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

/** The merge patch that leads the Service to the agent. The selector of `current` is what will be restored. */
export function takePatch(current: ServiceObject, plan: TakeoverPlan, owner: TakeoverOwner): object {
  const { selector = {} } = current.spec;
  return {
    metadata: {
      resourceVersion: current.metadata.resourceVersion,
      annotations: { [JOURNAL_ANNOTATION]: newJournal(plan, owner, selector) },
    },
    spec: { selector: replaceSelector(selector, agentLabels(plan.service)) },
  };
}
