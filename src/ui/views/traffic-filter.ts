// What the filter of the traffic list means: words that all must be in the row, or fields (`path:/api status:>=500`). Pure.
import type { TrafficRecord } from '../../session/traffic/types.ts';
import { memoLast } from '../memo.ts';

type Test = (record: TrafficRecord) => boolean;

const has = (value: string | number | null | undefined, wanted: string): boolean =>
  value !== null && value !== undefined && String(value).toLowerCase().includes(wanted);

const FIELDS: Readonly<Record<string, (record: TrafficRecord, wanted: string) => boolean>> = {
  path: (record, wanted) => record.direction === 'in' && has(record.path, wanted),
  method: (record, wanted) => record.direction === 'in' && has(record.method, wanted),
  host: (record, wanted) => has(record.host, wanted),
  service: (record, wanted) => record.direction === 'in' && has(record.service, wanted),
  dir: (record, wanted) => record.direction === wanted,
  via: (record, wanted) => record.direction === 'out' && has(record.via, wanted),
  pid: (record, wanted) => record.direction === 'out' && record.by.pid === Number(wanted),
  port: (record, wanted) => (record.direction === 'in' ? record.local : record.port) === Number(wanted),
  state: (record, wanted) => record.state === wanted,
  status: (record, wanted) => record.direction === 'in' && compares(record.status, wanted),
  ms: (record, wanted) => compares(record.ms, wanted),
};

export const FILTER_FIELDS = Object.keys(FIELDS);

/** `>=500`, `<400`, `404`, `5` (every one that begins so). */
function compares(value: number | null, wanted: string): boolean {
  if (value === null) return false;
  const [, operator = '', number = ''] = /^(>=|<=|>|<|=)?(\d+)$/.exec(wanted) ?? [];
  if (number === '') return false;
  const limit = Number(number);
  if (operator === '>=') return value >= limit;
  if (operator === '<=') return value <= limit;
  if (operator === '>') return value > limit;
  if (operator === '<') return value < limit;
  return operator === '=' ? value === limit : String(value).startsWith(number);
}

/** What stands in the row, for words without a field. */
export function textOf(record: TrafficRecord): string {
  const text =
    record.direction === 'in'
      ? `in ${record.caller} ${record.service} ${record.method ?? ''} ${record.path ?? ''} ${record.host ?? ''} ${record.reason} ${record.status ?? ''} ${record.protocol}`
      : `out ${record.by.runtime ?? record.by.door} ${record.by.pid ?? ''} ${record.host}:${record.port} ${record.via} ${record.reason} ${record.code ?? ''}`;
  return `${text} ${record.state} ${record.error ?? ''}`.toLowerCase();
}

function testOf(word: string): Test {
  if (word.startsWith('-') && word.length > 1) {
    const test = testOf(word.slice(1));
    return (record) => !test(record);
  }
  const at = word.indexOf(':');
  const field = at > 0 && Object.hasOwn(FIELDS, word.slice(0, at)) ? FIELDS[word.slice(0, at)] : undefined;
  const wanted = word.slice(at + 1);
  // Half written: everything.
  if (field) return wanted === '' ? () => true : (record) => field(record, wanted);
  return (record) => textOf(record).includes(word);
}

/** All rows where nothing is wanted: the same array then. */
export const matching = memoLast((records: readonly TrafficRecord[], filter: string): readonly TrafficRecord[] => {
  const words = filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  if (words.length === 0) return records;
  const tests = words.map(testOf);
  return records.filter((record) => tests.every((test) => test(record)));
});
