// What happened, eldest first, as `kt connect` prints it. Follows the latest line unless the cursor was moved. Pure.
import type { LogLine, ScreenData } from '../data.ts';
import { type Line, line, pointer, span } from '../text/line.ts';
import { clock } from '../text/units.ts';

export function logRows({ log }: Pick<ScreenData, 'log'>, filter: string): readonly LogLine[] {
  const wanted = filter.trim().toLowerCase();
  return wanted === '' ? log : log.filter(({ text }) => text.toLowerCase().includes(wanted));
}

export function logLines(
  rows: readonly LogLine[],
  { picked, top, height }: { picked: number | undefined; top: number; height: number },
): Line[] {
  return rows
    .slice(top, top + height)
    .map(({ time, text, style }, at) =>
      line(pointer(top + at === picked), span(`${clock(time)}  `, 'dim'), span(text, style)),
    );
}
