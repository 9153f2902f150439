// How many columns a text takes on a terminal, and cutting and padding by columns. Pure. Called by line.ts and by views.
import stringWidth from 'string-width';
import { harmless } from './harmless.ts';

/** ASCII and what the screen draws with: arrows, lines, blocks, shapes. One column each, and much cheaper to know than to look up. */
const NARROW = /^[\x20-\x7e·–…•←-↓─-▟○●◐▸✓✕]*$/;
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

export const widthOf = (text: string): number => (NARROW.test(text) ? text.length : stringWidth(text));

/** The head that fits, with `…` where something is cut off. */
export function cut(of: string, width: number): string {
  const text = harmless(of);
  if (width <= 0) return '';
  if (widthOf(text) <= width) return text;
  return `${head(text, width - 1)}…`;
}

/** The tail that fits, with `…` in front: of a path the end says more. */
export function cutFront(of: string, width: number): string {
  const text = harmless(of);
  if (width <= 0) return '';
  if (widthOf(text) <= width) return text;
  return `…${tail(text, width - 1)}`;
}

/** Both ends, with `…` between: of a command the program and the last argument say most. */
export function cutMiddle(of: string, width: number): string {
  const text = harmless(of);
  if (width <= 0) return '';
  if (widthOf(text) <= width) return text;
  const front = Math.ceil((width - 1) / 2);
  return `${head(text, front)}…${tail(text, width - 1 - front)}`;
}

/** Cut or padded to exactly `width` columns. */
export function fit(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const short = cut(text, width);
  const space = ' '.repeat(Math.max(0, width - widthOf(short)));
  return align === 'left' ? short + space : space + short;
}

function head(text: string, width: number): string {
  if (NARROW.test(text)) return text.slice(0, width);
  let [taken, columns] = ['', 0];
  for (const { segment } of graphemes.segment(text)) {
    const wide = stringWidth(segment);
    if (columns + wide > width) break;
    taken += segment;
    columns += wide;
  }
  return taken;
}

function tail(text: string, width: number): string {
  if (width <= 0) return '';
  if (NARROW.test(text)) return text.slice(-width);
  let [taken, columns] = ['', 0];
  for (const { segment } of [...graphemes.segment(text)].toReversed()) {
    const wide = stringWidth(segment);
    if (columns + wide > width) break;
    taken = segment + taken;
    columns += wide;
  }
  return taken;
}

/** Lines of at most `width` columns, broken at spaces where there are some. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split('\n').map(harmless)) {
    // Indentation is kept: of JSON it is the shape.
    let line = /^ */.exec(paragraph)?.[0].slice(0, Math.max(0, width - 1)) ?? '';
    let begun = false;
    for (const word of paragraph.trimStart().split(' ')) {
      const longer: string = begun ? `${line} ${word}` : line + word;
      if (widthOf(longer) <= width) {
        [line, begun] = [longer, true];
        continue;
      }
      if (begun) lines.push(line);
      [line, begun] = [word, true];
      while (widthOf(line) > width) {
        const piece = head(line, Math.max(1, width));
        // A character wider than the whole line is let go.
        if (piece === '') return lines;
        lines.push(piece);
        line = line.slice(piece.length);
      }
    }
    lines.push(line);
  }
  return lines;
}
