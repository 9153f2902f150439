// The links of one session to the ingress agent of one taken Service: finds its pod (also a new one after its loss), says the rules on
// every link, hands streams to serve-inbound.ts, and leaves in the end. Called by modes/hold.ts and modes/recover.ts.
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { ClusterApi } from '../../cluster/rest.ts';
import { agentPods, isReady, isStarted, podsOf } from '../../cluster/takeover/objects.ts';
import type { AgentIdentity } from '../../cluster/takeover/types.ts';
import { waysOf } from '../../cluster/ways/ways.ts';
import { asKtError, KtError } from '../../errors.ts';
import {
  type AgentLine,
  type Holder,
  holderName,
  type LaptopLine,
  type Rule,
} from '../../netstack/link/control.codec.ts';
import { Link, type LinkEvents } from '../../netstack/link/link.ts';
import { type LinkHooks, LinkPool } from '../../netstack/link/pool.ts';
import type { Flow } from '../meter.ts';
import type { InboundTap } from '../traffic/inbound-tap.ts';
import { shownName } from '../who.ts';
import { LocalPort } from './local-port.ts';
import { serveInbound } from './serve-inbound.ts';

/** Milliseconds for one attempt to open a link; a stalled line must not hold an attempt for longer. */
const ATTEMPT_MS = 8_000;
/** Milliseconds for the agent's answer to a line. */
const ANSWER_MS = 5_000;

export interface IngressLinkOptions {
  readonly api: ClusterApi;
  readonly namespace: string;
  readonly service: string;
  /** Another agent than the Service's own: mesh in manual mode. */
  readonly agent?: AgentIdentity | undefined;
  readonly linkPort: number;
  readonly session: string;
  readonly version: string;
  readonly rules: readonly (Rule & { readonly local: number })[];
  readonly takeOver?: boolean | undefined;
  readonly onChange?: (change: {
    readonly state: 'up' | 'down' | 'retry' | 'spare';
    readonly reason?: KtError;
  }) => void;
  /** Somebody took rules of ours over. */
  readonly onEvicted?: (by: string, rules: readonly string[]) => void;
  readonly onStream?: (peer: string, rule: string) => void;
  /** Who watches a stream; undefined while nobody looks. */
  readonly tap?: ((caller: string, rule: string) => InboundTap | undefined) | undefined;
}

type Question =
  | { readonly type: 'rules' }
  | { readonly type: 'leave'; readonly session?: string }
  | { readonly type: 'look' | 'seal' | 'retire' };

export class IngressLink {
  readonly #options: IngressLinkOptions;
  readonly #token = randomBytes(32).toString('base64url');
  readonly #pool: LinkPool;
  readonly #locals: ReadonlyMap<string, LocalPort>;
  readonly #waiting = new Map<number, { answer: (line: AgentLine) => void; fail: (error: KtError) => void }>();
  /** What is still ours: others may have taken the rest. */
  #rules: readonly Rule[];
  /** Told with the first rules only: later links must not take back what somebody took from us. */
  #takeOver: boolean;
  #heldOnce = false;
  #seq = 0;
  #inbound = 0;

  constructor(options: IngressLinkOptions) {
    this.#options = options;
    this.#takeOver = options.takeOver === true;
    this.#rules = options.rules.map(({ id, port, protocol, match }) => ({ id, port, protocol, match }));
    this.#locals = new Map(options.rules.map(({ id, local, protocol }) => [id, new LocalPort(local, protocol)]));
    this.#pool = new LinkPool({
      connect: (hooks, signal) => this.#connect(hooks, signal),
      parkMs: ANSWER_MS,
      inbound: true,
      ...(options.rules.length === 0 ? { links: 1 } : {}),
      ...(options.onChange ? { onChange: options.onChange } : {}),
    });
  }

  /** One that only asks: it holds nothing, so one link without a spare is enough. */
  static forQuestions(
    at: Pick<IngressLinkOptions, 'api' | 'namespace' | 'service' | 'linkPort' | 'version'>,
  ): IngressLink {
    return new IngressLink({ ...at, session: `ask-${randomBytes(4).toString('hex')}`, rules: [] });
  }

  /** Makes the first link and holds the rules. Rejects with SERVICE_HELD naming the holder, or what stopped the link. */
  start(signal?: AbortSignal): Promise<void> {
    return this.#pool.start(signal);
  }

  get up(): boolean {
    return this.#pool.up;
  }

  /** For session/meter.ts. */
  get flow(): Flow {
    return {
      service: this.#options.service,
      ping: () => this.#pool.ping(),
      traffic: () => ({ ...this.#pool.traffic, inbound: this.#inbound }),
    };
  }

  /** Who holds rules at the agent. Rejects where there is no link. */
  async look(): Promise<readonly Holder[]> {
    return this.#ask(await this.#pool.acquire(), { type: 'look' });
  }

  /** The same, asked by somebody who gives the Service back where nobody holds it: then nobody can come any more for a minute. */
  async lookBeforeEnd(): Promise<readonly Holder[]> {
    return this.#seal(await this.#pool.acquire());
  }

  /** Gives the rules up (of `session`, if it is dead); gives those who still hold some, as lookBeforeEnd does. */
  async leave(session?: string): Promise<readonly Holder[]> {
    this.#rules = [];
    const link = await this.#pool.acquire();
    const others = await this.#ask(link, { type: 'leave', ...(session === undefined ? {} : { session }) });
    return others.length > 0 ? others : this.#seal(link);
  }

  async #seal(link: Link): Promise<readonly Holder[]> {
    try {
      return await this.#ask(link, { type: 'seal' });
    } catch (error) {
      if (asKtError(error).code !== 'SERVICE_HELD') throw error;
      return this.#ask(link, { type: 'look' });
    }
  }

  /** The Service is given back: the agent need not wait for callers that did not hear of it yet. */
  async retire(): Promise<void> {
    await this.#ask(await this.#pool.acquire(), { type: 'retire' });
  }

  close(): void {
    this.#pool.close();
  }

  async #connect(hooks: LinkHooks, signal: AbortSignal): Promise<Link> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ATTEMPT_MS)]);
    const { api, namespace, service, linkPort, version, session } = this.#options;
    try {
      const { agent } = this.#options;
      // One that stands by is ready only when this link is there.
      const pod = agent
        ? (await podsOf(api, namespace, agent.labels, limit)).find(isStarted)
        : (await agentPods(api, namespace, service, limit)).find(isReady);
      if (!pod) throw new KtError('AGENT_START', `the agent of ${service} is not ready`);
      const identity = { token: this.#token, version, session, user: shownName(), host: hostname() };
      const at = { namespace, pod: pod.metadata.name, port: linkPort };
      const events: LinkEvents = {
        onClose: (error) => {
          for (const { fail } of this.#waiting.values()) fail(error);
          hooks.onClose(error);
        },
        onDrain: hooks.onDrain,
        onLine: (line) => this.#onLine(line),
        onStream: (stream, header) => {
          this.#inbound += 1;
          this.#options.onStream?.(header.peer, header.rule);
          const tap = this.#options.tap?.(header.peer, header.rule);
          void serveInbound(stream, header, this.#locals.get(header.rule), tap);
        },
      };
      const { value: link } = await waysOf(api).through(
        at,
        (transport, until) => Link.open(transport, identity, events, until),
        { signal, tunnel: true },
      );
      await this.#hold(link);
      return link;
    } catch (error) {
      if (limit.aborted && !signal.aborted)
        throw new KtError('API_UNREACHABLE', `the link did not open within ${ATTEMPT_MS / 1000} s`, { cause: error });
      throw error;
    }
  }

  /** An agent that was replaced knows no rules, so every link says them. */
  async #hold(link: Link): Promise<void> {
    if (this.#rules.length === 0) return;
    try {
      await this.#ask(link, { type: 'rules' });
      this.#takeOver = false;
      this.#heldOnce = true;
    } catch (error) {
      const known = asKtError(error);
      if (known.code === 'SERVICE_HELD' && this.#heldOnce) return this.#lost(await this.#ask(link, { type: 'look' }));
      link.close(known);
      throw error;
    }
  }

  /** Somebody took them while this laptop was away: it is told as one that was there is. */
  #lost(holders: readonly Holder[]): void {
    const rules = this.#rules.map(({ id }) => id);
    this.#rules = [];
    this.#options.onEvicted?.(holders.map(holderName).join(', '), rules);
  }

  #ask(link: Link, question: Question): Promise<readonly Holder[]> {
    const seq = (this.#seq += 1);
    return new Promise((resolve, reject) => {
      const over = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(seq);
      };
      const fail = (error: KtError): void => {
        over();
        reject(error);
      };
      const timer = setTimeout(() => fail(new KtError('LINK_LOST', 'the agent does not answer')), ANSWER_MS);
      const answer = (line: AgentLine): void => {
        over();
        if (line.type === 'refused') reject(new KtError(line.code, line.message, { hint: HINTS[line.code] ?? '' }));
        else resolve(line.type === 'done' ? line.holders : []);
      };
      this.#waiting.set(seq, { answer, fail });
      const line: LaptopLine =
        question.type === 'rules'
          ? { type: 'rules', seq, rules: this.#rules, takeOver: this.#takeOver }
          : { ...question, seq };
      link.send(line);
    });
  }

  #onLine(line: AgentLine): void {
    if ('seq' in line) this.#waiting.get(line.seq)?.answer(line);
    if (line.type !== 'evicted') return;
    this.#rules = this.#rules.filter(({ id }) => !line.rules.includes(id));
    this.#options.onEvicted?.(line.by, line.rules);
  }
}

const HINTS: Readonly<Record<string, string>> = {
  SERVICE_HELD: 'ask for it, use another mark, or take it with --take-over',
};
