// A terminal's screen as an SVG, cell by cell: what the docs show is what the screen draws. Called by scripts/pictures.ts and its test.
import type { Terminal } from './terminal.ts';

const CELL = { width: 8.4, height: 18 };
const PAD = { x: 14, top: 36, bottom: 12 };
const INK = '#d7dae0';
const PAPER = '#14161b';

/** The xterm palette behind its first 16 colours. */
function colourOf(index: number): string {
  if (index >= 232) return grey(8 + (index - 232) * 10);
  const steps = [0, 95, 135, 175, 215, 255];
  const at = index - 16;
  return hex([steps[Math.floor(at / 36)] ?? 0, steps[Math.floor(at / 6) % 6] ?? 0, steps[at % 6] ?? 0]);
}

const hex = (parts: readonly number[]): string => `#${parts.map((one) => one.toString(16).padStart(2, '0')).join('')}`;
const grey = (value: number): string => hex([value, value, value]);

interface Run {
  readonly column: number;
  columns: number;
  text: string;
  readonly fill: string;
  readonly bold: boolean;
  readonly inverse: boolean;
}

function runsOf(terminal: Terminal, row: number): Run[] {
  const line = terminal.screen.buffer.active.getLine(terminal.screen.buffer.active.viewportY + row);
  const runs: Run[] = [];
  for (let column = 0; line && column < terminal.screen.cols; column += 1) {
    const cell = line.getCell(column);
    // The second half of a wide character.
    if (!cell || cell.getWidth() === 0) continue;
    const fill = cell.isFgPalette() ? colourOf(cell.getFgColor()) : INK;
    const [bold, inverse] = [cell.isBold() !== 0, cell.isInverse() !== 0];
    const text = cell.getChars() || ' ';
    const last = runs.at(-1);
    const same = last && last.fill === fill && last.bold === bold && last.inverse === inverse;
    // A wide character stands alone: no font has it exactly twice as wide.
    if (same && cell.getWidth() === 1 && last.column + last.columns === column && last.columns === last.text.length) {
      last.text += text;
      last.columns += cell.getWidth();
    } else runs.push({ column, columns: cell.getWidth(), text, fill, bold, inverse });
  }
  return runs.map(trimmed).filter(({ text }) => text !== '');
}

/** Without the spaces around it, which some programs drop and others stretch. Inverse ones are seen. */
function trimmed(run: Run): Run {
  if (run.inverse) return run;
  const text = run.text.trimEnd();
  const start = text.length - text.trimStart().length;
  return {
    ...run,
    text: text.slice(start),
    column: run.column + start,
    columns: run.columns - (run.text.length - text.length) - start,
  };
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Spaces would be taken together. */
const kept = (text: string): string => escaped(text).replaceAll(' ', '\u00a0');

/** `title` is read out by screen readers. */
export function pictureOf(terminal: Terminal, title: string): string {
  const { cols, rows } = terminal.screen;
  const width = Math.round(cols * CELL.width + PAD.x * 2);
  const height = Math.round((rows - 1) * CELL.height + PAD.top + PAD.bottom);
  const texts = Array.from({ length: rows - 1 }, (_, row) =>
    runsOf(terminal, row).map(({ column, columns, text, fill, bold, inverse }) => {
      const [x, y] = [PAD.x + column * CELL.width, PAD.top + row * CELL.height];
      const [wide, base] = [(columns * CELL.width).toFixed(1), (y + 13).toFixed(1)];
      const back = inverse
        ? `<rect x="${x.toFixed(1)}" y="${y}" width="${wide}" height="${CELL.height}" fill="${INK}"/>`
        : '';
      const weight = bold ? ' font-weight="bold"' : '';
      return `${back}<text x="${x.toFixed(1)}" y="${base}" textLength="${wide}" fill="${inverse ? PAPER : fill}"${weight}>${kept(text)}</text>`;
    }),
  );
  const lamps = ['#ff5f57', '#febc2e', '#28c840'].map(
    (fill, at) => `<circle cx="${18 + at * 18}" cy="18" r="5" fill="${fill}"/>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" rx="8" fill="${PAPER}"/>`,
    ...lamps,
    `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14">`,
    ...texts.flat(),
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

/** What a picture says, without what changes from day to day: for a test that it is not stale. */
export function wordsOf(svg: string): string {
  const texts = [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map((match) => match[1] ?? '');
  return texts
    .join('\n')
    .replaceAll(/\d+/g, '0')
    .replaceAll(/[▁▂▃▄▅▆▇█]+/g, '▁')
    .replaceAll(/[\d.]+ [kMG]?B\/s/g, '0 B/s')
    .replaceAll(/[ \u00a0]+/g, ' ')
    .split('\n')
    .map((one) => one.trim())
    .filter((one) => one !== '')
    .join('\n');
}
