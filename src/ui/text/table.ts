// Columns of fixed shares: they do not move when what is in them changes or scrolls, so the eye finds them again. Pure.
import { fitLine, type Line, type Span, span } from './line.ts';
import { cut, fit, widthOf } from './width.ts';

export interface Column {
  readonly title: string;
  /** Columns of the terminal; 0 or less with `share`: only its share. */
  readonly width: number;
  /** Part of what is left over after all widths. */
  readonly share?: number;
  readonly align?: 'left' | 'right';
  /** Left out where the table is narrower. */
  readonly from?: number;
}

export interface Grid {
  readonly widths: readonly number[];
  readonly columns: readonly Column[];
}

const GAP = 2;

export function gridOf(columns: readonly Column[], width: number): Grid {
  const shown = columns.map((column) => width >= (column.from ?? 0));
  const fixed = columns.reduce((sum, column, at) => sum + (shown[at] ? column.width + GAP : 0), -GAP);
  const shares = columns.reduce((sum, { share = 0 }, at) => sum + (shown[at] ? share : 0), 0);
  const left = Math.max(0, width - fixed);
  let given = 0;
  let taken = 0;
  const widths = columns.map(({ width: own, share = 0 }, at) => {
    if (!shown[at]) return 0;
    // By the sum so far, so that rounding leaves nothing over.
    given += share;
    const upTo = shares === 0 ? 0 : Math.floor((left * given) / shares);
    const extra = upTo - taken;
    taken = upTo;
    return own + extra;
  });
  return { widths, columns };
}

export const titles = (grid: Grid): Line =>
  row(
    grid,
    grid.columns.map(({ title }) => span(title, 'dim')),
  );

/** A cell of several spans is cut as one. */
export type Cell = Span | Line;

export function row({ widths, columns }: Grid, cells: readonly Cell[]): Line {
  const spans: Span[] = [];
  columns.forEach(({ align = 'left' }, at) => {
    const width = widths[at] ?? 0;
    if (width <= 0) return;
    if (spans.length > 0) spans.push(span(' '.repeat(GAP)));
    const cell = cells[at] ?? span('');
    if ('text' in cell) spans.push({ ...cell, text: fit(cell.text, width, align) });
    else if (align === 'left') spans.push(...fitLine(cell, width));
    else {
      const text = cut(cell.map((one) => one.text).join(''), width);
      spans.push(span(' '.repeat(width - widthOf(text))), ...cell);
    }
  });
  return spans;
}
