// What the user may do, mode by mode, in one round of access reviews. Changes nothing. Called by doctor.ts.
import { forwardRights, type Right, rightsText } from '../../../cluster/access.ts';
import { INGRESS_WAYS } from '../../../cluster/takeover/rights.ts';
import { WAYS, type Way } from '../../../cluster/ways/names.ts';
import { checkWays } from '../../../cluster/ways/way-rights.ts';
import { WAY_NAMES } from '../../../cluster/ways/ways.ts';
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
  const access = await checkWays(api, config.namespace, [...asked.values()], signal);
  // A port-forward is one way of several: where another one is open, it is not missed.
  const lacks = (rights: readonly Right[], ways: readonly Way[]): Right[] => [
    ...access.lacks(rights.filter((one) => one.subresource !== 'portforward')),
    ...(rights.some((one) => one.subresource === 'portforward') ? access.missing(ways) : []),
  ];
  const missing = (mode: string): Right[] =>
    lacks(
      modes[mode]?.needs ?? [],
      mode === 'connect' ? WAYS : mode === 'agentless' ? ['portforward', 'spdy'] : INGRESS_WAYS,
    );
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
  const [way] = access.open;
  if (way !== undefined && way !== 'portforward')
    outcomes.push({ verdict: 'ok', text: `the way into pods is ${WAY_NAMES[way]}` });
  for (const right of HELPFUL_RIGHTS.filter((one) => access.lacks([one]).length > 0))
    outcomes.push({ verdict: 'ok', text: `you may not ${rightsText([right])}, which is no harm: ${right.without}` });
  return outcomes;
};
