// The ordered rules by which a host goes its way. Each rule says in words what it looks at, and decides or passes on; the first that
// decides counts. Pure: what is known comes in, router.ts keeps it. `kt route HOST` shows them in this order.
import type { RouteVia } from '../dialer.ts';
import type { NetworkSet } from './cidr.ts';
import { judgeName, type KnownNames } from './cluster-names.ts';
import type { HostAliases } from './host-aliases.ts';
import { environmentProxy } from './no-proxy.ts';

export interface Route {
  readonly via: RouteVia;
  /** The rule that made it so, for people. */
  readonly rule: string;
  /** By its look only: where the cluster does not know the name, the laptop's own way is taken (`Router.outside`). */
  readonly guess?: boolean;
}

export interface Host {
  /** Lower case; an address is canonical. Empty: neither a name nor an address. */
  readonly name: string;
  readonly isAddress: boolean;
  readonly port: number;
}

export interface Rule {
  /** What it looks at, with what is known now. */
  describe(host: Host): string;
  decide(host: Host): Route | undefined;
}

/** What the rules know; it changes while kt runs. */
export interface Known {
  /** Names and addresses of the laptop and of the API server. */
  readonly own: ReadonlySet<string>;
  readonly excluded: NetworkSet;
  readonly included: NetworkSet;
  readonly seen: { has(address: string): boolean };
  readonly guessed: NetworkSet;
  readonly names: KnownNames;
  /** Without the dot in front; each counts with everything below it. */
  readonly alsoProxy: readonly string[];
  readonly aliases: HostAliases | undefined;
  readonly env: NodeJS.ProcessEnv;
}

const LAPTOP = 'the laptop itself or the API server: never in the cluster';

/** The way of everything that is not the cluster's: as without kt. The last rule always decides. */
export function outsideRules({ env }: Known): Rule[] {
  return [
    rule('the company proxy (HTTPS_PROXY, HTTP_PROXY, NO_PROXY)', (host) => {
      const proxy = proxyFor(host, env);
      return proxy && { via: 'corporate', rule: `outside of the cluster, by the company proxy ${proxy.host}` };
    }),
    rule('direct, as without kt', () => ({ via: 'direct', rule: 'outside of the cluster, as without kt' })),
  ];
}

/** `outside` decides for hosts that a rule takes out of the cluster. */
export function clusterRules(known: Known, outside: (host: Host) => Route): Rule[] {
  const leaves = (host: Host, why: string): Route => ({ via: outside(host).via, rule: why });
  const enters = (why: string, guess = false): Route => ({ via: 'cluster', rule: why, ...(guess ? { guess } : {}) });
  const networks = (): string => known.guessed.toJSON().join(', ') || 'none yet';
  return [
    rule(LAPTOP, (host) => (isOwn(host, known.own) ? leaves(host, LAPTOP) : undefined)),
    rule('--excludeIps', (host) => (known.excluded.has(host.name) ? leaves(host, '--excludeIps') : undefined)),
    ...ingressRules(known, enters),
    rule('--includeDomains', ({ name }) =>
      known.alsoProxy.some((one) => name === one || name.endsWith(`.${one}`)) ? enters('--includeDomains') : undefined,
    ),
    {
      describe: (host) =>
        `a name of the cluster: ${host.isAddress || host.name === '' ? 'it is none' : judgeName(host.name, known.names).rule}`,
      decide: ({ name, isAddress }) => {
        if (isAddress || name === '') return undefined;
        const { cluster, rule } = judgeName(name, known.names);
        return cluster === 'no' ? undefined : enters(rule, cluster === 'guess');
      },
    },
    rule('--includeIps', ({ name }) => (known.included.has(name) ? enters('--includeIps') : undefined)),
    rule('an address seen in the cluster', ({ name }) =>
      known.seen.has(name) ? enters('an address seen in the cluster') : undefined,
    ),
    {
      describe: () => `a network around addresses seen in the cluster (${networks()})`,
      decide: ({ name }) =>
        known.guessed.has(name)
          ? enters(`in a network around addresses seen in the cluster (${networks()})`)
          : undefined,
    },
  ];
}

function ingressRules({ aliases }: Known, enters: (why: string) => Route): Rule[] {
  if (aliases === undefined) return [];
  const why = `a host of an Ingress, by --ingressIp ${aliases.target}`;
  return [rule('--ingressIp: hosts of Ingresses', ({ name }) => (aliases.has(name) ? enters(why) : undefined))];
}

function rule(text: string, decide: (host: Host) => Route | undefined): Rule {
  return { describe: () => text, decide };
}

function isOwn({ name, isAddress }: Host, own: ReadonlySet<string>): boolean {
  if (own.has(name)) return true;
  return isAddress ? name.startsWith('127.') : name.endsWith('.localhost');
}

/**
 * A dial does not tell whether http or https will be spoken. By the port, then; on others than 80 and 443 it may be both, and whatever
 * proxy is set is taken.
 */
function proxyFor({ name, port }: Host, env: NodeJS.ProcessEnv): URL | undefined {
  if (port === 80) return environmentProxy(name, port, 'http', env);
  const proxy = environmentProxy(name, port, 'https', env);
  return proxy ?? (port === 443 ? undefined : environmentProxy(name, port, 'http', env));
}
