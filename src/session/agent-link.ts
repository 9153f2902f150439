// Makes links to the agent, and has an agent first where there is none (agent-source.ts): another one when it is lost.
// The pool (netstack/link/pool.ts) says when a link is wanted; this says how it comes about. Called by reach.ts.
import type { Pod } from '../cluster/agent-lifecycle.ts';
import { AGENT_LINK_PORT } from '../cluster/agent-pod.ts';
import { podPath } from '../cluster/paths.ts';
import { PortForwardStream } from '../cluster/port-forward-stream.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { statusCode } from '../cluster/status.ts';
import { type Passage, WAY_NAMES, waysOf } from '../cluster/ways/ways.ts';
import { asKtError, type ErrorCode } from '../errors.ts';
import { Link } from '../netstack/link/link.ts';
import type { LinkHooks } from '../netstack/link/pool.ts';
import type { Agent, AgentSource } from './agent-source.ts';
import type { EventSink } from './events.ts';

/** A container that runs needs some 100 ms until it listens; 10 s is a very slow node. */
const LISTEN_LIMIT_MS = 10_000;
const LISTEN_RETRY_MS = 40;
/** What trying again does not mend. */
const FINAL: readonly ErrorCode[] = ['CREDENTIALS_REJECTED', 'AGENT_VERSION'];
/** Milliseconds for a question about the pod while the link is down. */
const LOOK_MS = 4_000;

export interface LinkSettings {
  readonly namespace: string;
  readonly session: string;
  readonly version: string;
}

/** An agent as the links know it. */
interface Led {
  readonly agent: Agent;
  /** It is known to be gone or about to go. */
  lost: boolean;
  proven: boolean;
}

export class AgentLink {
  readonly #api: ClusterApi;
  readonly #source: AgentSource;
  readonly #settings: LinkSettings;
  readonly #emit: EventSink;
  #led: Led | undefined;
  #taking: Promise<Led> | undefined;

  constructor(api: ClusterApi, source: AgentSource, settings: LinkSettings, emit: EventSink) {
    this.#api = api;
    this.#source = source;
    this.#settings = settings;
    this.#emit = emit;
  }

  /** The current agent's pod. */
  get podName(): string | undefined {
    return this.#led?.agent.name;
  }

  get podIp(): string | undefined {
    return this.#led?.agent.ip;
  }

  /** For LinkPool: a link to the agent. */
  connect = async (hooks: LinkHooks, signal: AbortSignal): Promise<Link> => {
    const led = await this.#ensure(signal);
    const started = performance.now();
    for (;;) {
      try {
        return await this.#attempt(led, hooks, signal);
      } catch (error) {
        const known = asKtError(error, 'LINK_LOST');
        if (signal.aborted) throw known;
        const young = !led.proven && performance.now() - started < LISTEN_LIMIT_MS;
        const final = FINAL.includes(known.code) || waysOf(this.#api).closedForGood(known);
        if (!young || final) {
          // Its link port answered before and refuses now: the process is gone, seconds before the kubelet says so.
          if (led.proven && known.code === 'DIAL_REFUSED') this.#lose(led, 'its process has ended');
          else await this.#look(led, signal);
          throw known;
        }
        await new Promise((resolve) => setTimeout(resolve, LISTEN_RETRY_MS));
      }
    }
  };

  /** No link is made any more, and no agent is left that is only this session's. Never rejects. */
  close(): Promise<void> {
    return this.#source.close();
  }

  async #attempt(led: Led, hooks: LinkHooks, signal: AbortSignal): Promise<Link> {
    const { agent } = led;
    const { namespace, version, session } = this.#settings;
    const identity = { token: agent.token, version, session };
    const onDrain = (): void => {
      this.#lose(led, 'its pod is being deleted');
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
      { signal, tunnel: true, bare: led.proven },
    );
    led.proven = true;
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

  #ensure(signal: AbortSignal): Promise<Led> {
    if (this.#led && !this.#led.lost) return Promise.resolve(this.#led);
    this.#taking ??= this.#take(signal).finally(() => {
      this.#taking = undefined;
    });
    return this.#taking;
  }

  async #take(signal: AbortSignal): Promise<Led> {
    const agent = await this.#source.take(signal);
    this.#led = { agent, lost: false, proven: false };
    this.#emit({ type: 'agent', state: 'created', pod: agent.name });
    return this.#led;
  }

  /** After a failed attempt: is the pod still there? If it is not, the next attempt asks for another one. */
  async #look(led: Led, signal: AbortSignal): Promise<void> {
    if (led.lost) return;
    try {
      const path = podPath(this.#settings.namespace, led.agent.name);
      const pod = await this.#api.request<Pod>('GET', path, { signal, timeoutMs: LOOK_MS });
      const phase = pod.status?.phase;
      if (pod.metadata.deletionTimestamp) this.#lose(led, 'its pod is being deleted');
      else if (phase === 'Succeeded' || phase === 'Failed') this.#lose(led, `its pod has ended (${phase})`);
    } catch (error) {
      if (statusCode(error) === 404) this.#lose(led, 'its pod was deleted');
    }
  }

  #lose(led: Led, reason: string): void {
    if (led.lost) return;
    led.lost = true;
    this.#emit({ type: 'agent', state: 'lost', pod: led.agent.name, reason });
    this.#source.drop(led.agent);
  }
}
