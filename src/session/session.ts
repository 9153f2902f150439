// One running kt: owns everything that lives (links, agent, listeners, watches, the local socket) and ends it in the right order.
// Opening: check → listen → agent → link → ready. Whatever fails undoes what was done. What each part does is in its own module.
// Called by the commands that hold a session; others watch and join it over its board (board.ts).
import { hostname } from 'node:os';
import { asKtError, type ErrorCode, KtError } from '../errors.ts';
import type { Dialer } from '../netstack/dialer.ts';
import { Board } from './board.ts';
import { openCluster } from './cluster.ts';
import type { EventSink, Mode, SessionEvent } from './events.ts';
import { Janitor } from './janitor.ts';
import { ktEnv } from './kt-env.ts';
import { type Listeners, openListeners } from './listeners.ts';
import { Meter } from './meter.ts';
import { checkRights, type Reach, reach } from './reach.ts';
import { removeSessionFile, sessionFilePath, writeSessionFile } from './session-file.ts';
import { settleMemory } from './settle.ts';
import { watchShims } from './shim-watch.ts';
import type { SessionState } from './state.ts';
import { type Asked, RecordingDialer } from './traffic/recording-dialer.ts';
import type { JoinInfo, OwnListeners, SessionCluster, SessionOptions } from './types.ts';
import { shownName } from './who.ts';

/** Forwards lead into the cluster, and nobody decides a route. */
const FORWARD: Asked = { by: { door: 'forward' }, via: 'cluster', reason: 'a local port that leads there' };

export class Session {
  readonly board: Board;
  readonly #ownBoard: boolean;
  readonly #stopping = new AbortController();
  #cluster: SessionCluster | undefined;
  #reach: Reach | undefined;
  #listeners: Listeners | undefined;
  #own: OwnListeners | undefined;
  #meter: Meter | undefined;
  #unwatchShims: (() => void) | undefined;
  #unsettle: (() => void) | undefined;
  #janitor: Janitor | undefined;
  #closing: Promise<void> | undefined;

  private constructor(board: Board, own: boolean) {
    this.board = board;
    this.#ownBoard = own;
  }

  /** Opens a session; rejects with the KtError that stopped it, after everything was undone. `signal` cancels. */
  static async open(options: SessionOptions, sink: EventSink, signal: AbortSignal): Promise<Session> {
    const session = new Session(options.board ?? new Board(sink), options.board === undefined);
    const cancel = (): void => session.#stopping.abort();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      if (signal.aborted) throw new KtError('CANCELLED', 'cancelled');
      await session.#open(options);
      return session;
    } catch (error) {
      const reason = signal.aborted ? new KtError('CANCELLED', 'cancelled') : asKtError(error);
      await session.close(reason.message, reason.code);
      throw reason;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  get id(): string {
    return this.board.id;
  }

  /** Resolves with the reason when another command asks this session to end. */
  get ended(): Promise<string> {
    return this.board.ended;
  }

  get state(): SessionState {
    return this.board.state;
  }

  /** Its cluster; throws SESSION_NONE before the kubeconfig was read. */
  get cluster(): SessionCluster {
    if (!this.#cluster) throw new KtError('SESSION_NONE', 'the session is not open yet');
    return this.#cluster;
  }

  /** To what is in the cluster, and to nothing else. Throws as `cluster`. */
  get dialer(): Dialer {
    if (!this.#reach) throw new KtError('SESSION_NONE', 'the session is not open yet');
    return this.#reach.dialer;
  }

  /** For local ports that lead to a target: each connection is a record of traffic. */
  forwardDialer(dialer = this.dialer): Dialer {
    return new RecordingDialer(dialer, this.board.traffic, () => FORWARD);
  }

  /** What the links carry, for those who add links of their own. Throws as `cluster`. */
  get meter(): Meter {
    if (!this.#meter) throw new KtError('SESSION_NONE', 'the session is not open yet');
    return this.#meter;
  }

  get join(): JoinInfo {
    if (this.#own)
      throw new KtError('SESSION_NONE', 'this session only forwards ports', { hint: 'start one with `kt connect`' });
    if (!this.#listeners || !this.#cluster)
      throw new KtError('SESSION_NONE', 'the session is not open yet', { hint: 'wait for `ready`' });
    const { router, namespace, context } = this.#cluster;
    return {
      session: this.id,
      sessionFile: sessionFilePath(context, namespace),
      namespace,
      ...this.#listeners.addresses,
      cidrs: router.cidrs(),
      suffixes: router.suffixes(),
    };
  }

  /** Ends everything and leaves nothing behind; safe to call again. Never rejects. `code`: of the error that it ends with. */
  close(reason: string, code?: ErrorCode): Promise<void> {
    this.#closing ??= this.#close(reason, code);
    return this.#closing;
  }

  async #open(options: SessionOptions): Promise<void> {
    const signal = this.#stopping.signal;
    const { board } = this;
    board.joinable = options.listen === undefined;
    board.onQuestion('join', () => this.join);
    board.onAction('route', ({ host }) => ({ host, ...this.cluster.router.explain(host) }));
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
    this.#emit({
      type: 'opening',
      session: this.id,
      namespace: cluster.namespace,
      context: cluster.context,
      as: cluster.config.user,
      server: cluster.config.server,
      user: shownName(),
      host: hostname(),
      since: new Date().toISOString(),
    });
    const mode = await this.#step('rights', `rights in ${cluster.namespace}`, () =>
      checkRights(cluster.api, cluster.namespace, options.mode, signal),
    );
    // The listeners first: a port that is taken must be told before anything is made in the cluster.
    const link = reach(mode, cluster, options, this.id, (event) => this.#emit(event));
    this.#reach = link;
    this.#meter = new Meter(board, cluster.api);
    this.#unwatchShims = watchShims(board);
    if (link.flow) this.#meter.add(link.flow);
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
      const clean = [process.execPath, entry, 'clean', '--session', this.id, ...where];
      this.#janitor = new Janitor(clean, ktEnv(options));
    }
    await board.listen();
    await this.#step('link', 'link to the cluster', () => link.start(signal));
    await cluster.servicesSeen;
    if (board.joinable) {
      const { broker, cidrs, suffixes, shimDns, sessionFile } = this.join;
      if (sessionFile) writeSessionFile(sessionFile, { broker, cidrs, suffixes, dns: shimDns }, options.shared);
    }
    const { proxy = null, dns = null, login } = this.#listeners?.addresses ?? {};
    this.#emit({
      type: 'ready',
      namespace: cluster.namespace,
      context: cluster.context,
      proxy,
      ...(login ? { login: { username: login.username, file: login.file } } : {}),
      dns,
      agent: link.agent() ?? null,
      mode,
      reduced: link.reduced,
    });
    for (const forward of this.#own?.forwards ?? []) this.#emit({ type: 'forwarding', ...forward });
    this.#unsettle = settleMemory();
  }

  async #listen(options: SessionOptions, cluster: SessionCluster, reached: Dialer, mode: Mode): Promise<void> {
    const names = cluster.inside(reached);
    const emit: EventSink = (event) => this.#emit(event);
    const { traffic } = this.board;
    const { signal } = this.#stopping;
    const dialer = this.forwardDialer(names);
    if (options.listen) this.#own = await options.listen({ dialer, cluster, mode, emit, signal });
    else this.#listeners = await openListeners(cluster.route(names), names, cluster, options, { emit, traffic });
  }

  async #close(reason: string, code?: ErrorCode): Promise<void> {
    this.#stopping.abort();
    this.#meter?.close();
    this.#unwatchShims?.();
    this.#unsettle?.();
    if (this.#cluster) removeSessionFile(sessionFilePath(this.#cluster.context, this.#cluster.namespace));
    await this.#listeners?.close();
    await this.#own?.close();
    await this.#reach?.close();
    this.#cluster?.close();
    this.#janitor?.dismiss();
    this.#emit({ type: 'ended', reason, ...(code ? { code } : {}) });
    if (this.#ownBoard) this.board.close();
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
    this.board.emit(event);
  }
}
