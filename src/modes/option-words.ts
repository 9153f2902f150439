// Splits and quotes the options in JAVA_TOOL_OPTIONS and NODE_OPTIONS as the JVM and Node do, so that paths with spaces survive and
// what the user wrote stays as it was. Pure text. Called by run-env.ts.
import { KtError } from '../errors.ts';

export interface OptionWord {
  /** As the user wrote it, quotes included. */
  readonly raw: string;
  /** As the runtime reads it. */
  readonly text: string;
}

/**
 * Words apart by white space outside of quotes. The JVM knows " and ' and no escape (arguments.cpp, parse_options_buffer); Node knows "
 * and, within it, the backslash (node_options.cc, ParseNodeOptionsEnvVar): `escape` is then the backslash.
 */
export function splitOptions(value: string, escape?: '\\'): OptionWord[] {
  const words: OptionWord[] = [];
  let [raw, text] = ['', ''];
  let quote: string | undefined;
  const finish = (): void => {
    if (raw !== '') words.push({ raw, text });
    [raw, text] = ['', ''];
  };
  for (let at = 0; at < value.length; at += 1) {
    const character = value.charAt(at);
    if (quote === undefined && /\s/.test(character)) {
      finish();
      continue;
    }
    raw += character;
    if (quote !== undefined && character === escape) {
      at += 1;
      raw += value.charAt(at);
      text += value.charAt(at);
    } else if (quote === character) {
      quote = undefined;
    } else if (quote === undefined && (character === '"' || (character === "'" && escape === undefined))) {
      quote = character;
    } else {
      text += character;
    }
  }
  finish();
  return words;
}

/** `prefix` and a path as one JVM option. Throws USAGE for a path with both kinds of quotes, which the JVM has no way to write. */
export function javaOption(prefix: string, path: string): string {
  if (!/[\s"']/.test(path)) return prefix + path;
  const quote = ['"', "'"].find((candidate) => !path.includes(candidate));
  if (quote === undefined) {
    throw new KtError('USAGE', `the JVM can not load an agent from ${path}: the path has both kinds of quotes`, {
      hint: 'Install kt in a folder without quotes in its name.',
    });
  }
  return `${prefix}${quote}${path}${quote}`;
}

/** A path as one word of NODE_OPTIONS. */
export function nodeOption(path: string): string {
  return /[\s"\\]/.test(path) ? `"${path.replaceAll(/["\\]/g, '\\$&')}"` : path;
}
