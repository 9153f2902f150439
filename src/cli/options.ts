// The flags that several commands share, with kt-connect's names beside ours (camelCase and kebab-case both work), and what they
// become. Flags of kt-connect that have no meaning here are accepted and named in a warning, so that old scripts go on.
import type { Argv } from 'yargs';
import type { AgentPlacement } from '../cluster/agent-placement.ts';
import { WAYS, type Way } from '../cluster/ways/names.ts';
import { KtError } from '../errors.ts';
import type { ProxyAuth } from '../session/types.ts';
import { type Arguments, list, number, text } from './arguments.ts';
import { PLACEMENT_OPTIONS, placement } from './placement-options.ts';

export const GLOBAL_OPTIONS = {
  kubeconfig: {
    type: 'string',
    alias: 'c',
    describe: 'kubeconfig file (default: $KUBECONFIG, then ~/.kube/config)',
    group: 'Cluster:',
  },
  context: { type: 'string', describe: 'context of the kubeconfig', group: 'Cluster:' },
  namespace: { type: 'string', alias: 'n', describe: "namespace (default: the context's)", group: 'Cluster:' },
  pac: {
    type: 'string',
    describe: 'PAC file or its URL: names the proxy on the way to the API server, in place of HTTPS_PROXY',
    group: 'Cluster:',
  },
  output: {
    type: 'string',
    alias: 'o',
    choices: ['plain', 'json'] as const,
    describe: 'plain: lines; json: one event a line (NDJSON)',
  },
  plain: { type: 'boolean', default: false, describe: 'lines instead of the screen (also $KT_PLAIN)' },
  debug: { type: 'boolean', alias: 'd', default: false, describe: 'say more' },
} as const;

export const SESSION_OPTIONS = {
  'proxy-port': { type: 'number', describe: 'port of the SOCKS5 and HTTP proxy (default 2223)', group: 'Laptop:' },
  'proxy-addr': {
    type: 'string',
    describe: 'address to listen on (default 127.0.0.1; anything else opens the cluster to your network)',
    group: 'Laptop:',
  },
  'proxy-user': {
    type: 'string',
    describe: 'ask for this user name; the password is read from $KT_PROXY_PASSWORD',
    group: 'Laptop:',
  },
  'proxy-auth': {
    type: 'string',
    default: 'auto',
    describe: 'auto: the proxy asks for a password where other people use this machine; password: always; none',
    group: 'Laptop:',
  },
  'dns-port': { type: 'number', describe: 'port of the DNS resolver (default 10053)', group: 'Laptop:' },
  'include-ips': { type: 'string', array: true, describe: 'CIDRs that are in the cluster too', group: 'Routes:' },
  'exclude-ips': { type: 'string', array: true, describe: 'CIDRs that are not in the cluster', group: 'Routes:' },
  'include-domains': {
    type: 'string',
    array: true,
    alias: 'also-proxy',
    describe: 'hosts and suffixes to reach through the cluster',
    group: 'Routes:',
  },
  'ingress-ip': {
    type: 'string',
    describe: "the ingress controller's address or Service: hosts of the namespace's Ingresses lead there",
    group: 'Routes:',
  },
  'cluster-domain': {
    type: 'string',
    default: 'cluster.local',
    describe: "the cluster's DNS domain",
    group: 'Routes:',
  },
  mode: {
    type: 'string',
    default: 'auto',
    describe:
      'auto, agent, shared (an agent that the platform team runs), or agentless (port-forwards only); the last two create nothing',
    group: 'Agent:',
  },
  transport: {
    type: 'string',
    default: 'auto',
    describe: 'the way into the cluster: auto (all in this order), portforward, spdy, exec, podproxy, agentless',
    group: 'Agent:',
  },
  ...PLACEMENT_OPTIONS,
  'pod-creation-timeout': {
    type: 'number',
    default: 120,
    describe: "seconds to wait for the agent's pod",
    group: 'Agent:',
  },
  'park-time': {
    type: 'number',
    default: 10,
    describe: 'seconds that a new connection waits for a lost link',
    group: 'Agent:',
  },
} as const;

/** kt-connect's flags that have nothing to do here: accepted, hidden, and named in one warning. */
export const IGNORED_OPTIONS = [
  'dns-mode',
  'dns-cache-ttl',
  'share-shadow',
  'disable-pod-ip',
  'disable-tun-device',
  'disable-tun-route',
  'skip-cleanup',
  'port-forward-timeout',
  'use-shadow-deployment',
  'use-local-time',
  'run-as-worker-process',
] as const;

/** Of every command that changes something. */
export const PLAN_OPTION = {
  type: 'boolean',
  default: false,
  describe: 'print what would be changed, and change nothing',
} as const;

export function withSessionOptions<T>(yargs: Argv<T>): Argv<T> {
  const hidden = Object.fromEntries(IGNORED_OPTIONS.map((name) => [name, { hidden: true }]));
  yargs.options(SESSION_OPTIONS).options(hidden);
  return yargs;
}

export interface SessionArguments {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly namespace: string | undefined;
  readonly pac: string | undefined;
  readonly proxyPort: number | undefined;
  readonly proxyAddress: string | undefined;
  readonly proxyUser: string | undefined;
  readonly proxyAuth: ProxyAuth;
  readonly dnsPort: number | undefined;
  readonly includeIps: readonly string[];
  readonly excludeIps: readonly string[];
  readonly alsoProxy: readonly string[];
  readonly ingressIp: string | undefined;
  readonly clusterDomain: string;
  readonly mode: 'auto' | 'agent' | 'shared' | 'agentless';
  readonly transport: Way | undefined;
  readonly placement: AgentPlacement;
  readonly startLimitMs: number;
  readonly parkMs: number;
  readonly debug: boolean;
  /** Flags that were given and do nothing. */
  readonly ignored: readonly string[];
}

const PROXY_AUTH: readonly ProxyAuth[] = ['auto', 'password', 'none'];

function proxyAuth(given: string): ProxyAuth {
  const known = PROXY_AUTH.find((one) => one === given);
  if (known === undefined) throw new KtError('USAGE', `--proxyAuth takes ${PROXY_AUTH.join(', ')} and got '${given}'`);
  return known;
}

/** Checks every value. Throws USAGE with the flag's name before anything is done. */
export function sessionArguments(args: Arguments): SessionArguments {
  const mode = text(args, 'mode') ?? 'auto';
  // kt-connect's modes tun2socks and sshuttle both ask for what `auto` gives.
  const known = {
    auto: 'auto',
    agent: 'agent',
    shared: 'shared',
    agentless: 'agentless',
    tun2socks: 'auto',
    sshuttle: 'auto',
  } as const;
  if (!Object.hasOwn(known, mode))
    throw new KtError('USAGE', `--mode takes auto, agent, shared or agentless and got '${mode}'`);
  const transport = text(args, 'transport') ?? 'auto';
  const way = WAYS.find((one) => one === transport);
  if (way === undefined && transport !== 'auto' && transport !== 'agentless')
    throw new KtError('USAGE', `--transport takes auto, ${WAYS.join(', ')} or agentless and got '${transport}'`);
  return {
    kubeconfig: text(args, 'kubeconfig'),
    context: text(args, 'context'),
    namespace: text(args, 'namespace'),
    pac: text(args, 'pac'),
    proxyPort: number(args, 'proxyPort', 'proxyPort', [0, 65_535]),
    proxyAddress: text(args, 'proxyAddr'),
    proxyUser: text(args, 'proxyUser'),
    proxyAuth: proxyAuth(text(args, 'proxyAuth') ?? 'auto'),
    dnsPort: number(args, 'dnsPort', 'dnsPort', [0, 65_535]),
    includeIps: list(args, 'includeIps'),
    excludeIps: list(args, 'excludeIps'),
    alsoProxy: list(args, 'includeDomains'),
    ingressIp: text(args, 'ingressIp'),
    clusterDomain: domain(text(args, 'clusterDomain') ?? 'cluster.local'),
    mode: transport === 'agentless' ? 'agentless' : known[mode as keyof typeof known],
    transport: way,
    placement: placement(args),
    startLimitMs: (number(args, 'podCreationTimeout', 'podCreationTimeout', [1, 3_600]) ?? 120) * 1000,
    parkMs: (number(args, 'parkTime', 'parkTime', [0, 600]) ?? 10) * 1000,
    debug: args['debug'] === true,
    ignored: IGNORED_OPTIONS.filter((name) => args[name] !== undefined),
  };
}

/** Throws USAGE for what is no DNS name (RFC 1123). */
function domain(given: string): string {
  if (/^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/i.test(given)) return given;
  throw new KtError('USAGE', `--clusterDomain takes a domain like cluster.local and got '${given}'`);
}
