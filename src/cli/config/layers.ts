// Layers of configuration and which value counts: flags (yargs has them) over environment, project, user's and administrator's file. What a
// project's file may set without being trusted is here too. Pure. Called by read.ts, parse.ts and the command config.
import { KtError } from '../../errors.ts';
import { type Keys, keyText } from './keys.ts';
import type { Value } from './values.ts';

export type Source =
  | { readonly variable: string }
  | { readonly file: string; readonly line: number; readonly column: number };

export interface Entry {
  readonly section: string | undefined;
  readonly name: string;
  readonly value: Value;
  readonly source: Source;
}

export interface Layer {
  readonly kind: 'environment' | 'project' | 'user' | 'administrator';
  readonly entries: readonly Entry[];
  /** Only of the project's file: whether its folder is trusted. */
  readonly trusted: boolean;
}

/** Values by the flag's name. */
export type Values = ReadonlyMap<string, Entry>;

/**
 * What a file that came with a clone may say: where its service lives and how it is reached. Nothing that starts a program, listens for
 * others, chooses an image, a kubeconfig or a file to write, puts variables into a program, or takes a Service over by itself.
 * A flag that is not here is not safe: new ones are thought about first.
 */
export const SAFE: ReadonlySet<string> = new Set([
  ...['context', 'namespace', 'output', 'plain', 'debug', 'cluster-domain', 'mode', 'transport'],
  ...['proxy-port', 'dns-port', 'include-ips', 'exclude-ips', 'include-domains', 'pod-creation-timeout', 'park-time'],
  ...['expose', 'version-mark', 'header', 'skip-port-checking', 'recover-wait-time', 'udp', 'own-ip', 'plan'],
  ...['env-from', 'container', 'env-exclude', 'service-links', 'env-diff', 'java-var', 'files-from'],
  ...['read-only', 'dry-run', 'local-only', 'sort-by', 'show-connector', 'hide-natural-service', 'format'],
]);
/** Flags that one command gives another meaning, where that one is not safe. */
const UNSAFE: ReadonlySet<string> = new Set(['exchange.mode', 'mesh.mode']);

export const isSafe = (entry: Pick<Entry, 'section' | 'name'>): boolean =>
  SAFE.has(entry.name) && !UNSAFE.has(keyText(entry));

/** What a layer says for one command; what is said for it alone counts more. */
export function valuesFor(layer: Layer, command: string, keys: Keys): Values {
  const meant = layer.entries.filter((entry) => keys.counts(entry, command));
  const [shared, own] = [meant.filter((one) => one.section === undefined), meant.filter((one) => one.section)];
  return new Map([...shared, ...own].map((entry) => [entry.name, entry] as const));
}

/** `upper` counts where both say something. Associative, so that layers can be merged in any grouping. */
export const over = (lower: Values, upper: Values): Values => new Map([...lower, ...upper]);

/**
 * The values for a command. Layers from the strongest to the weakest; `argv` are its words, for what is given there is not looked at.
 * Throws CONFIG_UNTRUSTED.
 */
export function merged(layers: readonly Layer[], command: string, keys: Keys, argv: readonly string[]): Values {
  const values = layers.map((layer) => valuesFor(layer, command, keys)).reduceRight<Values>(over, new Map());
  const refused = layers.flatMap((layer) => layer.entries.filter((entry) => !allowed(layer, entry)));
  for (const entry of values.values())
    if (refused.includes(entry) && !keys.isGiven(entry, argv)) throw untrusted(entry);
  return values;
}

export const allowed = (layer: Layer, entry: Entry): boolean =>
  layer.kind !== 'project' || layer.trusted || isSafe(entry);

function untrusted(entry: Entry): KtError {
  return new KtError(
    'CONFIG_UNTRUSTED',
    `${sourceText(entry.source)}: ${keyText(entry)} counts only in a folder that you trust`,
    { hint: 'read the file, then `kt config trust` in its folder; or give the flag on the command line' },
  );
}

export const sourceText = (source: Source): string =>
  'variable' in source ? `$${source.variable}` : `${source.file}:${source.line}:${source.column}`;
