// The cluster's refusal of an agent, told as what it is: Pod Security, a quota or a policy, in the cluster's own words with the flag that may help.
// An admission's refusal looks like a missing right (403) or a bad request (422); advice on rights would be the wrong one.
// Called where an agent's pod or Deployment is made.
import { asKtError, KtError } from '../errors.ts';

const SECURITY = /violates PodSecurity/;
const SIZE = /exceeded quota|must specify|LimitRange|maximum .* usage|minimum .* usage/;
/** Webhooks say `denied the request`, a ValidatingAdmissionPolicy `denied request`. */
const POLICY = /admission webhook|denied (the )?request|admission control/;

/** AGENT_REFUSED, or what else it was. `elsewise`: what to do where no flag helps. */
export function agentRefusal(error: unknown, elsewise: string): KtError {
  const known = asKtError(error);
  return adviceOn(known.message) === undefined ? known : agentRefused(known.message, elsewise, known);
}

/** Where it is known to be a refusal, such as the condition of a Deployment whose pods are not made. */
export function agentRefused(reason: string, elsewise: string, cause?: unknown): KtError {
  const hint = [adviceOn(reason), elsewise].filter((part) => part !== undefined).join(', or ');
  return new KtError('AGENT_REFUSED', `the cluster refused the agent's pod: ${reason}`, { hint, cause });
}

function adviceOn(message: string): string | undefined {
  if (SECURITY.test(message))
    return 'the agent passes "restricted"; a stricter policy is in force: ask who runs the cluster';
  if (SIZE.test(message)) return 'an agent asks for 10m CPU and 64Mi, limited to 1 CPU and 256Mi: --podQuota sets both';
  if (POLICY.test(message))
    return 'a policy of the cluster refused it: --image, --withLabel, --withAnnotation, --serviceAccount may satisfy it';
  return undefined;
}
