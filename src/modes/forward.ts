// The mode `forward`: local ports that lead to Services, or to any address as the cluster sees it. Plans first (asks for the Services,
// changes nothing), then listens; a port that is taken is told before anything is made in the cluster. The session owns the link and
// makes a lost one again; what is dialled meanwhile waits.
// The words are netstack/forward/rules.codec.ts, ports forward-ports.ts, Services forward-service.ts. Called by cli/commands/forward.ts.
import { orCancelled } from '../cancel.ts';
import { asKtError, KtError } from '../errors.ts';
import type { Dialer, Target } from '../netstack/dialer.ts';
import { ownAddress, parseForwards } from '../netstack/forward/rules.codec.ts';
import { type ForwardOptions, forwardTcp } from '../netstack/forward/tcp-forwarder.ts';
import { forwardUdp } from '../netstack/forward/udp-forwarder.ts';
import type { Listener } from '../netstack/listener.ts';
import type { ProxyLogEntry } from '../netstack/proxy-log.ts';
import { formatAuthority } from '../netstack/target.codec.ts';
import type { EventSink } from '../session/events.ts';
import type { ListenContext, OwnListeners } from '../session/types.ts';
import { type Forward, forwardTargets, type Place } from './forward-service.ts';

/** Added to a port that the system keeps for itself where the user named none: 80 → 8080, 443 → 8443. */
const UNPRIVILEGED_OFFSET = 8_000;
const PRIVILEGED_BELOW = 1_024;

export interface ForwardSettings {
  /** Address to listen on. */
  readonly address: string;
  /** Each name gets its own loopback address. */
  readonly ownIp: boolean;
  /** Words without /tcp or /udp mean UDP. */
  readonly udp: boolean;
}

/** What the session listens on. Throws USAGE at once for words that can't be read. */
export function forwardListeners(
  words: readonly string[],
  settings: ForwardSettings,
  debug: boolean,
): (to: ListenContext) => Promise<OwnListeners> {
  const requests = parseForwards(words);
  return async ({ dialer, cluster: { api, namespace, router }, mode, emit, signal }) => {
    const place = { api, namespace, clusterDomain: router.clusterDomain };
    const looked = Promise.all(requests.map((request) => forwardTargets(place, request, settings.udp)));
    const targets = await orCancelled(looked, signal, 'the Services were looked up');
    const forwards = placeForwards(targets.flat(), settings, place);
    if (mode === 'agentless' && forwards.some(({ protocol }) => protocol === 'UDP'))
      throw new KtError('UNSUPPORTED', 'UDP needs an agent', {
        hint: 'ask for the right to create pods in the namespace',
      });
    if (!settings.ownIp && !/^(127\.|::1$)/.test(settings.address))
      emit({
        type: 'warning',
        message: `what is forwarded listens on ${settings.address}: everybody who reaches this laptop there reaches it`,
      });
    return openForwards(forwards, dialer, emit, debug);
  };
}

/** Gives each its local address. Throws USAGE where two want the same one. */
export function placeForwards(
  targets: readonly Omit<Forward, 'address'>[],
  { address, ownIp }: ForwardSettings,
  place: Pick<Place, 'namespace'>,
): Forward[] {
  const addresses = new OwnAddresses();
  const forwards = targets.map((target) => ({
    ...target,
    address: ownIp ? addresses.of(ownName(target.target.host, place)) : address,
  }));
  refuseTwins(forwards);
  return forwards;
}

/** A short name is another one in another namespace. */
const ownName = (host: string, { namespace }: Pick<Place, 'namespace'>): string =>
  host.includes('.') || host.includes(':') ? host : `${host}.${namespace}`;

class OwnAddresses {
  readonly #byName = new Map<string, string>();

  of(name: string): string {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const taken = new Set(this.#byName.values());
    let address = ownAddress(name);
    for (let turn = 1; taken.has(address); turn += 1) address = ownAddress(name, turn);
    this.#byName.set(name, address);
    return address;
  }
}

function refuseTwins(forwards: readonly Forward[]): void {
  const seen = new Map<string, Target>();
  for (const { address, local, protocol, target } of forwards) {
    if (local === 0) continue;
    const wanted = formatAuthority({ host: address, port: local });
    const other = seen.get(`${wanted}/${protocol}`);
    if (other)
      throw new KtError('USAGE', `${formatAuthority(other)} and ${formatAuthority(target)} both want ${wanted}`, {
        hint: `name a local port: ${target.host} LOCAL:${target.port}, or give each name its own address with --own-ip`,
      });
    seen.set(`${wanted}/${protocol}`, target);
  }
}

/** Listens on all or none. Rejects with LISTEN_FAILED. `dialer` reaches the cluster and nothing else. */
export async function openForwards(
  forwards: readonly Forward[],
  dialer: Dialer,
  emit: EventSink,
  debug = false,
): Promise<OwnListeners> {
  const opened: { readonly listener: Listener; readonly forward: Forward }[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map(({ listener }) => listener.close()));
  };
  try {
    for (const forward of forwards)
      opened.push({ listener: await openOne(forward, dialer, failuresOf(forward, emit, debug)), forward });
  } catch (error) {
    await close();
    throw error;
  }
  return {
    forwards: opened.map(({ listener, forward: { target, protocol } }) => ({
      local: formatAuthority({ host: listener.address, port: listener.port }),
      remote: formatAuthority(target),
      protocol,
    })),
    close,
  };
}

async function openOne(forward: Forward, dialer: Dialer, log: (entry: ProxyLogEntry) => void): Promise<Listener> {
  const { address, local, localNamed, protocol, target } = forward;
  const setting = `\`kt forward ${target.host} LOCAL:${target.port}\``;
  const open = (port: number): Promise<Listener> => {
    const options: ForwardOptions = { host: address, port, target, dialer, setting, log };
    return protocol === 'UDP' ? forwardUdp(options) : forwardTcp(options);
  };
  try {
    return await open(local);
  } catch (error) {
    const known = asKtError(error);
    const reason = (known.cause as NodeJS.ErrnoException | undefined)?.code;
    if (reason === 'EACCES' && !localNamed && local < PRIVILEGED_BELOW) return open(local + UNPRIVILEGED_OFFSET);
    if (reason === 'EADDRNOTAVAIL' && address.startsWith('127.') && address !== '127.0.0.1')
      throw new KtError('LISTEN_FAILED', known.message, {
        hint: 'this system has 127.0.0.1 only: name local ports instead of --own-ip',
        cause: known.cause,
      });
    throw known;
  }
}

/** A failure is told once until a connection succeeds again: a client that tries in a loop must not fill the screen. */
function failuresOf({ target }: Forward, emit: EventSink, debug: boolean): (entry: ProxyLogEntry) => void {
  let told: string | undefined;
  const name = formatAuthority(target);
  return ({ event, reason, code }) => {
    if (debug) emit({ type: 'debug', message: `${name} ${event}${reason === undefined ? '' : `: ${reason}`}` });
    if (event === 'opened') told = undefined;
    if ((event !== 'failed' && event !== 'rejected') || reason === told || code === 'CANCELLED') return;
    told = reason;
    emit({ type: 'warning', message: `no connection to ${name}: ${reason ?? 'no reason given'}` });
  };
}
