// Makes links to the egress agent and, before that, the agent itself: one pod of this session, made again when it is lost.
// The pool (netstack/link/pool.ts) says when a link is wanted; this says how it comes about. Called by session.ts.
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { createAgent, deleteAgent, type Pod, waitForAgent } from '../cluster/agent-lifecycle.ts';
import {
  AGENT_LINK_PORT,
  AGENT_PROXY_PORT,
  type AgentPodOptions,
  agentPod,
  agentPodName,
} from '../cluster/agent-pod.ts';
import { podPath } from '../cluster/paths.ts';
import { PortForwardStream } from '../cluster/port-forward-stream.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { statusCode } from '../cluster/status.ts';
import { type Passage, WAY_NAMES, waysOf } from '../cluster/ways/ways.ts';
import { asKtError, KtError } from '../errors.ts';
import { Link } from '../netstack/link/link.ts';
import type { LinkHooks } from '../netstack/link/pool.ts';
import type { EventSink } from './events.ts';
import { shownName } from './who.ts';

/** A container that runs needs some 100 ms until it listens; 10 s is a very slow node. */
const LISTEN_LIMIT_MS = 10_000;
const LISTEN_RETRY_MS = 40;
/** Milliseconds for a question about the pod while the link is down. */
const LOOK_MS = 4_000;
/** Milliseconds for the pod's deletion when the session ends; after that the janitor and the agent's own limit have to do. */
const DELETE_MS = 5_000;

export interface AgentSettings extends Omit<AgentPodOptions, 'name' | 'token' | 'proxyPort' | 'user' | 'host'> {
  readonly namespace: string;
  readonly startLimitMs: number;
}

interface Agent {
  readonly name: string;
  readonly token: string;
  /** Where it takes links that come by the API server's proxy; undefined: nowhere. */
  readonly proxyPort: number | undefined;
  ip: string | undefined;
  /** It is known to be gone or about to go. */
  lost: boolean;
  proven: boolean;
}

export class AgentLink {
  readonly #api: ClusterApi;
  readonly #settings: AgentSettings;
  readonly #emit: EventSink;
  readonly #names = new Set<string>();
  #agent: Agent | undefined;
  #making: Promise<Agent> | undefined;
  #closed = false;

  constructor(api: ClusterApi, settings: AgentSettings, emit: EventSink) {
    this.#api = api;
    this.#settings = settings;
    this.#emit = emit;
  }

  /** The current agent's pod. */
  get podName(): string | undefined {
    return this.#agent?.name;
  }

  get podIp(): string | undefined {
    return this.#agent?.ip;
  }

  /** For LinkPool: a link to the agent, which is made first where there is none. */
  connect = async (hooks: LinkHooks, signal: AbortSignal): Promise<Link> => {
    const agent = await this.#ensure(signal);
    const started = performance.now();
    for (;;) {
      try {
        return await this.#attempt(agent, hooks, signal);
      } catch (error) {
        const known = asKtError(error, 'LINK_LOST');
        if (signal.aborted) throw known;
        const young = !agent.proven && performance.now() - started < LISTEN_LIMIT_MS;
        if (!young || known.code === 'RIGHTS_MISSING' || known.code === 'CREDENTIALS_REJECTED') {
          // Its link port answered before and refuses now: the process is gone, seconds before the kubelet says so.
          if (agent.proven && known.code === 'DIAL_REFUSED') this.#lose(agent, 'its process has ended');
          else await this.#look(agent, signal);
          throw known;
        }
        await new Promise((resolve) => setTimeout(resolve, LISTEN_RETRY_MS));
      }
    }
  };

  /** Deletes every pod that this session made. Never rejects; what could not be deleted is named in a warning. */
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

  async #attempt(agent: Agent, hooks: LinkHooks, signal: AbortSignal): Promise<Link> {
    const { namespace, version, session } = this.#settings;
    const identity = { token: agent.token, version, session };
    const onDrain = (): void => {
      this.#lose(agent, 'its pod is being deleted');
      hooks.onDrain();
    };
    const at = { namespace, pod: agent.name, port: AGENT_LINK_PORT, proxyPort: agent.proxyPort };
    const passage = await waysOf(this.#api).through(
      at,
      (transport, until) => {
        const cheap = transport instanceof PortForwardStream && transport.bare;
        return Link.open(transport, identity, { onClose: hooks.onClose, onDrain, cheap }, until);
      },
      // What needs more rights and more of the way is tried where a link is there already.
      { signal, tunnel: true, bare: agent.proven },
    );
    agent.proven = true;
    this.#tellDetour(passage);
    return passage.value;
  }

  #tellDetour({ way, refused }: Passage<Link>): void {
    for (const { way: closed, error } of refused) {
      this.#emit({
        type: 'warning',
        message: `${WAY_NAMES[closed]} is not open: ${error.message}`,
        hint: `kt goes by ${WAY_NAMES[way]}, and begins with that for a day`,
      });
    }
  }

  #ensure(signal: AbortSignal): Promise<Agent> {
    if (this.#agent && !this.#agent.lost) return Promise.resolve(this.#agent);
    this.#making ??= this.#make(signal).finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #make(signal: AbortSignal): Promise<Agent> {
    if (this.#closed) throw new KtError('CANCELLED', 'the session ended');
    const { namespace, startLimitMs, ...rest } = this.#settings;
    const username = shownName();
    const agent: Agent = {
      name: agentPodName(username, randomBytes(4).toString('hex')),
      token: randomBytes(32).toString('base64url'),
      // Only where no other way is left: that port is open to the whole cluster.
      proxyPort:
        waysOf(this.#api).order({ proxyPort: AGENT_PROXY_PORT })[0] === 'podproxy' ? AGENT_PROXY_PORT : undefined,
      ip: undefined,
      lost: false,
      proven: false,
    };
    const step = (state: 'started' | 'waiting' | 'done' | 'failed', text: string, ms?: number): void =>
      this.#emit({ type: 'step', id: 'agent', state, text, ...(ms === undefined ? {} : { ms }) });
    const started = performance.now();
    step('started', `agent pod ${agent.name}`);
    // Noted before it is asked for: a pod whose creation was answered too late must be deleted too.
    this.#names.add(agent.name);
    const { name, token, proxyPort } = agent;
    const manifest = agentPod({ ...rest, name, token, proxyPort, user: username, host: hostname() });
    try {
      await createAgent(this.#api, namespace, manifest, signal);
      const wait = { limitMs: startLimitMs, signal, onWaiting: (reason: string) => step('waiting', reason) };
      const pod = await waitForAgent(this.#api, namespace, agent.name, wait);
      agent.ip = pod.status?.podIP;
    } catch (error) {
      step('failed', `agent pod ${agent.name}`);
      await this.#forget(agent.name);
      throw error;
    }
    this.#agent = agent;
    step('done', `agent pod ${agent.name} runs`, performance.now() - started);
    this.#emit({ type: 'agent', state: 'created', pod: agent.name });
    return agent;
  }

  /** After a failed attempt: is the pod still there? If it is not, the next attempt makes another one. */
  async #look(agent: Agent, signal: AbortSignal): Promise<void> {
    if (agent.lost) return;
    try {
      const path = podPath(this.#settings.namespace, agent.name);
      const pod = await this.#api.request<Pod>('GET', path, { signal, timeoutMs: LOOK_MS });
      const phase = pod.status?.phase;
      if (pod.metadata.deletionTimestamp) this.#lose(agent, 'its pod is being deleted');
      else if (phase === 'Succeeded' || phase === 'Failed') this.#lose(agent, `its pod has ended (${phase})`);
    } catch (error) {
      if (statusCode(error) === 404) this.#lose(agent, 'its pod was deleted');
    }
  }

  #lose(agent: Agent, reason: string): void {
    if (agent.lost) return;
    agent.lost = true;
    this.#emit({ type: 'agent', state: 'lost', pod: agent.name, reason });
    // Deleted without a grace that is shorter than its own: open streams go on while it drains.
    if (!this.#closed) void this.#forget(agent.name);
  }

  async #forget(name: string): Promise<void> {
    try {
      await deleteAgent(this.#api, this.#settings.namespace, name, 10, DELETE_MS);
      this.#names.delete(name);
    } catch {
      // Still in #names: close() tries again and says so if it fails.
    }
  }
}
