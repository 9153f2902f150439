// The dialer that asks the router and passes on: cluster, company proxy or direct. What every listener on the laptop gets.
// A name that only looks like the cluster's is asked for there first; where the cluster does not know it, or can't be asked while the
// laptop does know it, it goes as without kt.
import { KtError } from '../../errors.ts';
import type {
  Connection,
  DatagramFlow,
  Dialer,
  DialOptions,
  PlainHop,
  RecordType,
  ResolveAnswer,
  Target,
} from '../dialer.ts';
import { isOfCluster } from '../dns/cluster-answer.ts';
import { AskedNames } from './asked-names.ts';
import type { Route } from './rules.ts';

/** The part of router.ts that is used here. */
export interface DialRouter {
  readonly clusterDomain: string;
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
    options.onRoute?.(route);
    const connection = await this.#dialerOf(route, target.host).dial(target, options);
    if (route.via === 'cluster') connection.opened.catch((error: unknown) => this.#doubt(target.host, error));
    return connection;
  }

  async plainHop(target: Target, options: DialOptions = {}): Promise<PlainHop | undefined> {
    const { corporate } = this.#options;
    if (corporate?.plainHop === undefined) return undefined;
    const route = await this.#settled(target, options);
    if (route.via !== 'corporate') return undefined;
    options.onRoute?.(route);
    return corporate.plainHop(target, options);
  }

  async datagrams(target: Target, options: DialOptions = {}): Promise<DatagramFlow> {
    const settled = await this.#settled(target, options);
    // A company proxy carries no UDP; without kt it would not be asked either.
    const route: Route = settled.via === 'corporate' ? { ...settled, via: 'direct' } : settled;
    options.onRoute?.(route);
    return this.#dialerOf(route, target.host).datagrams(target, options);
  }

  async resolve(name: string, type: RecordType, options: DialOptions = {}): Promise<ResolveAnswer> {
    const { router, cluster, direct } = this.#options;
    const { via, guess } = router.route(name);
    // `_http._tcp.orders` is there where `orders` is.
    const host = name.replace(/^_[^.]+\._[^.]+\./, '');
    if (via !== 'cluster' || (guess && !(await this.#inCluster(host, options))))
      return direct.resolve(name, type, options);
    const answer = await cluster.resolve(name, type, options);
    router.learnAnswer(answer);
    return answer;
  }

  /** The route with a guess decided. */
  async #settled({ host, port }: Target, options: DialOptions): Promise<Route> {
    const { router } = this.#options;
    const route = router.route(host, port);
    if (!route.guess) return route;
    return (await this.#inCluster(host, options)) ? route : router.outside(host, port);
  }

  /** One question at a time for a name. Rejects with the cluster's error where the laptop does not know the name either. */
  async #inCluster(name: string, { signal, timeoutMs }: DialOptions): Promise<boolean> {
    const known = this.#asked.get(name);
    if (known !== undefined) return known;
    const asking = this.#asking.get(name) ?? this.#ask(name, timeoutMs).finally(() => this.#asking.delete(name));
    this.#asking.set(name, asking);
    return unlessAborted(asking, signal);
  }

  async #ask(name: string, timeoutMs: number | undefined): Promise<boolean> {
    const { cluster, direct } = this.#options;
    try {
      const inCluster = await this.#clusterHas(name, (type) => cluster.resolve(name, type, { timeoutMs }));
      this.#asked.set(name, inCluster);
      return inCluster;
    } catch (error) {
      // No link, say. What the laptop knows need not wait for it; all else fails with the reason.
      const here = await direct.resolve(name, 'A', { timeoutMs }).catch(() => undefined);
      if (here?.found) return false;
      throw error;
    }
  }

  /** The name itself: what the cluster's DNS would only forward is the laptop's own way. */
  async #clusterHas(name: string, resolve: (type: RecordType) => Promise<ResolveAnswer>): Promise<boolean> {
    const { router } = this.#options;
    for (const type of ['A', 'AAAA'] as const) {
      const answer = await resolve(type);
      if (isOfCluster(name, answer, router.clusterDomain)) {
        router.learnAnswer(answer);
        return true;
      }
      if (!answer.found || answer.records.length > 0) return false;
    }
    return false;
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
