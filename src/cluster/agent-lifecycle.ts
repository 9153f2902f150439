// Creates the egress agent's pod, tells why it is not there yet in the cluster's own words, and deletes it.
// The manifest is agent-pod.ts; when to make a new one is session/agent-link.ts.
import { asKtError, KtError } from '../errors.ts';
import type { AgentPlacement } from './agent-placement.ts';
import { agentPod } from './agent-pod.ts';
import { agentRefusal } from './agent-refusal.ts';
import { eventsPath, podPath } from './paths.ts';
import type { ClusterApi } from './rest.ts';
import { statusCode } from './status.ts';
import { watchList } from './watch.ts';

/** Milliseconds between two looks where watching is not allowed. */
const POLL_MS = 500;

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly terminated?: { readonly reason?: string; readonly message?: string; readonly exitCode?: number };
  readonly running?: { readonly startedAt?: string };
}

export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly uid?: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly podIP?: string;
    readonly containerStatuses?: readonly { readonly state?: ContainerState; readonly started?: boolean }[];
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
  };
}

interface ClusterEvent {
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
}

export interface AgentWait {
  /** Milliseconds until the wait is given up. */
  readonly limitMs: number;
  /** Told each new reason of the wait, in the cluster's own words. */
  readonly onWaiting: (reason: string) => void;
  readonly signal: AbortSignal;
}

/** Creates the pod; with `dryRun` the cluster only says whether it would (tryAgent). Rejects with AGENT_REFUSED (Pod Security, quota, a webhook: the cluster's own text) or with what the API said. */
export async function createAgent(
  api: ClusterApi,
  namespace: string,
  manifest: object,
  signal: AbortSignal,
  query?: { readonly dryRun: 'All' },
): Promise<Pod> {
  try {
    return await api.request<Pod>('POST', podPath(namespace), { body: manifest, signal, query });
  } catch (error) {
    throw agentRefusal(error, 'use --mode agentless');
  }
}

/** Would the cluster take an agent's pod? Pod Security, quotas and webhooks answer as for a real one (dryRun=All); rejects as createAgent does. */
export async function tryAgent(
  api: ClusterApi,
  namespace: string,
  version: string,
  placement: AgentPlacement | undefined,
  signal: AbortSignal,
): Promise<void> {
  const nobody = { session: 'try', code: '', token: '', user: 'try', host: 'try' };
  const manifest = agentPod({ name: 'kt-agent-try', version, ...nobody, ...placement });
  await createAgent(api, namespace, manifest, signal, { dryRun: 'All' });
}

/** Waits until the agent's container runs. Rejects with AGENT_IMAGE or AGENT_START, with the cluster's own reason. */
export async function waitForAgent(api: ClusterApi, namespace: string, name: string, wait: AgentWait): Promise<Pod> {
  const done = new AbortController();
  const timer = setTimeout(() => done.abort(), wait.limitMs);
  const signal = AbortSignal.any([wait.signal, done.signal]);
  let reason = 'the pod was not scheduled yet';
  const told = new Set<string>();
  const tell = (text: string): void => {
    reason = text;
    if (told.has(text)) return;
    told.add(text);
    wait.onWaiting(text);
  };
  const events = watchEvents(api, namespace, name, signal, tell);
  try {
    for await (const pod of podStates(api, namespace, name, signal)) {
      const state = pod.status?.containerStatuses?.[0]?.state;
      if (state?.running) return pod;
      const fault = fatalReason(pod, state);
      if (fault) throw fault;
      const waiting = state?.waiting;
      if (waiting?.reason && waiting.reason !== 'ContainerCreating') tell(sentence(waiting.reason, waiting.message));
    }
    wait.signal.throwIfAborted();
    throw new KtError(
      'AGENT_START',
      `the agent's pod did not start within ${Math.round(wait.limitMs / 1000)} s: ${reason}`,
      {
        hint: `kubectl -n ${namespace} describe pod ${name}; --podCreationTimeout waits longer`,
      },
    );
  } catch (error) {
    if (wait.signal.aborted) throw new KtError('CANCELLED', 'cancelled while the agent was starting');
    throw asKtError(error, 'AGENT_START');
  } finally {
    clearTimeout(timer);
    done.abort();
    await events;
  }
}

/** The error where waiting longer can't help. */
export function fatalReason(pod: Pod, state: ContainerState | undefined): KtError | undefined {
  const reason = state?.waiting?.reason ?? '';
  const text = sentence(reason, state?.waiting?.message);
  if (['ImagePullBackOff', 'InvalidImageName', 'ErrImageNeverPull', 'ErrImagePull'].includes(reason)) {
    return new KtError('AGENT_IMAGE', `the agent's image can't be pulled: ${text}`, {
      hint: 'name a Node image (20 or newer) that the cluster can pull with --image, with --imagePullSecret if it needs one',
    });
  }
  if (
    ['CreateContainerConfigError', 'CreateContainerError', 'RunContainerError', 'CrashLoopBackOff'].includes(reason)
  ) {
    return new KtError('AGENT_START', `the agent's container can't be started: ${text}`, {
      hint: 'is --image a Node image, 20 or newer?',
    });
  }
  const terminated = state?.terminated;
  if (terminated || pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') {
    const why = terminated
      ? `exit code ${terminated.exitCode ?? '?'}, ${sentence(terminated.reason ?? 'ended', terminated.message)}`
      : sentence(pod.status?.reason ?? 'ended', pod.status?.message);
    return new KtError('AGENT_START', `the agent ended as soon as it had started: ${why}`, {
      hint: `kubectl logs ${pod.metadata.name}; is --image a Node image, 20 or newer?`,
    });
  }
  if (pod.metadata.deletionTimestamp)
    return new KtError('AGENT_START', "somebody deleted the agent's pod while it was starting");
  return undefined;
}

const sentence = (reason: string, message: string | undefined): string => (message ? `${reason}: ${message}` : reason);

/** The pod as it changes, by watch, or by looking again and again where watching is not allowed. Ends on `signal`. */
async function* podStates(api: ClusterApi, namespace: string, name: string, signal: AbortSignal): AsyncGenerator<Pod> {
  try {
    for await (const change of watchList<Pod>(api, podPath(namespace), {
      query: { fieldSelector: `metadata.name=${name}` },
      signal,
    })) {
      if (change.type === 'deleted')
        throw new KtError('AGENT_START', "somebody deleted the agent's pod while it was starting");
      if (change.type === 'added' || change.type === 'modified') yield change.object;
    }
    return;
  } catch (error) {
    if (signal.aborted) return;
    if (asKtError(error).code !== 'RIGHTS_MISSING') throw error;
  }
  while (!signal.aborted) {
    yield await api.request<Pod>('GET', podPath(namespace, name), { signal });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, POLL_MS);
      signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
}

/** Tells the scheduler's and the kubelet's warnings about the pod. Without the right to see events there is nothing to tell. */
async function watchEvents(
  api: ClusterApi,
  namespace: string,
  name: string,
  signal: AbortSignal,
  tell: (text: string) => void,
): Promise<void> {
  const path = eventsPath(namespace);
  try {
    for await (const change of watchList<ClusterEvent>(api, path, {
      query: { fieldSelector: `involvedObject.name=${name}` },
      signal,
    })) {
      if (change.type !== 'added' && change.type !== 'modified') continue;
      const { type, reason, message } = change.object;
      if (reason && (type === 'Warning' || reason === 'Pulling')) tell(sentence(reason, message));
    }
  } catch {
    // Events only explain; the pod's own state decides.
  }
}

/** Deletes the pod; one that is gone already is no error. `graceSeconds` lets it drain. */
export async function deleteAgent(
  api: ClusterApi,
  namespace: string,
  name: string,
  graceSeconds: number,
  timeoutMs: number,
): Promise<void> {
  try {
    await api.request('DELETE', podPath(namespace, name), {
      body: { gracePeriodSeconds: graceSeconds },
      timeoutMs,
    });
  } catch (error) {
    if (statusCode(error) !== 404) throw error;
  }
}

/** Pods of agents in the namespace, by label. */
export async function listAgents(
  api: ClusterApi,
  namespace: string,
  labelSelector: string,
  signal?: AbortSignal,
): Promise<Pod[]> {
  const list = await api.request<{ items: Pod[] }>('GET', podPath(namespace), {
    query: { labelSelector },
    ...(signal ? { signal } : {}),
  });
  return list.items;
}
