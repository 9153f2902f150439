// The environment that `kt run` gives to its program, and that `kt env` prints: which shim is loaded by which variable, and what the
// shims need to know. Pure: takes the environment that is there, gives what to set and what to take away. What the user has set is
// kept and appended to; a second `kt run` inside the first replaces only kt's own parts.
import { delimiter, join } from 'node:path';
import { dotted, type ShimSettings, shimVariables } from '../netstack/broker/settings.codec.ts';
import { javaOption, nodeOption, splitOptions } from './option-words.ts';

export interface RunEnvironmentOptions extends ShimSettings {
  /** The environment that the program would have without kt. */
  readonly base: NodeJS.ProcessEnv;
  /** `127.0.0.1:port` of kt's proxy; used only where the user has a proxy set. */
  readonly httpProxy?: string | undefined;
  /** Holds kt-jvm.jar, kt-node.cjs and python/. */
  readonly shimsDirectory: string;
  readonly sessionId: string;
  /** Where a program finds the next kt when this one is gone (session/session-file.ts). An older kt has none. */
  readonly sessionFile?: string | undefined;
  /** The laptop's own name: never looked up in the cluster. */
  readonly hostname: string;
  /** Through which variable JVMs get the agent. */
  readonly javaVariable?: JavaVariable | undefined;
}

/**
 * JAVA_TOOL_OPTIONS reaches every JVM, also those without the `java` launcher and those of JDK 8, and each says so on standard error.
 * JDK_JAVA_OPTIONS reaches only `java` from 9 on. `none`: no JVM.
 */
export const JAVA_VARIABLES = ['JAVA_TOOL_OPTIONS', 'JDK_JAVA_OPTIONS', 'none'] as const;
export type JavaVariable = (typeof JAVA_VARIABLES)[number];

export interface RunEnvironment {
  readonly set: Record<string, string>;
  readonly unset: string[];
}

const LOOPBACK = 'localhost,127.0.0.1,::1';

export function runEnvironment(options: RunEnvironmentOptions): RunEnvironment {
  const { base } = options;
  const set: Record<string, string> = {
    ...shimVariables(options),
    KT_SESSION: options.sessionId,
    KT_HOSTNAME: options.hostname.toLowerCase(),
    ...(options.sessionFile === undefined ? {} : { KT_SESSION_FILE: options.sessionFile }),
    ...java(options),
    NODE_OPTIONS: withPreload(base['NODE_OPTIONS'], join(options.shimsDirectory, 'kt-node.cjs')),
    PYTHONPATH: prepended(base['PYTHONPATH'], join(options.shimsDirectory, 'python')),
    ...gradle(base['GRADLE_OPTS']),
    ...proxies(options),
  };
  // Left by an outer kt run: it would send this program's lookups to another session.
  const unset = ['KT_DNS', 'KT_SESSION_FILE'].filter((name) => set[name] === undefined && base[name] !== undefined);
  return { set, unset };
}

function java({
  base,
  shimsDirectory,
  javaVariable = 'JAVA_TOOL_OPTIONS',
}: RunEnvironmentOptions): Record<string, string> {
  if (javaVariable === 'none') return {};
  const agent = javaOption('-javaagent:', join(shimsDirectory, 'kt-jvm.jar'));
  return { [javaVariable]: appended(base[javaVariable], agent, /^-javaagent:.*kt-jvm\.jar$/) };
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

/** A Gradle daemon that was there before has another environment, and one that stays would keep this one: gradleHint says so. */
function gradle(value: string | undefined): Record<string, string> {
  if (value?.includes('org.gradle.daemon')) return {};
  return { GRADLE_OPTS: [value, '-Dorg.gradle.daemon=false'].filter(Boolean).join(' ') };
}

/** For who starts Gradle and has not chosen: why there is no daemon, and how to have one. */
export function gradleHint(
  command: readonly string[],
  base: NodeJS.ProcessEnv,
): { message: string; hint: string } | undefined {
  const name = (command[0] ?? '').split(/[\\/]/).at(-1) ?? '';
  if (!/^gradlew?(\.bat)?$/.test(name) || gradle(base['GRADLE_OPTS'])['GRADLE_OPTS'] === undefined) return undefined;
  if (command.some((word) => word === '--daemon' || word === '--no-daemon')) return undefined;
  return {
    message: 'Gradle runs without its daemon, because one that is there already does not know of kt',
    hint: 'to keep it, stop it first (gradle --stop) and start it under kt with GRADLE_OPTS=-Dorg.gradle.daemon=true; it finds later sessions by itself',
  };
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

function both(name: string, value: string): Record<string, string> {
  return { [name]: value, [name.toLowerCase()]: value };
}
