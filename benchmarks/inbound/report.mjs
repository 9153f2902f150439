// The tables of benchmarks/inbound: medians, ratios to direct and to nginx, the targets and whether they are reached.
import { median, show } from '../support/statistics.mjs';

const COLUMNS = ['direct', 'nginx', 'kt: origin', 'kt: laptop'];

const TIMES = {
  ready: ['kt exchange: start to ready (s)', 3.5],
  moved: ['kt exchange: start to the first new connection on the laptop (s)', undefined],
  back: ['Ctrl-C to the first new connection at the original pods (s)', 2],
  ended: ['Ctrl-C to the end of kt: nothing of it is in the cluster (s)', undefined],
  failedTaking: ['failed requests, taking over', 0],
  failedBack: ['failed requests, handing back', 0],
};

export function printTimes(times) {
  console.log('| | median | worst | target | reached |');
  console.log('|---|---:|---:|---|---|');
  for (const [key, [row, target]] of Object.entries(TIMES)) {
    const values = times.map((one) => (row.endsWith('(s)') ? one[key] / 1000 : one[key]));
    const middle = median(values);
    const text = target === undefined ? '' : target === 0 ? 'none' : `≤ ${target} s`;
    const worst = Math.max(...values);
    const reached = target === undefined ? '' : (target === 0 ? worst : middle) <= target ? 'yes' : 'no';
    const figure = (value) => (row.endsWith('(s)') ? show(value) : String(value));
    console.log(`| ${row} | ${figure(middle)} | ${figure(worst)} | ${text} | ${reached} |`);
  }
}

/** row → [text, test(medians by column)] */
const TARGETS = {
  'request p50 (ms)': ['added by kt to the origin: ≤ 1 ms', (row) => row['kt: origin'] - row.direct <= 1],
  'requests/s, 32 connections': ['kt to the origin: ≥ 50 % of nginx', (row) => row['kt: origin'] / row.nginx >= 0.5],
  'failed requests': ['none', (row) => Object.values(row).every((value) => value === 0)],
};

export function printLoad(results) {
  console.log(`| | ${COLUMNS.join(' | ')} | target | reached |`);
  console.log(`|---|${COLUMNS.map(() => '---:').join('|')}|---|---|`);
  for (const [row, byColumn] of Object.entries(results)) {
    const medians = Object.fromEntries(Object.entries(byColumn).map(([column, values]) => [column, median(values)]));
    const [text = '', reached] = TARGETS[row] ?? [];
    const ofNginx = (column) =>
      row.startsWith('requests/s') && column.startsWith('kt')
        ? ` (${(medians[column] / medians.nginx).toFixed(2)} × nginx)`
        : '';
    const cells = COLUMNS.map((column) => `${show(medians[column])}${ofNginx(column)}`);
    console.log(`| ${row} | ${cells.join(' | ')} | ${text} | ${reached ? (reached(medians) ? 'yes' : 'no') : ''} |`);
  }
}
