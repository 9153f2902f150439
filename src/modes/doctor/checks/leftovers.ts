// What ended sessions left in the namespace and on the laptop, and what `kt recover` and `kt clean` would do about it. Changes nothing in
// the cluster. Called by doctor.ts.
import { listAgents } from '../../../cluster/agent-lifecycle.ts';
import { LABEL_ROLE } from '../../../cluster/agent-pod.ts';
import { asKtError } from '../../../errors.ts';
import { birdseye } from '../../birdseye/overview.ts';
import type { Check, Outcome } from '../types.ts';
import { staleSockets } from './laptop.ts';

export const checkLeftovers: Check = async ({ api, config, options: { version }, signal }) => {
  const sockets = await staleSockets();
  const outcomes: Outcome[] = sockets ? [sockets] : [];
  if (!api || !config) return [...outcomes, { verdict: 'skipped', text: 'the cluster can not be asked' }];
  const { namespace } = config;
  try {
    const [overview, agents] = await Promise.all([
      birdseye(api, namespace, version, signal),
      listAgents(api, namespace, `${LABEL_ROLE}=egress`, signal).catch(() => []),
    ]);
    const ended = agents.filter(({ status }) => status?.phase === 'Succeeded' || status?.phase === 'Failed');
    if (ended.length > 0) {
      const text = `agents that have ended: ${ended.map(({ metadata }) => metadata.name).join(', ')}`;
      outcomes.push({ verdict: 'warning', text, hint: '`kt clean` removes them' });
    }
    for (const { name, state, by, notes } of overview.services) {
      if (state === 'normal' || by.some(({ live }) => live !== false)) continue;
      const text = `${name} is still ${state}, and nobody holds it any more`;
      outcomes.push({ verdict: 'warning', text, hint: notes.at(-1) ?? `\`kt recover ${name}\` gives it back` });
    }
  } catch (error) {
    const { code, message } = asKtError(error);
    if (code !== 'RIGHTS_MISSING') throw error;
    outcomes.push({ verdict: 'skipped', text: `not to be seen: ${message}` });
  }
  return outcomes.length > 0 ? outcomes : { verdict: 'ok', text: `nothing of kt is left in '${namespace}'` };
};
