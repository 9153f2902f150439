// One running kt: owns everything that lives (links, agent, listeners, watches, the local socket) and ends it in the right order.
// Opening: check → listen → agent → link → ready. Whatever fails undoes what was done. What each part does is in its own module.
// Called by the commands that hold a session; other commands join it over control.ts.
import { randomBytes } from 'node:crypto';
import { asKtError, KtError } from '../errors.ts';
import type { Dialer } from '../netstack/dialer.ts';
import { openCluster, type SessionCluster } from './cluster.ts';
import { ControlServer } from './control.ts';
import { controlPath } from './control-paths.ts';
import type { EventSink, Mode, SessionEvent } from './events.ts';
import { Janitor } from './janitor.ts';
import { type Listeners, openListeners } from './listeners.ts';
import { checkRights, type Reach, reach } from './reach.ts';
import { initialState, reduce, type SessionState } from './state.ts';

export interface SessionOptions {
  readonly version: string;
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly namespace?: string | undefined;
  /** 0 = any free port; undefined = the default (2223) of a shared session, any free one of a private session. */
  readonly proxyPort?: number | undefined;
  readonly proxyAddress?: string | undefined;
  readonly proxyUser?: string | undefined;
  readonly dnsPort?: number | undefined;
  readonly includeIps: readonly string[];
  readonly excludeIps: readonly string[];
  readonly alsoProxy: readonly string[];
  readonly clusterDomain: string;
  readonly mode: 'auto' | Mode;
  readonly image?: string | undefined;
  readonly imagePullSecret?: string | undefined;
  readonly nodeSelector?: Record<string, string> | undefined;
  readonly labels?: Record<string, string> | undefined;
  readonly annotations?: Record<string, string> | undefined;
  readonly startLimitMs: number;
  readonly parkMs: number;
  /** Emit an event for each connection. */
  readonly debug?: boolean;
  /** kt-connect's flags that do nothing here. */
  readonly ignored?: readonly string[];
  /** Others may join it (`kt connect`); a private one is `kt run`'s own. */
  readonly shared: boolean;
  /** What listens in place of proxy, DNS and broker. Called before anything is made in the cluster; nobody can join such a session. */
  readonly listen?: ((to: ListenContext) => Promise<OwnListeners>) | undefined;
}

export interface ListenContext {
  /** To what is in the cluster, and to nothing else. */
  readonly dialer: Dialer;
  readonly cluster: SessionCluster;
  readonly mode: Mode;
  readonly emit: EventSink;
}

export interface OwnListeners {
  /** Told as events when the cluster is reached. */
  readonly forwards: readonly Omit<Extract<SessionEvent, { type: 'forwarding' }>, 'type'>[];
  close(): Promise<void>;
}

/** What a joining command needs to start a program in this session. Holds a secret: only over the 0600 socket. */
export interface JoinInfo {
  readonly session: string;
  readonly namespace: string;
  readonly broker: { readonly address: string; readonly token: string };
  readonly proxy: string;
  readonly dns: string;
  readonly shimDns: string;
  readonly cidrs: readonly string[];
  readonly suffixes: readonly string[];
}

export class Session {
  readonly id = randomBytes(4).toString('hex');
  /** Resolves with the reason when another command or the loss of everything asks this session to end. */
  readonly ended: Promise<string>;
  #state: SessionState = initialState;
  readonly #views = new Set<(event: SessionEvent) => void>();
  readonly #sink: EventSink;
  readonly #stopping = new AbortController();
  #askToEnd: (reason: string) => void = () => undefined;
  #cluster: SessionCluster | undefined;
  #reach: Reach | undefined;
  #listeners: Listeners | undefined;
  #own: OwnListeners | undefined;
  #joinable = true;
  #control: ControlServer | undefined;
  #janitor: Janitor | undefined;
  #closing: Promise<void> | undefined;

  private constructor(sink: EventSink) {
    this.#sink = sink;
    this.ended = new Promise((resolve) => {
      this.#askToEnd = resolve;
    });
  }

  /** Opens a session; rejects with the KtError that stopped it, after everything was undone. `signal` cancels. */
  static async open(options: SessionOptions, sink: EventSink, signal: AbortSignal): Promise<Session> {
    const session = new Session(sink);
    const cancel = (): void => session.#stopping.abort();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      if (signal.aborted) throw new KtError('CANCELLED', 'cancelled');
      await session.#open(options);
      return session;
    } catch (error) {
      const reason = signal.aborted ? new KtError('CANCELLED', 'cancelled') : asKtError(error);
      await session.close(reason.message);
      throw reason;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  get state(): SessionState {
    return this.#state;
  }

  get join(): JoinInfo {
    if (this.#own)
      throw new KtError('SESSION_NONE', 'this session only forwards ports', { hint: 'start one with `kt connect`' });
    if (!this.#listeners || !this.#cluster)
      throw new KtError('SESSION_NONE', 'the session is not open yet', { hint: 'wait for `ready`' });
    const { router, namespace } = this.#cluster;
    return {
      session: this.id,
      namespace,
      ...this.#listeners.addresses,
      cidrs: router.cidrs(),
      suffixes: router.suffixes(),
    };
  }

  /** Ends everything and leaves nothing behind; safe to call again. Never rejects. */
  close(reason: string): Promise<void> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  async #open(options: SessionOptions): Promise<void> {
    const signal = this.#stopping.signal;
    this.#joinable = options.listen === undefined;
    if (options.ignored && options.ignored.length > 0) {
      this.#emit({
        type: 'warning',
        message: `flags of kt-connect without a meaning here: ${options.ignored.map((name) => `--${name}`).join(', ')}`,
      });
    }
    const cluster = await this.#step('config', 'kubeconfig', () =>
      openCluster(options, signal, (event) => this.#emit(event)),
    );
    this.#cluster = cluster;
    const mode = await this.#step('rights', `rights in ${cluster.namespace}`, () =>
      checkRights(cluster.api, cluster.namespace, options.mode),
    );
    // The listeners first: a port that is taken must be told before anything is made in the cluster.
    const link = reach(mode, cluster, options, this.id, (event) => this.#emit(event));
    this.#reach = link;
    await this.#step('listen', 'local ports', () => this.#listen(options, cluster, link.dialer, mode));
    const entry = process.argv[1];
    if (mode === 'agent' && entry) {
      const where = [
        ...(options.kubeconfig ? ['--kubeconfig', options.kubeconfig] : []),
        '--context',
        cluster.context,
        '--namespace',
        cluster.namespace,
      ];
      this.#janitor = new Janitor([process.execPath, entry, 'clean', '--session', this.id, ...where], process.env);
    }
    this.#control = await ControlServer.listen(controlPath(this.id), {
      answer: (question) => this.#answer(question),
      subscribe: (send) => this.#subscribe(send),
    });
    await this.#step('link', 'link to the cluster', () => link.start(signal));
    await cluster.servicesSeen;
    const { proxy = null, dns = null } = this.#listeners?.addresses ?? {};
    this.#emit({
      type: 'ready',
      namespace: cluster.namespace,
      context: cluster.context,
      proxy,
      dns,
      agent: link.agent() ?? null,
      mode,
      reduced: link.reduced,
    });
    for (const forward of this.#own?.forwards ?? []) this.#emit({ type: 'forwarding', ...forward });
  }

  async #listen(options: SessionOptions, cluster: SessionCluster, names: Dialer, mode: Mode): Promise<void> {
    const emit: EventSink = (event) => this.#emit(event);
    if (options.listen) this.#own = await options.listen({ dialer: names, cluster, mode, emit });
    else this.#listeners = await openListeners(cluster.route(names), names, cluster, options, emit);
  }

  async #close(reason: string): Promise<void> {
    this.#stopping.abort();
    await this.#listeners?.close();
    await this.#own?.close();
    await this.#reach?.close();
    this.#cluster?.close();
    this.#janitor?.dismiss();
    this.#emit({ type: 'ended', reason });
    this.#control?.close();
  }

  async #step<T>(id: string, text: string, work: () => Promise<T> | T): Promise<T> {
    const started = performance.now();
    this.#emit({ type: 'step', id, state: 'started', text });
    try {
      const result = await work();
      this.#stopping.signal.throwIfAborted();
      this.#emit({ type: 'step', id, state: 'done', text, ms: performance.now() - started });
      return result;
    } catch (error) {
      this.#emit({ type: 'step', id, state: 'failed', text });
      throw error;
    }
  }

  #emit(event: SessionEvent): void {
    this.#state = reduce(this.#state, event);
    this.#sink(event);
    for (const view of this.#views) view(event);
  }

  #subscribe(send: (event: unknown) => void): () => void {
    const view = (event: SessionEvent): void => send({ time: new Date().toISOString(), ...event });
    this.#views.add(view);
    return () => this.#views.delete(view);
  }

  #answer(question: { readonly ask: string; readonly [field: string]: unknown }): unknown {
    switch (question.ask) {
      case 'status':
        return { session: this.id, pid: process.pid, joinable: this.#joinable, ...this.#state };
      case 'stop':
        this.#askToEnd('kt stop');
        return {};
      case 'join':
        return this.join;
      case 'route': {
        if (!this.#cluster) throw new KtError('SESSION_NONE', 'the session is not open yet');
        const host = typeof question['host'] === 'string' ? question['host'] : '';
        return { host, ...this.#cluster.router.explain(host) };
      }
      default:
        throw new KtError('USAGE', `the session does not know '${question.ask}'`, {
          hint: 'is it an older kt? restart it',
        });
    }
  }
}
