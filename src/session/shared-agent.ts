// The agent that the platform team runs in the namespace, for a user who may not create one: found, never made and never deleted. Called by reach.ts.
// What it is as an object of the cluster is cluster/shared-agent.ts.
import { randomBytes } from 'node:crypto';
import type { ClusterApi } from '../cluster/rest.ts';
import { findSharedAgent } from '../cluster/shared-agent.ts';
import { KtError } from '../errors.ts';
import type { Agent, AgentSource } from './agent-source.ts';
import type { EventSink } from './events.ts';

/** Milliseconds between looks while its Deployment replaces it. */
const POLL_MS = 250;
/** Milliseconds for that; the pool of links asks again for as long as the session lasts. */
const REPLACED_MS = 5_000;
/** Milliseconds for which the API still calls a pod ready whose program is gone. A pod's name outlives its program, which is started again. */
const STALE_MS = 2_000;

export class SharedAgent implements AgentSource {
  readonly #api: ClusterApi;
  readonly #namespace: string;
  readonly #emit: EventSink;
  /** Names of pods, with the time at which they were dropped. */
  readonly #dropped = new Map<string, number>();

  constructor(api: ClusterApi, namespace: string, emit: EventSink) {
    this.#api = api;
    this.#namespace = namespace;
    this.#emit = emit;
  }

  async take(signal: AbortSignal): Promise<Agent> {
    const started = performance.now();
    this.#emit({ type: 'step', id: 'agent', state: 'started', text: 'shared agent' });
    for (;;) {
      const pod = await findSharedAgent(this.#api, this.#namespace, signal);
      const droppedAt = this.#dropped.get(pod?.name ?? '') ?? Number.NEGATIVE_INFINITY;
      if (pod && performance.now() - droppedAt > STALE_MS) {
        const ms = performance.now() - started;
        this.#emit({ type: 'step', id: 'agent', state: 'done', text: `shared agent ${pod.name} runs`, ms });
        // Nobody else's business: several developers are at one agent.
        return { name: pod.name, ip: pod.ip, token: randomBytes(32).toString('base64url'), proxyPort: undefined };
      }
      if (performance.now() - started > REPLACED_MS) {
        this.#emit({ type: 'step', id: 'agent', state: 'failed', text: 'shared agent' });
        throw noSharedAgent(this.#namespace);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      if (signal.aborted) throw new KtError('CANCELLED', 'cancelled while the shared agent was looked for');
    }
  }

  drop({ name }: Agent): void {
    this.#dropped.clear();
    this.#dropped.set(name, performance.now());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export const noSharedAgent = (namespace: string): KtError =>
  new KtError('AGENT_START', `no shared agent is ready in the namespace '${namespace}'`, {
    hint: '`kt doctor --shared-agent` prints what the platform team has to apply; --mode agentless goes without',
  });
