// The table of benchmarks/outbound: medians, the ratio to kubectl, the target and whether it is reached.

import { median, show } from '../support/statistics.mjs';

/** row → [text, test(median of the best kt way, kubectl's median, the far line)] */
const TARGETS = {
  'download, 1 stream (MiB/s)': ['≥ 0.75 ×', (kt, kubectl) => kt / kubectl >= 0.75],
  'download, 8 streams (MiB/s)': ['≥ 0.75 ×', (kt, kubectl) => kt / kubectl >= 0.75],
  'upload, 1 stream (MiB/s)': ['≥ 0.75 ×', (kt, kubectl) => kt / kubectl >= 0.75],
  'upload, 8 streams (MiB/s)': ['≥ 0.75 ×', (kt, kubectl) => kt / kubectl >= 0.75],
  'CPU s/GiB, download, 1 stream': ['≤ 0.9 ×', (kt, kubectl) => kt / kubectl <= 0.9],
  'CPU s/GiB, download, 8 streams': ['≤ 0.9 ×', (kt, kubectl) => kt / kubectl <= 0.9],
  'CPU s/GiB, upload, 1 stream': ['≤ 0.9 ×', (kt, kubectl) => kt / kubectl <= 0.9],
  'CPU s/GiB, upload, 8 streams': ['≤ 0.9 ×', (kt, kubectl) => kt / kubectl <= 0.9],
  'request p50 (ms)': ['≤ 1.3 ×', (kt, kubectl) => kt / kubectl <= 1.3],
  'new connections/s, one after the other': ['≥ 1 ×', (kt, kubectl) => kt / kubectl >= 1],
  'new connections/s, 32 at once': ['≥ 1.2 ×', (kt, kubectl) => kt / kubectl >= 1.2],
  'small beside 8 downloads p50 (ms)': ['≤ 5 ms', (kt) => kt <= 5],
  'far: connect + request p50 (ms)': ['≤ 1.2 round trips', (kt, _, far) => kt <= 1.2 * 2 * far.delayMs],
  'far: small beside 8 downloads p50 (ms)': ['≤ 2 round trips', (kt, _, far) => kt <= 2 * 2 * far.delayMs],
  'far: download (MiB/s)': ['≥ 94 % of the line', (kt, _, far) => kt >= (0.94 * far.mbit * 1e6) / 8 / 1_048_576],
  'far: start to first answer (s)': ['≤ 2 s', (kt) => kt <= 2],
  'start to first answer (s)': ['≤ 2 s', (kt) => kt <= 2],
  'memory idle (MiB)': ['≤ 90', (kt) => kt <= 90],
  'kt --version (ms)': ['≤ 120', (kt) => kt <= 120],
};
const COLUMNS = ['kubectl', 'kt socks', 'kt http', 'kt node shim'];

export function printTable(results, far) {
  console.log(`| | ${COLUMNS.join(' | ')} | target | reached by |`);
  console.log(`|---|${COLUMNS.map(() => '---:').join('|')}|---|---|`);
  for (const [row, byColumn] of Object.entries(results)) {
    const medians = Object.fromEntries(Object.entries(byColumn).map(([column, values]) => [column, median(values)]));
    const [text = '', reached] = TARGETS[row] ?? [];
    const cells = COLUMNS.map((column) => {
      const value = medians[column];
      const ratio =
        column !== 'kubectl' && value !== undefined && medians.kubectl
          ? ` (${(value / medians.kubectl).toFixed(2)} ×)`
          : '';
      return `${show(value)}${ratio}`;
    });
    const who = reached
      ? COLUMNS.slice(1)
          .filter((column) => medians[column] !== undefined && reached(medians[column], medians.kubectl, far))
          .map((column) => column.slice(3))
      : [];
    console.log(`| ${row} | ${cells.join(' | ')} | ${text} | ${who.join(', ') || (reached ? 'none' : '')} |`);
  }
}
