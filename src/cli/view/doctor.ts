// The doctor's findings as lines for a terminal. Not the data format: that is the finding itself. Called by commands/doctor.ts.
import type { Finding, Verdict } from '../../session/findings.ts';

const MARKS: Readonly<Record<Verdict, string>> = { ok: '✓', warning: '!', failed: '✕', skipped: '-' };

const time = (ms: number): string => (ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`);

/** `again`: the line before was of the same check, whose name need not be repeated. */
export function findingLines({ check, verdict, text, hint, code, ms }: Finding, again: boolean): string[] {
  const head = `  ${MARKS[verdict]} ${(again ? '' : check).padEnd(12)}${text}`;
  return [
    `${head}${verdict === 'skipped' || again ? '' : `  ${time(ms)}`}`,
    ...(hint && verdict !== 'ok' ? [`      ${''.padEnd(10)}→ ${hint}${code ? ` (${code})` : ''}`] : []),
  ];
}

export function summary(findings: readonly Finding[]): string {
  const count = (verdict: Verdict): number => findings.filter((one) => one.verdict === verdict).length;
  const [failed, warnings] = [count('failed'), count('warning')];
  if (failed > 0) return `${failed} failed, ${warnings} to look at. The first failed line is the one to begin with.`;
  return warnings > 0 ? `Works, with ${warnings} to look at.` : 'Everything works.';
}
