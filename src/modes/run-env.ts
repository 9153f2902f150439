// The environment that `kt run` gives to its program, and that `kt env` prints: which shim is loaded by which variable, and what the
// shims need to know. Pure: takes the environment that is there, gives what to set and what to take away. What the user has set is
// kept and appended to; a second `kt run` inside the first replaces only kt's own parts.
import { delimiter, join } from 'node:path';
import { javaOption, nodeOption, splitOptions } from './option-words.ts';

export interface RunEnvironmentOptions {
  /** The environment that the program would have without kt. */
  readonly base: NodeJS.ProcessEnv;
  readonly broker: { readonly address: string; readonly token: string };
  /** Networks of the cluster, `10.96.0.0/12`. */
  readonly cidrs: readonly string[];
  /** Suffixes and whole names that belong to the cluster beyond `.svc` and `.cluster.local`. */
  readonly suffixes: readonly string[];
  /** `127.0.0.1:port` of a DNS server that answers REFUSED to what is not the cluster's, where there is one. */
  readonly dns?: string | undefined;
  /** `127.0.0.1:port` of kt's proxy; used only where the user has a proxy set. */
  readonly httpProxy?: string | undefined;
  /** Holds kt-jvm.jar, kt-node.cjs and python/. */
  readonly shimsDirectory: string;
  readonly sessionId: string;
  /** The laptop's own name: never looked up in the cluster. */
  readonly hostname: string;
}

export interface RunEnvironment {
  readonly set: Record<string, string>;
  readonly unset: string[];
}

const LOOPBACK = 'localhost,127.0.0.1,::1';

export function runEnvironment(options: RunEnvironmentOptions): RunEnvironment {
  const { base, dns } = options;
  const set: Record<string, string> = {
    KT_BROKER: options.broker.address,
    // In the environment and never in an option: JVMs print their options.
    KT_TOKEN: options.broker.token,
    // In one form, so that the shims need not know others: with the prefix length, with a leading dot, in lower case.
    KT_CIDRS: options.cidrs.map(withPrefix).join(','),
    KT_SUFFIXES: options.suffixes.map(dotted).join(','),
    KT_SESSION: options.sessionId,
    KT_HOSTNAME: options.hostname.toLowerCase(),
    ...(dns === undefined ? {} : { KT_DNS: dns }),
    JAVA_TOOL_OPTIONS: appended(
      base['JAVA_TOOL_OPTIONS'],
      javaOption('-javaagent:', join(options.shimsDirectory, 'kt-jvm.jar')),
      /^-javaagent:.*kt-jvm\.jar$/,
    ),
    NODE_OPTIONS: withPreload(base['NODE_OPTIONS'], join(options.shimsDirectory, 'kt-node.cjs')),
    PYTHONPATH: prepended(base['PYTHONPATH'], join(options.shimsDirectory, 'python')),
    ...gradle(base['GRADLE_OPTS']),
    ...proxies(options),
  };
  // Left by an outer kt run: it would send this program's lookups to another session.
  const unset = dns === undefined && base['KT_DNS'] !== undefined ? ['KT_DNS'] : [];
  return { set, unset };
}

/** The options with `option` at the end and without an older one of kt's. */
function appended(value: string | undefined, option: string, ours: RegExp): string {
  const kept = splitOptions(value ?? '').filter((word) => !ours.test(word.text));
  return [...kept.map((word) => word.raw), option].join(' ');
}

/** At the end, so that what the user preloads (Yarn's PnP, a tracer) comes first. */
function withPreload(value: string | undefined, shim: string): string {
  const words = splitOptions(value ?? '', '\\');
  const kept = words.filter((word, index) => {
    const isOurs = (text: string | undefined): boolean => text?.endsWith('kt-node.cjs') === true;
    const flag = word.text === '--require' || word.text === '-r';
    return !(flag ? isOurs(words[index + 1]?.text) : isOurs(word.text));
  });
  return [...kept.map((word) => word.raw), '--require', nodeOption(shim)].join(' ');
}

function prepended(value: string | undefined, folder: string): string {
  const kept = (value ?? '').split(delimiter).filter((entry) => entry !== '' && entry !== folder);
  return [folder, ...kept].join(delimiter);
}

/** A Gradle daemon that was there before has another environment, and one that stays would keep this one. */
function gradle(value: string | undefined): Record<string, string> {
  if (value?.includes('org.gradle.daemon')) return {};
  return { GRADLE_OPTS: [value, '-Dorg.gradle.daemon=false'].filter(Boolean).join(' ') };
}

/**
 * kt's proxy takes the place of a proxy that the user has, and chains to it under the user's own NO_PROXY. Without one nothing is set:
 * what is not the cluster's then does not depend on kt. Both cases, because curl reads only the lower one for http.
 */
function proxies({ base, httpProxy, suffixes, cidrs }: RunEnvironmentOptions): Record<string, string> {
  const given = (name: string): string => base[name.toLowerCase()] || base[name] || '';
  if (httpProxy === undefined) return {};
  const set: Record<string, string> = {};
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY']) {
    if (given(name) !== '') Object.assign(set, both(name, `http://${httpProxy}`));
  }
  if (Object.keys(set).length > 0) return { ...set, ...both('NO_PROXY', LOOPBACK) };
  // ALL_PROXY is never set, because clients without SOCKS then fail for every address. One that the user has stays, but not for
  // what is the cluster's.
  if (given('ALL_PROXY') === '') return {};
  const kept = given('NO_PROXY').split(',').filter(Boolean);
  const cluster = ['.svc', '.cluster.local', ...suffixes.map(dotted), ...cidrs];
  return both('NO_PROXY', [...new Set([...kept, ...LOOPBACK.split(','), ...cluster])].join(','));
}

/** `198.18.0.7` is `198.18.0.7/32`. */
function withPrefix(cidr: string): string {
  if (cidr.includes('/')) return cidr;
  return `${cidr}/${cidr.includes(':') ? 128 : 32}`;
}

function dotted(suffix: string): string {
  return (suffix.startsWith('.') ? suffix : `.${suffix}`).toLowerCase();
}

function both(name: string, value: string): Record<string, string> {
  return { [name]: value, [name.toLowerCase()]: value };
}
