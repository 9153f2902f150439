// YAML with the places of what is in it, so that an error names file, line and column. Knows no keys: that is file.ts (configuration) and up/file.ts (the
// session file), which call it. Pure.
import { type Document, isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import { KtError } from '../../errors.ts';

/** Characters of a problem that are told; what a file holds may be long. */
const PROBLEM_MAX = 300;

export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface PlacedYaml {
  readonly document: Document;
  readonly place: (offset: number) => Place;
  /** CONFIG_INVALID at that offset of the text. */
  readonly wrong: (offset: number, problem: string, hint?: string) => KtError;
}

/** Every scalar is the text that was written. Throws CONFIG_INVALID where it is not YAML, or its root is no mapping (`mapping` says so). */
export function parsePlaced(text: string, file: string, mapping: string, usual?: string): PlacedYaml {
  const lines = new LineCounter();
  const document = parseDocument(text, { schema: 'failsafe', lineCounter: lines, prettyErrors: false });
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col };
  };
  const wrong = (offset: number, problem: string, hint = usual): KtError => {
    const { line, column } = place(offset);
    // A file that came with a clone writes no control sequences to a terminal.
    const printable = problem.replaceAll(/\p{Cc}/gu, ' ').slice(0, PROBLEM_MAX);
    return new KtError('CONFIG_INVALID', `${file}:${line}:${column}: ${printable}`, hint === undefined ? {} : { hint });
  };
  const [mistake] = document.errors;
  if (mistake) throw wrong(mistake.pos[0], `not YAML: ${mistake.message}`);
  const root: unknown = document.contents;
  if (root !== null && !isMap(root) && !isEmpty(root)) throw wrong(startOf(root), mapping);
  return { document, place, wrong };
}

export const isEmpty = (node: unknown): boolean => isScalar(node) && (node.value === '' || node.value === null);

/** Offset at which a node begins. */
export const startOf = (node: unknown): number =>
  (node as { range?: readonly number[] | null } | null)?.range?.[0] ?? 0;
