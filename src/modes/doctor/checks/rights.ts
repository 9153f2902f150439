// What the user may do, mode by mode, in one round of access reviews. Changes nothing. Called by doctor.ts.
import { forwardRights, type Right, rightsText } from '../../../cluster/access.ts';
import { findSharedAgent } from '../../../cluster/shared-agent.ts';
import { INGRESS_WAYS } from '../../../cluster/takeover/rights.ts';
import { WAYS, type Way } from '../../../cluster/ways/names.ts';
import { checkWays } from '../../../cluster/ways/way-rights.ts';
import { WAY_NAMES } from '../../../cluster/ways/ways.ts';
import type { Mode } from '../../../session/events.ts';
import { HELPFUL_RIGHTS, modeRights } from '../mode-rights.ts';
import type { Check, Outcome } from '../types.ts';

const RENEW = 'the platform team applies what `kt doctor --shared-agent` prints; until then new things may be missing';
/** What a session takes, in this order. */
const LADDER: readonly Mode[] = ['agent', 'shared', 'agentless'];

const key = ({ verb, group, resource, subresource }: Right): string =>
  [verb, group ?? '', resource, subresource ?? ''].join(' ');

export const checkRights: Check = async (world) => {
  const { api, config, options, signal } = world;
  if (!api || !config) return [];
  const modes = modeRights(await forwardRights(api, signal));
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
      mode === 'connect' || mode === 'shared' ? WAYS : mode === 'agentless' ? ['portforward', 'spdy'] : INGRESS_WAYS,
    );
  const agent = missing('connect').length === 0;
  const mayShare = missing('shared').length === 0;
  const shared = mayShare ? await findSharedAgent(api, config.namespace, signal) : undefined;
  const agentless = missing('agentless').length === 0;
  const possible: Readonly<Record<Mode, boolean>> = { agent, shared: shared !== undefined, agentless };
  world.mode = LADDER.find((mode) => possible[mode] && (options.mode === 'auto' || options.mode === mode));
  const hint = (mode: string): string => `\`kt doctor --rbac ${mode}\` prints the Role to ask for`;
  const outcomes = Object.entries(modes).map(([mode, { does }]): Outcome => {
    const rights = missing(mode);
    if (mode === 'shared' && mayShare && !shared) {
      if (agent) return { verdict: 'ok', text: `${does}: none is there, and not needed` };
      const text = `${does}: you may, and none is ready in '${config.namespace}'`;
      return { verdict: 'ok', text, hint: '`kt doctor --shared-agent` prints what the platform team has to apply' };
    }
    if (mode === 'shared' && shared && shared.version !== options.version) {
      const text = `${does}: you may; its version is ${shared.version ?? 'unknown'}, and this is ${options.version}`;
      return world.mode === 'shared' ? { verdict: 'warning', text, hint: RENEW } : { verdict: 'ok', text };
    }
    if (rights.length === 0) return { verdict: 'ok', text: `${does}: you may` };
    const connects = mode === 'connect' || mode === 'shared' || mode === 'agentless';
    const text = `${does}: you may not ${rightsText(rights)} in '${config.namespace}'`;
    // One of the ways to connect is enough; the way that asks for least is the one to ask for where there is none.
    if (connects && world.mode !== undefined) {
      return mode !== 'connect'
        ? { verdict: 'ok', text: `${does}: not needed` }
        : { verdict: 'warning', text, hint: hint(mode) };
    }
    // That one is the platform team's to set up first.
    return {
      verdict: connects && mode !== 'shared' ? 'failed' : 'warning',
      text,
      hint: hint(mode),
      code: 'RIGHTS_MISSING',
    };
  });
  const [way] = access.open;
  if (way !== undefined && way !== 'portforward')
    outcomes.push({ verdict: 'ok', text: `the way into pods is ${WAY_NAMES[way]}` });
  for (const right of HELPFUL_RIGHTS.filter((one) => access.lacks([one]).length > 0))
    outcomes.push({ verdict: 'ok', text: `you may not ${rightsText([right])}, which is no harm: ${right.without}` });
  return outcomes;
};
