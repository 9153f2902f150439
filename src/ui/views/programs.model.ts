// Programs that see the cluster through this session, and the local ports that lead into it. Pure.
import type { TrafficRecord } from '../../session/traffic/types.ts';
import type { ScreenData } from '../data.ts';
import { type Line, line, pointer, span } from '../text/line.ts';
import { type Column, gridOf, row, titles } from '../text/table.ts';
import { cutMiddle } from '../text/width.ts';

export interface ProgramRow {
  readonly id: string;
  readonly what: string;
  readonly pid: string;
  readonly command: string;
  readonly connections: number;
  /** Names that it asked for last. */
  readonly asked: string;
  readonly error: string;
  /** Of a forwarded port. */
  readonly local?: string;
}

const COLUMNS: readonly Column[] = [
  { title: 'PROGRAM', width: 10, share: 1 },
  { title: 'PID', width: 7 },
  { title: 'COMMAND', width: 12, share: 3 },
  { title: 'OPEN', width: 4, align: 'right' },
  { title: 'LAST CONNECTIONS', width: 10, share: 3 },
];

/** Names that a row shows. */
const NAMES_MAX = 4;

export function programRows({ state, traffic }: Pick<ScreenData, 'state' | 'traffic'>, filter: string): ProgramRow[] {
  const commands = new Map(state.programs.map(({ pid, command }) => [pid, command]));
  const byPid = new Map<number, TrafficRecord[]>();
  for (const record of traffic.records) {
    if (record.direction !== 'out' || record.by.pid === undefined) continue;
    const known = byPid.get(record.by.pid);
    if (known) known.push(record);
    else byPid.set(record.by.pid, [record]);
  }
  const shims = state.shims.map(({ runtime, version, pid }) =>
    programRow(`pid ${pid}`, `${runtime} ${version}`, pid, commands.get(pid) ?? '', byPid.get(pid) ?? []),
  );
  const others = state.programs
    .filter(({ pid }) => !state.shims.some((shim) => shim.pid === pid))
    .map(({ pid, command }) => programRow(`pid ${pid}`, 'kt run', pid, command, byPid.get(pid) ?? []));
  const forwards = state.forwards.map(
    ({ local, remote, protocol }): ProgramRow => ({
      id: `port ${local}`,
      what: 'forward',
      pid: '',
      command: `${local} → ${remote}${protocol === 'UDP' ? ' (UDP)' : ''}`,
      connections: traffic.records.filter(
        (record) =>
          record.direction === 'out' &&
          record.by.door === 'forward' &&
          record.state === 'open' &&
          `${record.host}:${record.port}` === remote,
      ).length,
      asked: '',
      error: '',
      local,
    }),
  );
  const wanted = filter.trim().toLowerCase();
  return [...shims, ...others, ...forwards].filter(({ what, pid, command, asked }) =>
    `${what} ${pid} ${command} ${asked}`.toLowerCase().includes(wanted),
  );
}

function programRow(
  id: string,
  what: string,
  pid: number,
  command: string,
  records: readonly TrafficRecord[],
): ProgramRow {
  const names = [...new Set(records.toReversed().map(({ host }) => host ?? ''))].slice(0, NAMES_MAX);
  const failed = records.findLast(({ state }) => state === 'failed');
  return {
    id,
    what,
    pid: String(pid),
    command,
    connections: records.filter(({ state }) => state === 'open').length,
    asked: names.join(', '),
    error: failed?.error ?? '',
  };
}

export function programList(
  rows: readonly ProgramRow[],
  { picked, top, width, height }: { picked: string | undefined; top: number; width: number; height: number },
): { readonly head: Line; readonly lines: readonly Line[] } {
  const grid = gridOf(COLUMNS, width - 3);
  if (rows.length === 0)
    return {
      head: line('   ', ...titles(grid)),
      lines: [
        [],
        line(span('   Nothing yet. A program that sees the cluster:', 'dim')),
        line('     kt run -- mvn spring-boot:run'),
        line(span('   A local port that leads into it: f', 'dim')),
      ],
    };
  return {
    head: line('   ', ...titles(grid)),
    lines: rows.slice(top, top + height).map((one) => {
      const here = one.id === picked;
      return line(
        pointer(here),
        ...row(grid, [
          span(one.what, here ? 'picked' : 'plain'),
          span(one.pid, 'dim'),
          span(cutMiddle(one.command, grid.widths[2] ?? 12)),
          span(one.connections === 0 ? '' : String(one.connections)),
          one.error === '' ? span(one.asked, 'dim') : span(`✕ ${one.error}`, 'bad'),
        ]),
      );
    }),
  };
}
