// The mode `doctor`: looks at every hop between this laptop and the cluster, in their order, and tells each one's verdict as soon as it is
// known. A hop that fails does not stop those that can be looked at without it. Never rejects. Called by cli/commands/doctor.ts.
import { asKtError } from '../../errors.ts';
import type { CheckId, Diagnosis, Finding } from '../../session/findings.ts';
import { checkAgent } from './checks/agent.ts';
import { checkApiServer, checkCredentials, checkProxy, checkUser } from './checks/api.ts';
import { checkKubeconfig, checkLaptop, checkPorts, checkShims } from './checks/laptop.ts';
import { checkLeftovers } from './checks/leftovers.ts';
import { checkNamespace } from './checks/namespace.ts';
import { checkRights } from './checks/rights.ts';
import type { Check, DoctorOptions, World } from './types.ts';

interface Step {
  readonly id: CheckId;
  readonly check: Check;
  /** What has to be known first. */
  readonly needs: (world: World) => boolean;
}

const always = (): boolean => true;
const withConfig = ({ config }: World): boolean => config !== undefined;
const withApi = ({ api }: World): boolean => api !== undefined;
const withMode = ({ mode }: World): boolean => mode !== undefined;

const STEPS: readonly Step[] = [
  { id: 'laptop', check: checkLaptop, needs: always },
  { id: 'kubeconfig', check: checkKubeconfig, needs: always },
  { id: 'credentials', check: checkCredentials, needs: withConfig },
  { id: 'proxy', check: checkProxy, needs: withConfig },
  { id: 'api-server', check: checkApiServer, needs: withConfig },
  { id: 'user', check: checkUser, needs: withApi },
  { id: 'rights', check: checkRights, needs: ({ user }) => user !== undefined },
  { id: 'namespace', check: checkNamespace, needs: withMode },
  { id: 'agent', check: checkAgent, needs: withMode },
  { id: 'shims', check: checkShims, needs: always },
  { id: 'ports', check: checkPorts, needs: always },
  { id: 'leftovers', check: checkLeftovers, needs: always },
];

export async function diagnose(
  options: DoctorOptions,
  tell: (finding: Finding) => void,
  signal: AbortSignal,
): Promise<Diagnosis> {
  const world: World = { options, signal, closers: [] };
  const findings: Finding[] = [];
  const add = (finding: Finding): void => {
    findings.push(finding);
    tell(finding);
  };
  const failed = (check: CheckId): boolean => findings.some((one) => one.check === check && one.verdict === 'failed');
  try {
    for (const { id, check, needs } of STEPS) {
      if (signal.aborted) break;
      // A pod that the namespace does not take need not be tried.
      const hopeless = id === 'agent' && failed('namespace');
      if (hopeless || !needs(world)) {
        add({ check: id, verdict: 'skipped', text: 'not looked at, because of what failed above', ms: 0 });
        continue;
      }
      const started = performance.now();
      const elapsed = (): number => Math.round(performance.now() - started);
      try {
        const outcomes = [await check(world)].flat();
        for (const outcome of outcomes)
          add({ ...outcome, check: outcome.check ?? id, ms: Math.round(outcome.ms ?? elapsed()) });
      } catch (error) {
        const { code, message, hint = 'docs/errors.md says more' } = asKtError(error);
        add({ check: id, verdict: 'failed', text: message, hint, code, ms: elapsed() });
      }
    }
  } finally {
    for (const close of world.closers) await close();
  }
  return {
    version: options.version,
    time: new Date().toISOString(),
    namespace: world.config?.namespace ?? null,
    context: world.config?.context ?? null,
    findings,
  };
}
