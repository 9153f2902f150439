// Numbers as people read them: short, of few columns, the same width where they change often. Pure.
import { widthOf } from './width.ts';

const STEPS = ' ▁▂▃▄▅▆▇█';

/** 0.4 → `<1 ms`, 3.2 → `3 ms`, 1200 → `1.2 s`. */
export function ms(value: number): string {
  if (value < 1) return '<1 ms';
  if (value < 1_000) return `${Math.round(value)} ms`;
  if (value < 60_000) return `${(value / 1_000).toFixed(1)} s`;
  return `${Math.round(value / 60_000)} min`;
}

/** 84_000 → `84 kB`. */
export function bytes(value: number): string {
  if (value < 1_000) return `${Math.round(value)} B`;
  for (const [limit, unit] of [
    [1e6, 'kB'],
    [1e9, 'MB'],
    [1e12, 'GB'],
  ] as const) {
    if (value >= limit * 0.9995) continue;
    const number = (value * 1_000) / limit;
    return `${number < 9.95 ? number.toFixed(1) : Math.round(number)} ${unit}`;
  }
  return `${Math.round(value / 1e12)} TB`;
}

/** Short, for a table: `1.2k`. */
export const shortBytes = (value: number): string =>
  bytes(value)
    .replace(/ B$/, '')
    .replace(/ (.)B$/, (_, unit: string) => unit.toLowerCase());

/** 0 → ``, 0.4 → `<1`, 12.3 → `12`. */
export function perSecond(value: number): string {
  if (value <= 0) return '';
  return value < 1 ? '<1' : value < 1_000 ? String(Math.round(value)) : `${(value / 1_000).toFixed(1)}k`;
}

/** `12 s`, `5 min`, `3 h`, `2 d`. Clocks differ: never below 0. */
export function span(fromMs: number, toMs: number): string {
  const seconds = Math.max(0, Math.round((toMs - fromMs) / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** `10:31:02` of this machine's zone. */
export function clock(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? '--:--:--' : date.toTimeString().slice(0, 8);
}

/** The last `width` values as bars, the largest (at least `floor`) as the highest. */
export function sparkline(values: readonly number[], width: number, floor = 1): string {
  const shown = values.slice(-width);
  const top = Math.max(floor, ...shown);
  const bars = shown
    .map((value) => {
      if (value <= 0) return '▁';
      return STEPS[Math.max(1, Math.ceil((value / top) * (STEPS.length - 1)))] ?? '▁';
    })
    .join('');
  return '▁'.repeat(Math.max(0, width - widthOf(bars))) + bars;
}
