// What listens on the laptop: the mixed SOCKS5/HTTP port, DNS, DNS for shims and the broker. Opens all or none.
// Called by session.ts.
import { Resolver } from 'node:dns';
import { startBroker } from '../netstack/broker/server.ts';
import type { Dialer } from '../netstack/dialer.ts';
import { startDnsServer } from '../netstack/dns/server.ts';
import { pacFile } from '../netstack/http/pac.codec.ts';
import { listenMixedPort } from '../netstack/mixed-port.ts';
import { isAlive } from './alive.ts';
import type { EventSink } from './events.ts';
import { loginText } from './login-words.ts';
import { type ProxyLogin, proxyLogin } from './proxy-login.ts';
import type { TrafficJournal } from './traffic/journal.ts';
import { RecordingDialer } from './traffic/recording-dialer.ts';
import type { SessionCluster, SessionOptions } from './types.ts';

/** kt-connect's port of the proxy, so that settings of its users go on. */
export const PROXY_PORT = 2223;
/** An unprivileged port that kt-connect's users know too. */
export const DNS_PORT = 10053;

export interface Listeners {
  readonly addresses: {
    readonly proxy: string;
    readonly login: ProxyLogin | undefined;
    readonly dns: string;
    /** Answers cluster names only and refuses the rest, so that a JVM asks its next server. */
    readonly shimDns: string;
    readonly broker: { readonly address: string; readonly token: string };
  };
  close(): Promise<void>;
}

/** `dialer` is for everything; `names` answers what is in the cluster only; `traffic` gets a record of each connection while somebody looks. */
export async function openListeners(
  dialer: Dialer,
  names: Dialer,
  cluster: SessionCluster,
  options: SessionOptions,
  { emit, traffic }: { readonly emit: EventSink; readonly traffic: TrafficJournal },
): Promise<Listeners> {
  const host = options.proxyAddress ?? '127.0.0.1';
  const { router } = cluster;
  // Asked anew each time: a VPN that comes up later changes them, and node:dns reads them once per Resolver.
  const upstreams = (): string[] => new Resolver().getServers();
  const opened: { close(): Promise<void> | void }[] = [];
  const keep = <T extends { close(): Promise<void> | void }>(listener: T): T => {
    opened.push(listener);
    return listener;
  };
  const close = async (): Promise<void> => {
    await Promise.all(opened.map(async (listener) => listener.close()));
  };
  // A line per connection only where it was asked for: it costs as much as the connection.
  const log = options.debug ? { log: (message: string): void => emit({ type: 'debug', message }) } : {};
  try {
    const login = proxyLogin(options);
    const port = options.proxyPort ?? (options.shared ? PROXY_PORT : 0);
    const dnsPort = options.dnsPort ?? (options.shared ? DNS_PORT : 0);
    const proxied = new RecordingDialer(dialer, traffic, () => ({
      by: { door: 'proxy' },
      // Told by the dialer, once it has decided.
      via: 'direct',
      reason: '',
    }));
    const pac = (): string =>
      pacFile({
        proxy: `127.0.0.1:${proxy.port}`,
        login: login !== undefined,
        namespace: cluster.namespace,
        suffixes: router.suffixes(),
        cidrs: router.cidrs(),
        companyProxy: ['HTTP_PROXY', 'HTTPS_PROXY'].some(
          (name) => process.env[name] || process.env[name.toLowerCase()],
        ),
      });
    const proxy = keep(await listenMixedPort({ host, port, dialer: proxied, pac, ...log, auth: login }));
    const dns = keep(await startDnsServer({ host, port: dnsPort, dialer: names, router, upstreams }));
    const shimDns = keep(
      await startDnsServer({ host: '127.0.0.1', port: 0, dialer: names, router, upstreams, refuseForeign: true }),
    );
    const programs = new Map<number, string>();
    const onProgram = (shim: { runtime: string; version: string; pid: number }): void => {
      programs.set(shim.pid, shim.runtime);
      emit({ type: 'shim', ...shim });
    };
    const shims = new RecordingDialer(names, traffic, ({ host }) => ({
      by: { door: 'shim', ...onlyOne(programs) },
      via: 'cluster',
      reason: router.route(host).rule,
    }));
    const broker = keep(await startBroker({ dialer: shims, router, onProgram }));
    // Who starts one program has nothing to do with its proxy.
    if (login && options.shared && login.others.length > 0) emit({ type: 'warning', ...sharedHost(login) });
    if (!login && host !== '127.0.0.1' && host !== '::1' && host !== 'localhost') {
      emit({
        type: 'warning',
        message: `the proxy listens on ${host}: everybody who reaches this laptop there reaches the cluster`,
        hint: 'add --proxyAuth password',
      });
    }
    return {
      addresses: {
        proxy: `${host}:${proxy.port}`,
        login,
        dns: `${host}:${dns.port}`,
        shimDns: `127.0.0.1:${shimDns.port}`,
        broker: { address: broker.address, token: broker.token },
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The program that asks, where there is one only: a shim's question does not say whose it is. Those that ended are forgotten. */
function onlyOne(programs: Map<number, string>): { pid?: number; runtime?: string } {
  for (const pid of programs.keys()) if (!isAlive(pid)) programs.delete(pid);
  const [[pid, runtime] = [], ...others] = [...programs];
  return pid === undefined || runtime === undefined || others.length > 0 ? {} : { pid, runtime };
}

/** Names that are told: two say that it is not a mistake. */
const NAMES_MAX = 2;

function sharedHost({ others, ...login }: ProxyLogin): { message: string; hint: string } {
  const named = others.slice(0, NAMES_MAX).join(', ');
  const people = others.length > NAMES_MAX ? `${named} and ${others.length - NAMES_MAX} more` : named;
  return {
    message: `others use this machine too (${people}), so the proxy asks for a password: ${loginText(login)}`,
    hint: 'kt run needs nothing; --proxyAuth none turns it off',
  };
}
