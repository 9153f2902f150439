// A line of the screen as spans with meanings instead of colours, and what views build lines of. Pure. Painted by theme.ts.
import { harmless } from './harmless.ts';
import { cut, widthOf } from './width.ts';

/** What a span means; the theme says how that looks. */
export type Style = 'plain' | 'strong' | 'dim' | 'accent' | 'good' | 'warn' | 'bad' | 'picked' | 'key' | 'cursor';

export interface Span {
  readonly text: string;
  readonly style: Style;
}

export type Line = readonly Span[];

export const span = (text: string, style: Style = 'plain'): Span => ({ text: harmless(text), style });
export const line = (...parts: readonly (Span | string)[]): Line =>
  parts.map((part) => (typeof part === 'string' ? span(part) : part)).filter(({ text }) => text !== '');

export const EMPTY: Line = [];

/** In front of each row of a list. */
export const pointer = (here: boolean): Span => (here ? span(' ▸ ', 'picked') : span('   '));

export const lineWidth = (spans: Line): number => spans.reduce((sum, { text }) => sum + widthOf(text), 0);
export const lineText = (spans: Line): string => spans.map(({ text }) => text).join('');

/** At most `width` columns. */
export function cutLine(spans: Line, width: number): Line {
  const kept: Span[] = [];
  let left = width;
  for (const one of spans) {
    if (left <= 0) break;
    const text = cut(one.text, left);
    kept.push({ ...one, text });
    left -= widthOf(text);
    if (text !== one.text) break;
  }
  return kept;
}

/** Exactly `width` columns. */
export function fitLine(spans: Line, width: number): Line {
  const short = cutLine(spans, width);
  const space = width - lineWidth(short);
  return space > 0 ? [...short, span(' '.repeat(space))] : short;
}

/** One at each end; where both do not fit, the left one is cut, and where that leaves little of it the right one goes. */
export function ends(left: Line, right: Line, width: number): Line {
  const wide = lineWidth(right);
  if (wide === 0) return fitLine(left, width);
  const room = width - wide - 1;
  if (room < Math.min(12, lineWidth(left))) return fitLine(left, width);
  return [...fitLine(left, room), span(' '), ...right];
}

/** Beside each other with a rule between; both as tall as `height`. */
export function beside(left: readonly Line[], leftWidth: number, right: readonly Line[], height: number): Line[] {
  return Array.from({ length: height }, (_, row) => [
    ...fitLine(left[row] ?? EMPTY, leftWidth),
    span(' │ ', 'dim'),
    ...(right[row] ?? EMPTY),
  ]);
}

/** Key hints: `e exchange  m mesh`. Those that do not fit are left out, from the end. */
export function hints(pairs: readonly (readonly [key: string, what: string])[], width: number): Line {
  const spans: Span[] = [];
  let used = 0;
  for (const [key, what] of pairs) {
    const wide = widthOf(key) + 1 + widthOf(what) + (spans.length > 0 ? 2 : 0);
    if (used + wide > width) break;
    if (spans.length > 0) spans.push(span('  '));
    spans.push(span(key, 'key'), span(` ${what}`, 'dim'));
    used += wide;
  }
  return spans;
}
