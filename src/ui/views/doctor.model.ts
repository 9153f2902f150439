// What `kt doctor` found. Pure.
import type { Ui } from '../machine/ui.ts';
import { EMPTY, type Line, line, type Style, span } from '../text/line.ts';
import { wrap } from '../text/width.ts';

/** The first sign of a line says how it went. */
const SIGNS: Readonly<Record<string, Style>> = { '✓': 'good', '✕': 'bad', '!': 'warn', '●': 'good', '○': 'warn' };

export function doctorLines({ lines, asking, problem }: Ui['doctor'], width: number): Line[] {
  if (asking) return [line(span('   ◐ ', 'warn'), 'looking at everything between this laptop and the cluster…')];
  if (problem)
    return [
      line(span('   ✕ ', 'bad'), span(problem.message, 'bad')),
      ...(problem.hint === null ? [] : [line(`     ${problem.hint}`)]),
      EMPTY,
      line(span('   r looks again', 'dim')),
    ];
  if (lines === null)
    return [
      line(
        span(
          '   kt doctor looks at everything between this laptop and the cluster: kubeconfig, proxy, rights, images, the agent.',
          'dim',
        ),
      ),
      EMPTY,
      line('   ', span('r', 'key'), span(' runs it', 'dim')),
    ];
  return lines.flatMap((text) => {
    const sign = /^\s*(\S)\s/.exec(text)?.[1] ?? '';
    const style = Object.hasOwn(SIGNS, sign) ? SIGNS[sign] : undefined;
    return wrap(text, width - 6).map((part, at) =>
      style && at === 0
        ? line('   ', span(part.slice(0, part.indexOf(sign) + 1), style), part.slice(part.indexOf(sign) + 1))
        : line(at === 0 ? '   ' : '     ', part),
    );
  });
}
