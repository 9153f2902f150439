// The session's own agents: one pod at a time, made when a link is wanted and deleted with the session. Called by reach.ts.
// The manifest is cluster/agent-pod.ts, the waiting cluster/agent-lifecycle.ts.
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { createAgent, deleteAgent, waitForAgent } from '../cluster/agent-lifecycle.ts';
import { AGENT_PROXY_PORT, type AgentPodOptions, agentPod, agentPodName } from '../cluster/agent-pod.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { waysOf } from '../cluster/ways/ways.ts';
import { asKtError, KtError } from '../errors.ts';
import type { Agent, AgentSource } from './agent-source.ts';
import type { EventSink } from './events.ts';
import { shownName } from './who.ts';

/** Milliseconds for the pod's deletion when the session ends; after that the janitor and the agent's own limit have to do. */
const DELETE_MS = 5_000;
/** Seconds for a pod that is given up while the session goes on: open streams go on while it drains. */
const DRAIN_S = 10;

export interface OwnAgentSettings extends Omit<AgentPodOptions, 'name' | 'token' | 'proxyPort' | 'user' | 'host'> {
  readonly namespace: string;
  readonly startLimitMs: number;
}

export class OwnAgents implements AgentSource {
  readonly #api: ClusterApi;
  readonly #settings: OwnAgentSettings;
  readonly #emit: EventSink;
  readonly #names = new Set<string>();
  #making: Promise<Agent> | undefined;
  #closed = false;

  constructor(api: ClusterApi, settings: OwnAgentSettings, emit: EventSink) {
    this.#api = api;
    this.#settings = settings;
    this.#emit = emit;
  }

  take(signal: AbortSignal): Promise<Agent> {
    this.#making ??= this.#make(signal).finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  drop({ name }: Agent): void {
    if (!this.#closed) void this.#forget(name);
  }

  /** Deletes every pod that this session made; what could not be deleted is named in a warning. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#making?.catch(() => undefined);
    await Promise.all(
      [...this.#names].map(async (name) => {
        try {
          await deleteAgent(this.#api, this.#settings.namespace, name, 0, DELETE_MS);
          this.#emit({ type: 'agent', state: 'removed', pod: name });
        } catch (error) {
          this.#emit({
            type: 'warning',
            message: `the agent's pod ${name} could not be deleted: ${asKtError(error).message}`,
            hint: 'it ends by itself within 2 minutes; `kt clean` removes what is left of it',
          });
        }
      }),
    );
  }

  async #make(signal: AbortSignal): Promise<Agent> {
    if (this.#closed) throw new KtError('CANCELLED', 'the session ended');
    const { namespace, startLimitMs, ...rest } = this.#settings;
    const user = shownName();
    const name = agentPodName(user, randomBytes(4).toString('hex'));
    const token = randomBytes(32).toString('base64url');
    // Only where no other way is left: that port is open to the whole cluster.
    const byProxy = waysOf(this.#api).order({ proxyPort: AGENT_PROXY_PORT })[0] === 'podproxy';
    const proxyPort = byProxy ? AGENT_PROXY_PORT : undefined;
    const step = (state: 'started' | 'waiting' | 'done' | 'failed', text: string, ms?: number): void =>
      this.#emit({ type: 'step', id: 'agent', state, text, ...(ms === undefined ? {} : { ms }) });
    const started = performance.now();
    step('started', `agent pod ${name}`);
    // Noted before it is asked for: a pod whose creation was answered too late must be deleted too.
    this.#names.add(name);
    const manifest = agentPod({ ...rest, name, token, proxyPort, user, host: hostname() });
    try {
      await createAgent(this.#api, namespace, manifest, signal);
      const wait = { limitMs: startLimitMs, signal, onWaiting: (reason: string) => step('waiting', reason) };
      const pod = await waitForAgent(this.#api, namespace, name, wait);
      step('done', `agent pod ${name} runs`, performance.now() - started);
      return { name, token, proxyPort, ip: pod.status?.podIP };
    } catch (error) {
      step('failed', `agent pod ${name}`);
      // Cancelled: close() follows, and deletes it.
      if (!signal.aborted) await this.#forget(name);
      throw error;
    }
  }

  async #forget(name: string): Promise<void> {
    try {
      await deleteAgent(this.#api, this.#settings.namespace, name, DRAIN_S, DELETE_MS);
      this.#names.delete(name);
    } catch {
      // Still in #names: close() tries again and says so if it fails.
    }
  }
}
