// Mesh in manual mode: nothing of the Service is changed; an agent's pod with the Service's labels and the mark as one more becomes an endpoint of
// it, for routing rules by label (Istio's subsets). It has no origin: while the laptop is away the pod is not ready, so nothing is sent to it.
// Everything is on its Deployment, whose deletion undoes it. Called by modes/hold.ts.
import { asKtError, KtError } from '../../errors.ts';
import { deploymentPath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { waitForIngressAgent } from './agent-ready.ts';
import type { ApplyOptions } from './apply.ts';
import { createAgentDeployment } from './create-agent.ts';
import { ingressDeployment, MARK_ANNOTATION, manualAgent, ownerName } from './manifests.ts';
import { isStarted, list } from './objects.ts';
import { planTakeover, type TakeoverRequest } from './plan.ts';
import { removeAgent } from './restore.ts';
import { LABEL_SERVICE, type MarkLabel, type ServiceObject, type TakeoverPlan } from './types.ts';

export const MANUAL = 'kt/role=manual';

export const markText = ({ name, value }: MarkLabel): string => `${name}=${value}`;

/** Rejects with USAGE, SERVICE_HELD, or as planTakeover does, before anything was made. */
export async function planManual(
  api: ClusterApi,
  namespace: string,
  request: TakeoverRequest,
  header: MarkLabel,
  session: string,
): Promise<TakeoverPlan> {
  const mark = labelOf(header);
  const plan = await planTakeover(api, namespace, { ...request, besideManual: true });
  const { service, original, ports, listens } = plan;
  if (plan.joins)
    throw new KtError(
      'SERVICE_HELD',
      `${service} leads to an agent now: a labelled pod would get none of its requests`,
      {
        hint: 'wait until it is given back, or join it: the same command without --mode manual',
      },
    );
  const selector = original.spec.selector ?? {};
  if (Object.hasOwn(selector, mark.name))
    throw new KtError('USAGE', `${service} selects its pods by the label '${mark.name}' itself: choose another one`, {
      hint: `--versionMark NAME:${mark.value}`,
    });
  const others = await list<ServiceObject>(api, deploymentPath(namespace), `${MANUAL},${LABEL_SERVICE}=${service}`);
  const same = others.find(({ metadata }) => metadata.annotations?.[MARK_ANNOTATION] === markText(mark));
  if (same)
    throw new KtError('SERVICE_HELD', `${ownerName(same)} has the endpoint ${markText(mark)} of ${service} already`, {
      hint: `use another mark; \`kt recover ${service}\` removes it if its laptop is gone`,
    });
  const agent = manualAgent(service, session);
  const missing = listens.filter(
    (port) => !ports.some(({ listen, protocol }) => listen === port.listen && protocol === port.protocol),
  );
  return {
    ...plan,
    manual: { mark, agent },
    steps: [
      {
        text: `create deployment/${agent.deployment} (1 pod with the labels of ${service} and ${markText(mark)})`,
        undo: `delete deployment/${agent.deployment}`,
      },
    ],
    warnings: [
      ...plan.warnings,
      `${service} itself is not changed: without routing rules by the label ${markText(mark)} this pod gets its share of everybody's requests`,
      ...missing.map(
        ({ servicePort }) => `port ${servicePort} of ${service} is refused at this pod: --expose does not name it`,
      ),
    ],
  };
}

/** As a label: names of headers have no case, those of labels are small by custom. Throws USAGE. */
function labelOf({ name, value }: MarkLabel): MarkLabel {
  const mark = { name: name.toLowerCase(), value };
  const word = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
  if (!word.test(mark.name) || !word.test(mark.value))
    throw new KtError(
      'USAGE',
      `'${markText(mark)}' can't be a label of a pod: letters, digits, -, _ and ., at most 63`,
    );
  return mark;
}

/** Rejects with AGENT_*, CANCELLED or what the API said; nothing is left then. */
export async function applyManual(api: ClusterApi, plan: TakeoverPlan, options: ApplyOptions): Promise<void> {
  const { namespace, service, manual } = plan;
  const { owner, signal, onStep } = options;
  if (manual === undefined) throw new KtError('INTERNAL', 'no manual plan');
  try {
    onStep(`create deployment/${manual.agent.deployment}`);
    const body = ingressDeployment(plan, owner, { ...options, origin: null });
    await createAgentDeployment(api, namespace, body, signal);
    await waitForIngressAgent(api, { namespace, service, agent: manual.agent, isUp: isStarted }, options);
  } catch (error) {
    await removeAgent(api, namespace, manual.agent).catch(() => undefined);
    throw signal.aborted ? new KtError('CANCELLED', 'cancelled while the agent was starting') : asKtError(error);
  }
}
