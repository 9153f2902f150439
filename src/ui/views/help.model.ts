// The keys of the view that is open, and those of all views. Pure.
import { GLOBAL_KEYS, type KeyHelp, VIEW_KEYS } from '../keys.ts';
import type { ViewId } from '../machine/ui.ts';
import { EMPTY, fitLine, type Line, line, span } from '../text/line.ts';

export function helpLines(view: ViewId, width: number, height: number): Line[] {
  const title = view.charAt(0).toUpperCase() + view.slice(1);
  const own = [line(span(`   ${title}`, 'strong')), ...VIEW_KEYS[view].map(keyLine)];
  const all = [line(span('   Everywhere', 'strong')), ...GLOBAL_KEYS.map(keyLine)];
  const legend = [
    line(
      span('   ● ', 'good'),
      span('requests come to a laptop  ', 'dim'),
      span('◐ ', 'good'),
      span('only those with a mark', 'dim'),
    ),
    line(
      span('   ○ ', 'warn'),
      span('the original pods answer   ', 'dim'),
      span('✕ ', 'bad'),
      span('needs you', 'dim'),
    ),
  ];
  const both = [...own, EMPTY, ...all, EMPTY, ...legend];
  if (both.length <= height || width < 110) return both.length <= height ? both : [...own, ...all].slice(0, height);
  const half = Math.floor(width / 2);
  const rows = Math.max(own.length, all.length);
  const sides = Array.from({ length: rows }, (_, at) => [...fitLine(own[at] ?? EMPTY, half), ...(all[at] ?? EMPTY)]);
  return [...sides, EMPTY, ...legend];
}

const keyLine = ({ key, long }: KeyHelp): Line => line('     ', span(key.padEnd(9), 'key'), span(long));
