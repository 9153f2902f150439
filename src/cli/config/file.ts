// One configuration file: its entries with their places, and the same text with a key set or taken out, comments kept. YAML; a mapping of
// keys, and of commands to mappings of keys. Pure: text in, text out. Called by read.ts and the command config.
import { type Document, isMap, isScalar, isSeq, type Pair, parseDocument } from 'yaml';
import { KtError } from '../../errors.ts';
import { camelCase } from '../declarations.ts';
import { type Key, type Keys, keyText } from './keys.ts';
import { type Entry, sourceText } from './layers.ts';
import { type Value, valueOf } from './values.ts';
import { isEmpty, parsePlaced, startOf } from './yaml-places.ts';

/** Throws CONFIG_INVALID with file, line and column. */
export function parseConfig(text: string, file: string, keys: Keys): Entry[] {
  const { document, place, wrong } = parsePlaced(text, file, 'must be a mapping of keys: `namespace: shop`');
  const unknown = (section: string | undefined, word: string, offset: number): KtError => {
    const meant = keys.suggest(section, word);
    const where = section === undefined ? '' : ` in ${section}`;
    return wrong(
      offset,
      `unknown key '${word}'${where}${meant === undefined ? '' : `; did you mean '${meant}'?`}`,
      'keys are the long names of the flags: `kt config show --all` lists them',
    );
  };
  const readMap = (map: unknown, section: string | undefined): Entry[] => {
    if (!isMap(map)) return [];
    return map.items.flatMap((pair: Pair) => {
      const at = startOf(pair.key);
      const word = isScalar(pair.key) ? String(pair.key.value) : '';
      const inner = section === undefined && keys.isSection(word);
      // `exchange:` with nothing behind it, as a comment leaves it.
      if (pair.value === null || isEmpty(pair.value)) {
        if (inner || keys.find(section, word)) return [];
        throw unknown(section, word, at);
      }
      if (inner) {
        if (isMap(pair.value)) return readMap(pair.value, word);
        throw wrong(startOf(pair.value), `${word}: must be a mapping, for it is a command`, sectionHint(keys, word));
      }
      const key = keys.find(section, word);
      if (key === undefined) throw unknown(section, word, at);
      const result = valueOf(key.flag, plain(pair.value));
      if ('issue' in result) throw wrong(startOf(pair.value), `${keyText(key)}: ${result.issue}`);
      return [{ section: key.section, name: key.name, value: result.value, source: place(at) }];
    });
  };
  const entries = readMap(document.contents, undefined);
  // YAML refuses a key twice, but not in two spellings.
  const twice = entries.find((entry, at) => entries.findIndex((one) => keyText(one) === keyText(entry)) !== at);
  if (twice) throw new KtError('CONFIG_INVALID', `${sourceText(twice.source)}: ${keyText(twice)} is set twice`);
  return entries;
}

const sectionHint = (keys: Keys, word: string): string =>
  keys.find('run', word) ? `the flag --${word} of run is written below run:` : 'its flags are written below it';

/** Text and lists of text; anything else fits no flag. */
function plain(node: unknown): unknown {
  if (isScalar(node)) return node.value;
  if (isSeq(node)) return node.items.map((item) => (isScalar(item) ? item.value : undefined));
  return undefined;
}

/** The text with this value in it: where the key stands already, in its spelling, else at the end. */
export function withValue(text: string, key: Key, value: Value): string {
  const document = parseDocument(text);
  const path = pathOf(document, key);
  // `exchange:` with nothing below it yet.
  const section = path.slice(0, -1);
  if (section.length > 0 && document.hasIn(section) && !isMap(document.getIn(section, true)))
    document.deleteIn(section);
  document.setIn(path, value);
  return document.toString({ lineWidth: 0 });
}

/** The text without the key; undefined where it is not in it. A command without keys goes too. */
export function withoutKey(text: string, key: Key): string | undefined {
  const document = parseDocument(text);
  const path = pathOf(document, key);
  if (!document.hasIn(path)) return undefined;
  document.deleteIn(path);
  const rest = key.section === undefined ? undefined : document.getIn([path[0]], true);
  if (isMap(rest) && rest.items.length === 0) document.deleteIn([path[0]]);
  if (isMap(document.contents) && document.contents.items.length === 0)
    return text.replace(/^(?!\s*#).*(?:\n|$)/gm, '');
  return document.toString({ lineWidth: 0 });
}

function pathOf(document: Document, { section, name, flag }: Key): string[] {
  const heads: string[][] = section === undefined ? [[], ['global']] : [[section]];
  const names = [name, ...[flag.alias ?? []].flat()].flatMap((one) => [one, camelCase(one)]);
  const paths = heads.flatMap((head) => names.map((one) => [...head, one]));
  return paths.find((path) => document.hasIn(path)) ?? [...(heads[0] ?? []), name];
}
