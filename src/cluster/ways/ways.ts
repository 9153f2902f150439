// Which way into a pod is taken: those that the user's rights allow, in order, until one carries what it is opened for; that one is
// remembered, for this API and on this laptop. Why the others were refused is told. Called by session/agent-link.ts,
// session/inbound/ingress-link.ts and agentless-dialer.ts.
import type { Duplex } from 'node:stream';
import { asKtError, KtError } from '../../errors.ts';
import type { ClusterApi } from '../rest.ts';
import { avoidTunnels, openPortForward } from '../upgrade.ts';
import { openExec } from './exec.ts';
import { WAYS, type Way } from './names.ts';
import { openPodProxy } from './pod-proxy.ts';
import { openSpdy } from './spdy.ts';
import type { OpenWay, WayTarget } from './types.ts';
import { forgetWay, rememberedWay, rememberWay } from './way-memory.ts';

/** Milliseconds for one way to be opened and to carry its first answer; a stalled line must not hold an attempt for longer. */
const ATTEMPT_MS = 8_000;

const OPEN: Readonly<Record<Way, OpenWay>> = {
  portforward: (api, target, { signal, tunnel = false, bare = false } = {}) =>
    openPortForward(api, target, { tunnel, bare, ...(signal ? { signal } : {}) }),
  exec: openExec,
  podproxy: openPodProxy,
  spdy: openSpdy,
};

export const WAY_NAMES: Readonly<Record<Way, string>> = {
  portforward: 'port-forward over a websocket',
  exec: 'exec over a websocket',
  podproxy: "the API server's proxy",
  spdy: 'port-forward over SPDY',
};

export interface Refusal {
  readonly way: Way;
  readonly error: KtError;
}

export interface Passage<T> {
  readonly value: T;
  readonly way: Way;
  /** Those that were tried in vain before; empty where this way was known. */
  readonly refused: readonly Refusal[];
}

/** What says that this way is closed, and not that the pod or the line is at fault. */
const CLOSED = new Set([
  'UPGRADE_REFUSED',
  'RIGHTS_MISSING',
  'UNSUPPORTED',
  'API_STATUS',
  'LINK_LOST',
  'LINK_DEAD',
  'LINK_PROTOCOL',
  'STREAM_RESET',
]);

export class Ways {
  readonly #api: ClusterApi;
  #allowed: readonly Way[] = WAYS;
  #proven: Way | undefined;
  readonly #forGood = new WeakSet<KtError>();

  constructor(api: ClusterApi) {
    this.#api = api;
  }

  /** The rights are known: the others need not be tried. */
  allow(ways: readonly Way[]): void {
    this.#allowed = ways;
  }

  /** The ways to try for this target, best first. */
  order(target: Pick<WayTarget, 'proxyPort'>, among: readonly Way[] = WAYS): Way[] {
    const { transport } = this.#api.config;
    if (transport !== undefined) return [transport];
    const possible = this.#allowed.filter(
      (way) => among.includes(way) && (way !== 'podproxy' || target.proxyPort !== undefined),
    );
    const first = this.#proven ?? rememberedWay(this.#api.config.server);
    return first !== undefined && possible.includes(first)
      ? [first, ...possible.filter((way) => way !== first)]
      : possible;
  }

  /**
   * Opens the first way that `use` is content with. Rejects with the error of the only way, with the first one's where all are closed
   * (its message names every way's reason), or at once with what no other way would mend.
   */
  async through<T>(
    target: WayTarget,
    use: (stream: Duplex, signal: AbortSignal) => Promise<T> | T,
    options: {
      readonly signal: AbortSignal;
      readonly among?: readonly Way[];
      readonly tunnel?: boolean;
      readonly bare?: boolean;
    },
  ): Promise<Passage<T>> {
    const { signal, among, tunnel = false, bare = false } = options;
    const ways = this.order(target, among);
    const refused: Refusal[] = [];
    const tried = new Set<Way>();
    for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(ATTEMPT_MS)]);
      let opened = false;
      try {
        const stream = await OPEN[way](this.#api, target, { signal: limit, tunnel, bare });
        opened = true;
        const value = await use(stream, limit);
        this.#prove(way);
        return { value, way, refused };
      } catch (caught) {
        const late = limit.aborted && !signal.aborted;
        const error = late
          ? new KtError('API_UNREACHABLE', `${WAY_NAMES[way]} did not open within ${ATTEMPT_MS / 1000} s`, {
              cause: caught,
            })
          : asKtError(caught, 'LINK_LOST');
        // Something on the way may look into websockets: as channels it may pass.
        if (late && opened && way === 'portforward' && tunnel && !tried.has(way)) {
          tried.add(way);
          avoidTunnels(this.#api);
          ways.unshift(way);
          continue;
        }
        // A way that has carried bytes before is not closed because the line is bad now.
        const known = way === this.#proven;
        if (signal.aborted || !isClosed(error, late, known)) throw error;
        if (known) this.#proven = undefined;
        refused.push({ way, error });
      }
    }
    const error = allClosed(refused);
    if (refused.every((one) => isForGood(one.error))) this.#forGood.add(error);
    throw error;
  }

  /** Did `through` reject with this because the network or the rights close every way? An agent that does not listen yet would not explain it. */
  closedForGood(error: KtError): boolean {
    return this.#forGood.has(error);
  }

  #prove(way: Way): void {
    if (this.#proven === way) return;
    this.#proven = way;
    const { server, transport } = this.#api.config;
    if (transport !== undefined) return;
    // Only what differs from the usual is kept.
    if (way === this.#allowed[0]) forgetWay(server);
    else rememberWay(server, way);
  }
}

function isClosed(error: KtError, late: boolean, known: boolean): boolean {
  if (known) return error.code === 'UPGRADE_REFUSED' || error.code === 'RIGHTS_MISSING';
  if (late) return true;
  const { own, code } = (error.cause ?? {}) as { own?: boolean; code?: number };
  // A gateway that answers in the API server's place; and the API server's own 404, which is about the pod.
  if (error.code === 'API_UNREACHABLE') return own === false;
  return CLOSED.has(error.code) && !(error.code === 'API_STATUS' && own !== false && code === 404);
}

function isForGood({ code, cause }: KtError): boolean {
  if (code === 'UPGRADE_REFUSED' || code === 'RIGHTS_MISSING') return true;
  const { own, code: status } = (cause ?? {}) as { own?: boolean; code?: number };
  // The API server's own 400 is of a request whose Upgrade was taken out on the way, its 403 of a policy; its 404 and 429 are about the moment.
  return code === 'API_STATUS' && [400, 403, ...(own === false ? [404, 405, 426] : [])].includes(status ?? 0);
}

function allClosed(refused: readonly Refusal[]): KtError {
  const [first, ...others] = refused;
  if (!first)
    return new KtError('RIGHTS_MISSING', 'no way into the pod is allowed', {
      hint: '`kt doctor` says what is missing',
    });
  if (others.length === 0) return first.error;
  const texts = refused.map(({ way, error }) => `${WAY_NAMES[way]}: ${error.message}`);
  return new KtError(first.error.code, `no way into the pod is open. ${texts.join('. ')}`, {
    hint: first.error.hint ?? '`kt doctor` looks at every hop',
    cause: first.error.cause,
  });
}

const known = new WeakMap<ClusterApi, Ways>();

/** The ways of this API: what one caller learns, all know. */
export function waysOf(api: ClusterApi): Ways {
  let ways = known.get(api);
  if (!ways) known.set(api, (ways = new Ways(api)));
  return ways;
}
