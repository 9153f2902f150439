// The dialer that asks the router and passes on: cluster, company proxy or direct. What every listener on the laptop gets.
// A name that only looks like the cluster's is asked for there first; where the cluster does not know it, or can't be asked while the
// laptop does know it, it goes as without kt.
import { KtError } from '../../errors.ts';
import type { Connection, DatagramFlow, Dialer, DialOptions, RecordType, ResolveAnswer, Target } from '../dialer.ts';
import { AskedNames } from './asked-names.ts';
import type { Route } from './rules.ts';

/** The part of router.ts that is used here. */
export interface DialRouter {
  route(host: string, port?: number): Route;
  outside(host: string, port?: number): Route;
  learnAnswer(answer: ResolveAnswer): void;
}

export interface RoutingOptions {
  readonly router: DialRouter;
  readonly cluster: Dialer;
  readonly direct: Dialer;
  /** Undefined where no proxy is configured. */
  readonly corporate: Dialer | undefined;
}

export class RoutingDialer implements Dialer {
  readonly #options: RoutingOptions;
  readonly #asked = new AskedNames();
  readonly #asking = new Map<string, Promise<boolean>>();

  constructor(options: RoutingOptions) {
    this.#options = options;
  }

  async dial(target: Target, options: DialOptions = {}): Promise<Connection> {
    const route = await this.#settled(target, options);
    const connection = await this.#dialerOf(route, target.host).dial(target, options);
    if (route.via === 'cluster') connection.opened.catch((error: unknown) => this.#doubt(target.host, error));
    return connection;
  }

  async datagrams(target: Target, options: DialOptions = {}): Promise<DatagramFlow> {
    const route = await this.#settled(target, options);
    // A company proxy carries no UDP; without kt it would not be asked either.
    return this.#dialerOf(route.via === 'corporate' ? { ...route, via: 'direct' } : route, target.host).datagrams(
      target,
      options,
    );
  }

  async resolve(name: string, type: RecordType, options: DialOptions = {}): Promise<ResolveAnswer> {
    const { router, cluster, direct } = this.#options;
    const route = router.route(name);
    if (route.via !== 'cluster') return direct.resolve(name, type, options);
    try {
      const answer = await cluster.resolve(name, type, options);
      router.learnAnswer(answer);
      if (!route.guess) return answer;
      this.#asked.set(name, answer.found);
      return answer.found ? answer : await direct.resolve(name, type, options);
    } catch (error) {
      if (!route.guess || options.signal?.aborted) throw error;
      const answer = await direct.resolve(name, type, options).catch(() => undefined);
      if (answer?.found) return answer;
      throw error;
    }
  }

  /** The route with a guess decided. */
  async #settled({ host, port }: Target, options: DialOptions): Promise<Route> {
    const { router } = this.#options;
    const route = router.route(host, port);
    if (!route.guess) return route;
    const inCluster = this.#asked.get(host) ?? (await this.#ask(host, options));
    return inCluster ? route : router.outside(host, port);
  }

  /** One question at a time for a name. Rejects with the cluster's error where the laptop does not know the name either. */
  async #ask(name: string, { signal, timeoutMs }: DialOptions): Promise<boolean> {
    const asking = this.#asking.get(name) ?? this.#question(name, timeoutMs).finally(() => this.#asking.delete(name));
    this.#asking.set(name, asking);
    return unlessAborted(asking, signal);
  }

  async #question(name: string, timeoutMs: number | undefined): Promise<boolean> {
    const { router, cluster, direct } = this.#options;
    try {
      const answer = await cluster.resolve(name, 'A', { timeoutMs });
      router.learnAnswer(answer);
      this.#asked.set(name, answer.found);
      return answer.found;
    } catch (error) {
      // No link, say. What the laptop knows need not wait for it; all else fails with the reason.
      const here = await direct.resolve(name, 'A', { timeoutMs }).catch(() => undefined);
      if (here?.found) return false;
      throw error;
    }
  }

  #doubt(name: string, error: unknown): void {
    if (error instanceof KtError && error.code === 'DIAL_NOT_FOUND') this.#asked.forget(name);
  }

  #dialerOf({ via, rule }: Route, host: string): Dialer {
    const { cluster, direct, corporate } = this.#options;
    if (via === 'refuse') throw new KtError('DIAL_DENIED', `${host}: ${rule}`);
    if (via === 'cluster') return cluster;
    return via === 'corporate' && corporate ? corporate : direct;
  }
}

/** The question goes on for others who wait for it. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new KtError('CANCELLED', 'the dial was cancelled'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
