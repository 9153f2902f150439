// What a flag takes, as a schema: values come as text, from a file, a variable or `kt config set`, so that `versionMark: 1.10` stays 1.10.
// Ranges and forms of the single flags are checked where flags are. Pure. Called by file.ts, read.ts and the command config.
import * as v from 'valibot';
import type { Flag } from '../declarations.ts';

export type Value = string | number | boolean | readonly string[];

const YES = ['true', 'yes', 'on', '1'];
/** Values are shown on terminals. */
const PRINTABLE = v.regex(/^\P{Cc}*$/u, 'must hold no control characters');
const NO = ['false', 'no', 'off', '0'];

function schemaOf({ type, choices, array }: Flag): v.GenericSchema<unknown, Value> {
  if (array === true) {
    const one = v.pipe(v.string('must be text, or a list of texts'), PRINTABLE);
    const lists = v.array(one, 'must be text, or a list of texts');
    return v.pipe(
      v.union([lists, one], 'must be text, or a list of texts'),
      v.transform((given) => [given].flat()),
    );
  }
  if (type === 'boolean')
    return v.pipe(
      v.string('must be true or false'),
      v.toLowerCase(),
      v.picklist([...YES, ...NO], 'must be true or false'),
      v.transform((word) => YES.includes(word)),
    );
  if (type === 'number')
    return v.pipe(v.string('must be a number'), v.regex(/^-?\d{1,15}$/, 'must be a whole number'), v.transform(Number));
  if (choices) return v.picklist(choices.map(String), `must be ${choices.map(String).join(' or ')}`);
  return v.pipe(v.string('must be text'), v.minLength(1, 'must not be empty'), PRINTABLE);
}

/** The value, or what is wrong with it; never the value itself in a message: it may be private. */
export function valueOf(flag: Flag, given: unknown): { readonly value: Value } | { readonly issue: string } {
  const result = v.safeParse(schemaOf(flag), given, { abortEarly: true });
  return result.success ? { value: result.output } : { issue: result.issues[0].message };
}

/** As it is shown, and as `kt config set` takes it. */
export const valueText = (value: Value): string => (typeof value === 'object' ? value.join(', ') : String(value));
