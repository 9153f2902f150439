// What the user may do, mode by mode, in one round of access reviews. Changes nothing. Called by doctor.ts.
import { checkAccess, forwardRights, type Right, rightsText } from '../../../cluster/access.ts';
import { HELPFUL_RIGHTS, modeRights } from '../mode-rights.ts';
import type { Check, Outcome } from '../types.ts';

const key = ({ verb, group, resource, subresource }: Right): string =>
  [verb, group ?? '', resource, subresource ?? ''].join(' ');

export const checkRights: Check = async (world) => {
  const { api, config, options, signal } = world;
  if (!api || !config) return [];
  const modes = modeRights(await forwardRights(api));
  // Each right once, whoever asks for it.
  const asked = new Map(
    [...Object.values(modes).flatMap(({ needs }) => needs), ...HELPFUL_RIGHTS].map((r) => [key(r), r]),
  );
  const denied = new Set((await checkAccess(api, config.namespace, [...asked.values()], signal)).map(key));
  const lacks = (rights: readonly Right[]): Right[] => rights.filter((right) => denied.has(key(right)));
  const missing = (mode: string): Right[] => lacks(modes[mode]?.needs ?? []);
  const agent = missing('connect').length === 0;
  const agentless = missing('agentless').length === 0;
  if (agent && options.mode !== 'agentless') world.mode = 'agent';
  else if (agentless && options.mode !== 'agent') world.mode = 'agentless';
  const hint = (mode: string): string => `\`kt doctor --rbac ${mode}\` prints the Role to ask for`;
  const outcomes = Object.entries(modes).map(([mode, { does }]): Outcome => {
    const rights = missing(mode);
    if (rights.length === 0) return { verdict: 'ok', text: `${does}: you may` };
    const connects = mode === 'connect' || mode === 'agentless';
    const text = `${does}: you may not ${rightsText(rights)} in '${config.namespace}'`;
    // One of the two ways to connect is enough; the way that asks for least is the one to ask for where there is none.
    if (connects && (agent || agentless)) {
      return mode === 'agentless'
        ? { verdict: 'ok', text: `${does}: not needed` }
        : { verdict: 'warning', text, hint: hint(mode) };
    }
    return { verdict: connects ? 'failed' : 'warning', text, hint: hint(mode), code: 'RIGHTS_MISSING' };
  });
  const helpful = HELPFUL_RIGHTS.filter((right) => denied.has(key(right)));
  for (const right of helpful)
    outcomes.push({ verdict: 'ok', text: `you may not ${rightsText([right])}, which is no harm: ${right.without}` });
  return outcomes;
};
