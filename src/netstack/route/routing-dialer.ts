// The dialer that asks the router and passes on: cluster, corporate proxy or direct. What every listener on the laptop gets.
import { KtError } from '../../errors.ts';
import type { Connection, DatagramFlow, Dialer, DialOptions, RecordType, ResolveAnswer, Target } from '../dialer.ts';
import type { Router } from './router.ts';

export interface RoutingOptions {
  readonly router: Router;
  readonly cluster: Dialer;
  readonly direct: Dialer;
  /** Undefined where no proxy is configured. */
  readonly corporate: Dialer | undefined;
}

export class RoutingDialer implements Dialer {
  readonly #options: RoutingOptions;

  constructor(options: RoutingOptions) {
    this.#options = options;
  }

  async dial(target: Target, options?: DialOptions): Promise<Connection> {
    return (await this.#choose(target.host, options)).dial(target, options);
  }

  async datagrams(target: Target, options?: DialOptions): Promise<DatagramFlow> {
    return (await this.#choose(target.host, options)).datagrams(target, options);
  }

  async resolve(name: string, type: RecordType, options?: DialOptions): Promise<ResolveAnswer> {
    const { router, cluster, direct } = this.#options;
    const { via, guess } = router.route(name);
    if (via !== 'cluster') return direct.resolve(name, type, options);
    const answer = await cluster.resolve(name, type, options);
    for (const record of answer.records) if (record.type === 'A' || record.type === 'AAAA') router.learn(record.data);
    return guess && !answer.found ? direct.resolve(name, type, options) : answer;
  }

  async #choose(host: string, options: DialOptions | undefined): Promise<Dialer> {
    const { router, cluster, direct, corporate } = this.#options;
    const { via, guess, rule } = router.route(host);
    if (via === 'refuse') throw new KtError('DIAL_DENIED', `${host}: ${rule}`);
    if (via === 'cluster' && guess && !(await cluster.resolve(host, 'A', options)).found) return direct;
    if (via === 'cluster') return cluster;
    return via === 'corporate' && corporate ? corporate : direct;
  }
}
