// `kt config`: shows what is configured and where it comes from, changes the user's file (or the project's), keeps profiles, trusts folders.
import { dirname, join } from 'node:path';
import { KtError } from '../../errors.ts';
import type { Arguments } from '../arguments.ts';
import { parseConfig, withoutKey, withValue } from '../config/file.ts';
import { type Key, Keys, keyText } from '../config/keys.ts';
import { allowed, type Entry, type Layer, sourceText } from '../config/layers.ts';
import { PROJECT_FILE } from '../config/places.ts';
import { readLayers } from '../config/read.ts';
import { ConfigStore, PREVIOUS } from '../config/store.ts';
import { valueOf, valueText } from '../config/values.ts';
import type { ConfigAction } from '../config-options.ts';
import type { Declare } from '../declarations.ts';
import { type Output, outputOf } from '../output.ts';

interface Context {
  readonly store: ConfigStore;
  readonly keys: Keys;
  readonly output: Output;
  readonly words: readonly string[];
  readonly all: boolean;
  readonly project: boolean;
  readonly dryRun: boolean;
}

type Action = (context: Context) => Promise<number> | number;

/** `declare`: of parse.ts, for the keys. */
export async function config(args: Arguments, declare: Declare): Promise<number> {
  const context: Context = {
    store: new ConfigStore(),
    keys: new Keys(declare),
    output: outputOf(args),
    words: (Array.isArray(args['word']) ? args['word'] : []).map(String),
    all: args['all'] === true,
    project: args['project'] === true,
    dryRun: args['dryRun'] === true,
  };
  return ACTIONS[args['action'] as ConfigAction](context);
}

const ACTIONS: Readonly<Record<ConfigAction, Action>> = {
  show,
  get,
  set,
  unset,
  'list-profile': ({ store, output }) => {
    const names = store.profiles();
    output.result(
      names,
      names.length === 0 ? ['no profile; keep what is set as one: kt config save-profile NAME'] : names,
    );
    return 0;
  },
  'save-profile': (context) => {
    const { store, keys } = context;
    const name = oneWord(context, 'the name of a profile');
    const text = store.read(store.userFile) ?? '';
    // What is kept can be loaded again.
    parseConfig(text, store.userFile, keys);
    store.write(store.profileFile(name), text);
    return done(context, `saved ${store.userFile} as profile ${name}`);
  },
  'load-profile': loadProfile,
  'drop-profile': (context) => {
    const name = oneWord(context, 'the name of a profile');
    context.store.dropProfile(name);
    return done(context, `dropped profile ${name}`);
  },
  trust: (context) => trust(context, true),
  untrust: (context) => trust(context, false),
};

async function show({ store, keys, output, all }: Context): Promise<number> {
  const layers = await readLayers(store, keys, process.env, process.cwd());
  const rows = rowsOf(layers);
  const set = rows.map(({ entry, layer, state }) => ({
    key: keyText(entry),
    value: entry.value,
    layer: layer.kind,
    source: sourceText(entry.source),
    state,
  }));
  const unset = all ? keys.all.filter((key) => !set.some((row) => row.key === keyText(key))).map(keyText) : [];
  const lines = set.map(
    ({ key, value, source, layer, state }) =>
      `${key} = ${valueText(value)}  (${layer}: ${source})${state === 'counts' ? '' : `  ${STATES[state]}`}`,
  );
  const nothing = lines.length === 0 && !all ? [`nothing is configured; your file is ${store.userFile}`] : [];
  output.result(all ? { set, unset } : set, [...lines, ...nothing, ...unset.map((key) => `${key} is not set`)]);
  return 0;
}

const STATES = {
  counts: '',
  covered: 'does not count: a stronger layer says it too',
  untrusted: 'refused: the folder is not trusted (kt config trust)',
} as const;

interface Row {
  readonly entry: Entry;
  readonly layer: Layer;
  readonly state: keyof typeof STATES;
}

/** By key, the one that counts first. */
function rowsOf(layers: readonly Layer[]): Row[] {
  const seen = new Set<string>();
  const rows = layers.flatMap((layer) =>
    layer.entries.map((entry): Row => {
      if (!allowed(layer, entry)) return { entry, layer, state: 'untrusted' };
      const state = seen.has(keyText(entry)) ? 'covered' : 'counts';
      seen.add(keyText(entry));
      return { entry, layer, state };
    }),
  );
  return rows.toSorted((one, other) => keyText(one.entry).localeCompare(keyText(other.entry)));
}

/** Exit code 1 where one is not set. */
async function get({ store, keys, output, words }: Context): Promise<number> {
  if (words.length === 0) throw new KtError('USAGE', 'name a key', { hint: 'kt config get namespace' });
  const wanted = words.map((word) => keyOf(keys, word));
  const rows = rowsOf(await readLayers(store, keys, process.env, process.cwd()));
  const found = wanted.map((key) => {
    const row = rows.find(({ entry, state }) => keyText(entry) === keyText(key) && state === 'counts');
    return { key: keyText(key), value: row?.entry.value ?? null };
  });
  const set = found.filter(({ value }) => value !== null);
  const line = ({ key, value }: (typeof found)[number]) =>
    `${found.length === 1 ? '' : `${key} = `}${value === null ? '' : valueText(value)}`;
  output.result(found, set.map(line));
  return set.length === found.length ? 0 : 1;
}

function set(context: Context): number {
  const { store, keys, words } = context;
  const [word = '', ...values] = assignment(words);
  if (word === '' || values.length === 0)
    throw new KtError('USAGE', 'name a key and its value', { hint: 'kt config set namespace shop' });
  const key = keyOf(keys, word);
  if (key.flag.array !== true && values.length > 1)
    throw new KtError('USAGE', `${keyText(key)} takes one value and got ${values.length}`);
  const result = valueOf(key.flag, key.flag.array === true ? values : values[0]);
  if ('issue' in result) throw new KtError('USAGE', `${keyText(key)}: ${result.issue}`);
  const file = target(context);
  const text = store.read(file) ?? '';
  parseConfig(text, file, keys);
  store.write(file, withValue(text, key, result.value));
  return done(context, `${keyText(key)} = ${valueText(result.value)} in ${file}`);
}

/** `KEY VALUE`, `KEY=VALUE` and `KEY = VALUE`. */
function assignment([first = '', ...rest]: readonly string[]): string[] {
  const at = first.indexOf('=');
  if (at > 0) return [first.slice(0, at), ...[first.slice(at + 1)].filter((one) => one !== ''), ...rest];
  return [first, ...(rest[0] === '=' ? rest.slice(1) : rest)];
}

function unset(context: Context): number {
  const { store, keys, words, all } = context;
  if (all === words.length > 0) throw new KtError('USAGE', 'name the keys, or say --all');
  const file = target(context);
  const text = store.read(file) ?? '';
  // A file that can't be read as configuration can still be emptied.
  if (all) {
    if (text.trim() !== '') store.write(store.profileFile(PREVIOUS), text);
    store.write(file, '');
    return done(context, `nothing is set in ${file} any more; what was is the profile ${PREVIOUS}`);
  }
  const wanted = words.map((word) => keyOf(keys, word));
  parseConfig(text, file, keys);
  const rest = wanted.reduce((left, key) => {
    const without = withoutKey(left, key);
    if (without === undefined) throw new KtError('USAGE', `${keyText(key)} is not set in ${file}`);
    return without;
  }, text);
  store.write(file, rest);
  return done(context, `${wanted.map(keyText).join(', ')} not set in ${file} any more`);
}

function loadProfile(context: Context): number {
  const { store, keys, output, dryRun } = context;
  const name = oneWord(context, 'the name of a profile');
  const text = store.readProfile(name);
  parseConfig(text, store.profileFile(name), keys);
  if (dryRun) {
    output.result({ profile: name, text }, text.trimEnd().split('\n'));
    return 0;
  }
  const before = store.read(store.userFile) ?? '';
  const isKept = before.trim() === '' || store.profiles().some((one) => store.readProfile(one) === before);
  if (!isKept) store.write(store.profileFile(PREVIOUS), before);
  store.write(store.userFile, text);
  const kept = isKept ? '' : `; what was there is the profile ${PREVIOUS}`;
  return done(context, `loaded profile ${name} into ${store.userFile}${kept}`);
}

function trust(context: Context, yes: boolean): number {
  const { store } = context;
  const file = store.projectFile(process.cwd());
  if (file === undefined) throw new KtError('USAGE', `there is no ${PROJECT_FILE} of yours here or above`);
  store.trust(dirname(file), yes);
  return done(context, `${dirname(file)} is ${yes ? 'trusted: every key of its file counts' : 'not trusted any more'}`);
}

/** The file that is changed: the user's, or the project's (a new one in this folder). */
function target({ store, project }: Context): string {
  if (!project) return store.userFile;
  return store.projectFile(process.cwd()) ?? join(process.cwd(), PROJECT_FILE);
}

/** `namespace`, `exchange.mode`, `global.namespace`. Throws USAGE. */
function keyOf(keys: Keys, word: string): Key {
  const at = word.indexOf('.');
  const [section, name] = at < 0 ? [undefined, word] : [word.slice(0, at), word.slice(at + 1)];
  const key = keys.find(section, name);
  if (key) return key;
  const meant = keys.suggest(section, name);
  throw new KtError('USAGE', `unknown key '${word}'${meant === undefined ? '' : `; did you mean '${meant}'?`}`, {
    hint: '`kt config show --all` lists the keys',
  });
}

function oneWord({ words }: Context, what: string): string {
  const [word, ...more] = words;
  if (word === undefined || more.length > 0) throw new KtError('USAGE', `give ${what}, and nothing else`);
  return word;
}

function done({ output }: Context, text: string): number {
  output.result({ done: text }, [text]);
  return 0;
}
