// Who holds a taken Service now, as far as it can be known: its agent says it; an agent that is not there, or was there for a moment only, is
// given time, so that nobody loses a Service to a pod that moves. All ages are by the API server's clock. Called by recover.ts.
import { setTimeout as wait } from 'node:timers/promises';
import { deploymentPath } from '../cluster/paths.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { serviceAgent } from '../cluster/takeover/manifests.ts';
import { agentPods, find, isReady } from '../cluster/takeover/objects.ts';
import { asKtError, KtError } from '../errors.ts';
import { type Holder, holderName } from '../netstack/link/control.codec.ts';
import { IngressLink } from '../session/inbound/ingress-link.ts';
import type { RecoverOptions } from './recover-types.ts';

/** Milliseconds after which something unfinished is no work in progress any more: no agent takes longer to start. */
export const UNFINISHED_MS = 120_000;
/** Milliseconds in which laptops find a new agent: the longest pause between their attempts is less. */
const FRESH_MS = 30_000;
/** Milliseconds for the agent's answer. */
const ASK_MS = 5_000;
/** Milliseconds until the agent is sure that a session is dead: links without a byte are given up after 15 s. */
const DEAD_MS = 20_000;
const RETRY_MS = 300;

interface Deployment {
  readonly metadata: { readonly creationTimestamp?: string };
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastTransitionTime?: string;
    }[];
  };
}

/** What the journal says, or else the usual. */
interface Noted {
  readonly owner: string;
  readonly linkPort: number;
  /** Somebody was giving it back, and had asked the agent. */
  readonly ending: boolean;
}

/** As people are told; undefined: nobody, and nobody can come any more. Rejects with SERVICE_NOT_RESTORED where the agent can't be asked. */
export async function holderOf(
  api: ClusterApi,
  namespace: string,
  service: string,
  { owner, linkPort, ending }: Noted,
  options: RecoverOptions,
): Promise<string | undefined> {
  const pod = await readyAgent(api, namespace, service, options);
  if (typeof pod !== 'object') return pod === 'starting' ? `${owner}, whose agent is not ready` : undefined;
  const link = IngressLink.forQuestions({
    api,
    namespace,
    service,
    linkPort,
    version: options.version,
  });
  try {
    await link.start(AbortSignal.timeout(ASK_MS));
    if (options.session !== undefined) return names(await leaveFor(link, options.session));
    const seen = await link.look();
    if (seen.length > 0 || options.dryRun) return names(seen);
    if (!ending && api.now() - pod.startedAt < FRESH_MS) return `${owner}, whose laptop has just lost its agent`;
    return names(await link.lookBeforeEnd());
  } catch (error) {
    const known = asKtError(error);
    throw new KtError('SERVICE_NOT_RESTORED', `the agent of ${service} can't be asked who holds it: ${known.message}`, {
      hint: 'try again, or `kt recover --force` if you know that nobody does',
      cause: known,
    });
  } finally {
    link.close();
  }
}

const names = (holders: readonly Holder[]): string | undefined =>
  holders.length === 0 ? undefined : holders.map(holderName).join(', ');

/** The agent's pod; `gone`: there is none and none will come; `starting`: one may come. */
async function readyAgent(
  api: ClusterApi,
  namespace: string,
  service: string,
  { session, unfinishedMs = UNFINISHED_MS }: RecoverOptions,
): Promise<{ readonly startedAt: number } | 'gone' | 'starting'> {
  for (const end = performance.now() + DEAD_MS; ; ) {
    const ready = (await agentPods(api, namespace, service)).find(isReady);
    if (ready) {
      const started = ready.status?.containerStatuses?.[0]?.state?.running?.startedAt;
      return { startedAt: started === undefined ? 0 : Date.parse(started) };
    }
    const path = deploymentPath(namespace, serviceAgent(service).deployment);
    const deployment = await find<Deployment>(api, path);
    if (!deployment || downSince(deployment, api.now()) > unfinishedMs) return 'gone';
    if (session === undefined) return 'starting';
    // Others may be on it beside the session that died.
    if (performance.now() > end) return 'gone';
    await wait(RETRY_MS);
  }
}

/** Milliseconds for which it has had no pod that is ready. */
export function downSince({ metadata, status }: Deployment, now: number): number {
  const available = status?.conditions?.find(({ type }) => type === 'Available');
  if (available?.status === 'True') return 0;
  return now - Date.parse(available?.lastTransitionTime ?? metadata.creationTimestamp ?? '');
}

/** The agent believes in a session for as long as its connection seems open: a process that was killed this moment, say. */
async function leaveFor(link: IngressLink, dead: string): Promise<readonly Holder[]> {
  for (const end = performance.now() + DEAD_MS; ; ) {
    try {
      return await link.leave(dead);
    } catch (error) {
      if (asKtError(error).code !== 'SERVICE_HELD') throw error;
      if (performance.now() > end) return link.lookBeforeEnd();
      await wait(RETRY_MS);
    }
  }
}
