// The session file of `kt up`, kt.yaml: where to connect, which Services to take, which programs to start. YAML with a schema; errors name file, line and
// column. Pure: text in. It is read because somebody typed `kt up` in its folder, as a Makefile is; configuration is cli/config. Called by commands/up.ts.
import * as v from 'valibot';
import { type Document, isMap, isScalar, visit } from 'yaml';
import { splitOptions } from '../../modes/option-words.ts';
import { parsePlaced, startOf } from '../config/yaml-places.ts';

export const UP_FILE = 'kt.yaml';
/** Programs of one file; more is a mistake. */
const PROGRAMS_MAX = 32;

const words = v.array(v.string('must be text'), 'must be a list');
const list = v.optional(words, []);
const text = v.pipe(v.string('must be text'), v.minLength(1, 'must not be empty'));
const program = v.strictObject(
  {
    command: v.pipe(
      v.union([words, text], 'must be a list of words, or one line'),
      v.transform((given) => (typeof given === 'string' ? splitOptions(given).map((word) => word.text) : given)),
      v.minLength(1, 'must not be empty'),
    ),
    folder: v.optional(text),
    env: v.optional(v.record(v.string(), v.string('must be text'), 'must be a mapping'), {}),
    'env-from': list,
    'files-from': list,
  },
  'must be a mapping with a command',
);
const MAPPING = 'must be a mapping: `exchange: [orders:8080]`';
const schema = v.strictObject(
  {
    namespace: v.optional(text),
    context: v.optional(text),
    exchange: list,
    mesh: list,
    preview: list,
    'version-mark': v.optional(text),
    forward: list,
    run: v.optional(
      v.pipe(
        v.record(v.string(), program, 'must be a mapping of names to programs'),
        v.check((all) => Object.keys(all).length <= PROGRAMS_MAX, `must not be more than ${PROGRAMS_MAX} programs`),
      ),
      {},
    ),
  },
  MAPPING,
);

export type UpFile = v.InferOutput<typeof schema>;
export type UpProgram = v.InferOutput<typeof program>;

/** Throws CONFIG_INVALID with file, line and column. */
export function parseUpFile(content: string, file: string): UpFile {
  const { document, wrong } = parsePlaced(content, file, MAPPING, 'docs/up.md shows what it may hold');
  visit(document, {
    Alias: (_, alias) => {
      throw wrong(startOf(alias), 'anchors and aliases are not read');
    },
  });
  const result = v.safeParse(schema, isMap(document.contents) ? document.toJS() : {});
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = (issue.path ?? []).map(({ key }) => String(key));
  const unknown = issue.type === 'strict_object' && issue.expected === 'never';
  throw wrong(
    placeOf(document, path, unknown),
    unknown ? `unknown key '${path.join('.')}'` : `${path.join('.') || 'the file'} ${issue.message}`,
  );
}

/** Where the value of a path begins, or with `key` its key; of what is missing, where its mapping does. */
function placeOf(document: Document, path: readonly string[], key: boolean): number {
  const above = document.getIn(path.slice(0, -1), true) ?? document.contents;
  const pair = isMap(above) ? above.items.find((one) => isScalar(one.key) && one.key.value === path.at(-1)) : undefined;
  if (key && pair) return startOf(pair.key);
  for (let depth = path.length; depth > 0; depth -= 1) {
    const node = document.getIn(path.slice(0, depth), true);
    if (node !== undefined) return startOf(node);
  }
  return startOf(document.contents);
}
