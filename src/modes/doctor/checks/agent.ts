// Opens a session as `kt connect` does, without its ports, and ends it again: image, agent, link and DNS as the user will have them.
// What it makes (one pod) is deleted by the session, or by its janitor. Called by doctor.ts, unless --read-only.
import { asKtError, type KtError } from '../../../errors.ts';
import type { Dialer } from '../../../netstack/dialer.ts';
import type { SessionEvent } from '../../../session/events.ts';
import type { CheckId } from '../../../session/findings.ts';
import { Session } from '../../../session/session.ts';
import type { Check, Outcome, World } from '../types.ts';

/** Milliseconds for one name. */
const RESOLVE_MS = 5_000;

const AGENT_CODES = ['AGENT_START', 'AGENT_REFUSED', 'AGENT_VERSION'];

export const checkAgent: Check = async (world) => {
  const { mode, options, signal } = world;
  if (!world.api || mode === undefined) return [];
  if (options.readOnly) return { check: 'agent', verdict: 'skipped', text: 'not started, as --read-only asks' };
  const seen: SessionEvent[] = [];
  let dialer: Dialer | undefined;
  const listen = (to: { readonly dialer: Dialer }) => {
    ({ dialer } = to);
    return Promise.resolve({ forwards: [], close: () => Promise.resolve() });
  };
  const wanted = { ...options, mode, includeIps: [], excludeIps: [], alsoProxy: [], parkMs: RESOLVE_MS, shared: false };
  let session: Session;
  try {
    session = await Session.open({ ...wanted, listen }, (event) => seen.push(event), signal);
  } catch (error) {
    return [...opened(seen, world), failure(asKtError(error))];
  }
  try {
    const names = mode !== 'agentless' && dialer ? await checkNames(world, dialer) : [];
    return [...opened(seen, world), ...session.state.reduced.map(reduced), ...names];
  } finally {
    await session.close('the doctor is done');
  }
};

function failure(error: KtError): Outcome {
  const check: CheckId = error.code === 'AGENT_IMAGE' ? 'image' : AGENT_CODES.includes(error.code) ? 'agent' : 'link';
  return {
    check,
    verdict: 'failed',
    text: error.message,
    hint: error.hint ?? 'docs/errors.md says more',
    code: error.code,
  };
}

// The check of rights has warned already.
const reduced = (text: string): Outcome => ({ check: 'link', verdict: 'ok', text });

/** What was reached, with the session's own times. */
function opened(events: readonly SessionEvent[], { mode, options }: World): Outcome[] {
  const outcomes: Outcome[] = [];
  const done = (id: string) =>
    events.find((event) => event.type === 'step' && event.id === id && event.state === 'done') as
      | Extract<SessionEvent, { type: 'step' }>
      | undefined;
  const agent = done('agent');
  if (agent) {
    const image = options.placement?.image ?? 'the default image';
    if (mode === 'agent')
      outcomes.push({ check: 'image', verdict: 'ok', text: `${image} is there and starts`, ms: agent.ms ?? 0 });
    outcomes.push({ check: 'agent', verdict: 'ok', text: agent.text, ms: agent.ms ?? 0 });
  }
  const link = done('link');
  if (link) {
    const ms = Math.max(0, (link.ms ?? 0) - (agent?.ms ?? 0));
    outcomes.push({
      check: 'link',
      verdict: 'ok',
      text: agent ? 'open' : 'the API answers; each connection is a port-forward',
      ms,
    });
  }
  return outcomes;
}

/** The name that every cluster has; with the search list it tells the domain. */
async function checkNames({ options }: World, dialer: Dialer): Promise<Outcome[]> {
  const domain = options.clusterDomain;
  const full = `kubernetes.default.svc.${domain}`;
  const started = performance.now();
  const answer = await dialer.resolve(full, 'A', { timeoutMs: RESOLVE_MS });
  const ms = performance.now() - started;
  const [record] = answer.records;
  if (answer.found && record) return [{ check: 'dns', verdict: 'ok', text: `${full} is ${record.data}`, ms }];
  const short = await dialer.resolve('kubernetes.default.svc', 'A', { timeoutMs: RESOLVE_MS });
  const own = short.records[0]?.name.replace(/^kubernetes\.default\.svc\.?/, '');
  const text = `the cluster's DNS does not know ${full}`;
  const hint = own
    ? `its domain is ${own}: use --clusterDomain ${own}`
    : 'may pods of this namespace reach the DNS (NetworkPolicy)?';
  return [{ check: 'dns', verdict: 'failed', text, hint, code: 'DIAL_NOT_FOUND', ms }];
}
