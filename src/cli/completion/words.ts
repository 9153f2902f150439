// What may stand at a place of a kt command line: commands, flags and their choices as parse.ts declares them, and live names by `live`.
// Pure but for `live`; loads neither yargs nor what talks to a cluster. Called by complete.ts.
import { Keys, keyText } from '../config/keys.ts';
import { camelCase, type Declare, declarations, type Flag } from '../declarations.ts';

/** What a cluster and a kubeconfig are asked for. None of them rejects. */
export interface Live {
  contexts(): Promise<readonly string[]>;
  namespaces(where: Where): Promise<readonly string[]>;
  services(where: Where): Promise<readonly { readonly name: string; readonly ports: readonly number[] }[]>;
  /** Of `kt config`, on this laptop. */
  profiles(): Promise<readonly string[]>;
}

/** The flags before the word that say which cluster and namespace is meant. */
export interface Where {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly namespace?: string | undefined;
  /** The PAC file, where the way to the API server needs one. */
  readonly pac?: string | undefined;
}

/** Commands whose words are Services. */
const TAKES_SERVICES = ['exchange', 'mesh', 'forward', 'recover', 'release', 'route'];
/** Flags of `kt run` that take SERVICE:PORT. */
const TAKES_TARGETS = ['exchange', 'mesh'];

/** `words`: all behind `kt`, the last one is being typed. */
export async function candidates(words: readonly string[], declare: Declare, live: Live): Promise<readonly string[]> {
  const [current = ''] = words.slice(-1);
  const before = words.slice(0, -1);
  // Behind `--` it is another program's line.
  if (before.includes('--')) return [];
  const found = await offers(before, current, new Grammar(declare), live);
  return [...new Set(found)].filter((word) => word.startsWith(current));
}

async function offers(
  before: readonly string[],
  current: string,
  grammar: Grammar,
  live: Live,
): Promise<readonly string[]> {
  const { command, targets, where, open } = read(before, grammar);
  const equals = current.startsWith('--') ? current.indexOf('=') : -1;
  if (equals > 0) {
    const head = current.slice(0, equals);
    const values = await valuesOf(grammar.find(command, head), { targets, where }, live);
    return values.map((value) => `${head}=${value}`);
  }
  if (open) return valuesOf(open, { targets, where }, live);
  if (current.startsWith('-')) return grammar.flags(command, /[A-Z]/.test(current));
  if (command === undefined) return grammar.commands;
  if (command === 'completion') return targets.length === 0 ? grammar.choices(command) : [];
  if (command === 'config') return configWords(targets, grammar, live);
  if (command === 'open') return (await live.services(where)).map(({ name }) => `svc/${name}`);
  if (!TAKES_SERVICES.includes(command)) return [];
  const services = await live.services(where);
  const names = services.map(({ name }) => name).filter((name) => !targets.includes(name));
  // Behind a target `kt forward` takes its ports, and then the next target.
  const last = command === 'forward' ? services.find(({ name }) => name === targets.at(-1)) : undefined;
  return [...(last?.ports ?? []).map(String), ...names];
}

/** Actions, then keys or profiles. */
async function configWords(
  [action, ...more]: readonly string[],
  grammar: Grammar,
  live: Live,
): Promise<readonly string[]> {
  if (action === undefined) return grammar.choices('config');
  if (['get', 'unset'].includes(action) || (action === 'set' && more.length === 0)) return grammar.keys();
  return ['save-profile', 'load-profile', 'drop-profile'].includes(action) && more.length === 0 ? live.profiles() : [];
}

interface Line {
  readonly command: string | undefined;
  readonly targets: readonly string[];
  readonly where: Where;
  /** The flag whose value is being typed. */
  readonly open: NamedFlag | undefined;
}

interface NamedFlag extends Flag {
  readonly name: string;
}

function read(before: readonly string[], grammar: Grammar): Line {
  const plain: string[] = [];
  const where: Record<string, string> = {};
  let open: NamedFlag | undefined;
  for (const word of before) {
    if (open && !word.startsWith('-')) {
      where[open.name] = word;
      open = undefined;
    } else if (word.startsWith('-')) {
      const [head = '', ...value] = word.split('=');
      const flag = grammar.find(plain[0], head);
      if (flag && value.length > 0) where[flag.name] = value.join('=');
      open = value.length === 0 && flag && flag.type !== 'boolean' ? flag : undefined;
    } else plain.push(word);
  }
  const [command, ...targets] = plain;
  const { kubeconfig, context, namespace, pac } = where;
  return { command, targets, where: { kubeconfig, context, namespace, pac }, open };
}

async function valuesOf(
  flag: NamedFlag | undefined,
  { targets, where }: Pick<Line, 'targets' | 'where'>,
  live: Live,
): Promise<readonly string[]> {
  if (flag === undefined) return [];
  if (flag.choices) return flag.choices.map(String);
  if (flag.name === 'context') return live.contexts();
  if (flag.name === 'namespace') return live.namespaces(where);
  if (flag.name === 'expose') {
    const services = await live.services(where);
    const meant = services.filter(({ name }) => targets.some((target) => target.replace(/^svc\//, '') === name));
    return meant.flatMap(({ ports }) => ports.map(String));
  }
  if (TAKES_TARGETS.includes(flag.name)) {
    const services = await live.services(where);
    return services.flatMap(({ name, ports }) => ports.map((port) => `${name}:${port}`));
  }
  return [];
}

class Grammar {
  readonly #declare: Declare;
  readonly #builders: ReadonlyMap<string, Declare>;
  readonly #common: Readonly<Record<string, Flag>>;

  constructor(declare: Declare) {
    const { builders, flags } = declarations(declare);
    this.#declare = declare;
    this.#builders = builders;
    this.#common = flags;
  }

  get commands(): readonly string[] {
    return [...this.#builders.keys()];
  }

  find(command: string | undefined, word: string): NamedFlag | undefined {
    const name = word.replace(/^--?/, '');
    const entry = Object.entries(this.#all(command)).find(([key, flag]) =>
      [key, camelCase(key), ...[flag.alias ?? []].flat()].includes(name),
    );
    return entry && { ...entry[1], name: entry[0] };
  }

  /** Both spellings are understood; who types a capital means kt-connect's. */
  flags(command: string | undefined, camel: boolean): readonly string[] {
    const shown = Object.entries(this.#all(command)).filter(([, flag]) => flag.hidden !== true);
    const names = [...shown.map(([name]) => name), 'help', ...(command === undefined ? ['version'] : [])];
    return names.map((name) => `--${camel ? camelCase(name) : name}`);
  }

  /** Of a configuration. */
  keys(): readonly string[] {
    return new Keys(this.#declare).all.map(keyText);
  }

  /** Of its first word. */
  choices(command: string): readonly string[] {
    const builder = this.#builders.get(command);
    return builder ? declarations(builder).choices.map(String) : [];
  }

  #all(command: string | undefined): Readonly<Record<string, Flag>> {
    const builder = command === undefined ? undefined : this.#builders.get(command);
    return builder ? { ...this.#common, ...declarations(builder).flags } : this.#common;
  }
}
