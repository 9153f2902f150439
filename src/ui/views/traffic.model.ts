// The list of requests and connections, latest last, as mitmproxy shows flows. Pure.
import type { InboundRecord, OutboundRecord, TrafficRecord } from '../../session/traffic/types.ts';
import type { TrafficData } from '../data.ts';
import { type Line, line, pointer, type Span, span } from '../text/line.ts';
import { type Column, gridOf, row, titles } from '../text/table.ts';
import { clock, ms, shortBytes } from '../text/units.ts';
import { cutMiddle, widthOf } from '../text/width.ts';

const COLUMNS: readonly Column[] = [
  { title: 'TIME', width: 8 },
  { title: '', width: 3 },
  { title: 'REQUEST OR CONNECTION', width: 20, share: 4 },
  { title: 'ROUTE', width: 0, share: 2, from: 100 },
  { title: 'STATUS', width: 9 },
  { title: 'TIME', width: 7, align: 'right' },
  { title: 'BYTES', width: 6, align: 'right', from: 72 },
];

export interface TrafficList {
  readonly head: Line;
  readonly lines: readonly Line[];
}

export function trafficList(
  records: readonly TrafficRecord[],
  { picked, top, width, height }: { picked: number | undefined; top: number; width: number; height: number },
): TrafficList {
  const grid = gridOf(COLUMNS, width - 3);
  const what = grid.widths[2] ?? 20;
  return {
    head: line('   ', ...titles(grid)),
    lines: records.slice(top, top + height).map((record) => {
      const here = record.id === picked;
      const inbound = record.direction === 'in';
      const cells = [
        span(clock(record.time), 'dim'),
        span(inbound ? '→in' : 'out', inbound ? 'accent' : 'dim'),
        inbound ? inboundCell(record, what, here) : outboundCell(record, what, here),
        span(inbound ? record.reason : `${record.via === 'cluster' ? '' : `${record.via}: `}${record.reason}`, 'dim'),
        statusCell(record),
        span(ms(record.ms), record.state === 'open' ? 'dim' : 'plain'),
        span(shortBytes(record.received + record.sent), 'dim'),
      ];
      return line(pointer(here), ...row(grid, cells));
    }),
  };
}

function inboundCell({ service, method, path, protocol, upgrade }: InboundRecord, width: number, here: boolean): Line {
  const verb = method === null ? (protocol === 'udp' ? 'UDP' : 'TCP') : method;
  const head = `${service}  `;
  const room = Math.max(0, width - widthOf(head) - widthOf(verb) - 1);
  return line(
    span(head, here ? 'picked' : 'dim'),
    span(`${verb} `, 'strong'),
    span(cutMiddle(`${path ?? ''}${upgrade === null ? '' : ` (${upgrade})`}`, room), here ? 'picked' : 'plain'),
  );
}

function outboundCell({ by, host, port, protocol }: OutboundRecord, width: number, here: boolean): Line {
  const who = `${by.runtime ?? by.door}${by.pid === undefined ? '' : `[${by.pid}]`} → `;
  const target = `${host}:${port}${protocol === 'udp' ? ' (UDP)' : ''}`;
  return line(span(who, 'dim'), span(cutMiddle(target, Math.max(8, width - widthOf(who))), here ? 'picked' : 'plain'));
}

export function statusCell(record: TrafficRecord): Span {
  if (record.state === 'failed')
    return span(record.direction === 'out' && record.code !== null ? `✕ ${shortCode(record.code)}` : '✕ failed', 'bad');
  if (record.direction === 'in' && record.status !== null) {
    const { status } = record;
    return span(
      status >= 500 ? `${status} ✕` : String(status),
      status >= 500 ? 'bad' : status >= 400 ? 'warn' : 'good',
    );
  }
  return record.state === 'open' ? span('● open', 'accent') : span('done', 'dim');
}

const shortCode = (code: string): string => code.replace(/^(DIAL|STREAM|LINK)_/, '').toLowerCase();

export function trafficSummary(
  { records, dropped, pausedNew }: TrafficData,
  shown: number,
  filter: string,
  paused: boolean,
): Line {
  const count = filter === '' ? `${records.length} kept` : `${shown} of ${records.length} kept`;
  return line(
    span(`${count}${dropped > 0 ? ` · ${dropped} older ones let go` : ''}`, 'dim'),
    span(paused ? `  paused${pausedNew > 0 ? `, ${pausedNew} new` : ''}` : '', 'warn'),
  );
}
