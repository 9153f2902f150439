// The list of Services: what there is, who has whose traffic, and what answers now. Pure. Its keys are in services.keys.ts.

import type { ServiceLine, ServiceUser } from '../../session/overview.ts';
import type { HeldService, SessionState } from '../../session/state.ts';
import type { ScreenData } from '../data.ts';
import { memoLast } from '../memo.ts';
import { type Line, line, pointer, type Span, span } from '../text/line.ts';
import { type Column, gridOf, row, titles } from '../text/table.ts';
import { perSecond } from '../text/units.ts';

export interface ServiceRow {
  readonly line: ServiceLine;
  /** This session's hold of it. */
  readonly held: HeldService | undefined;
}

const COLUMNS: readonly Column[] = [
  { title: 'SERVICE', width: 12, share: 2 },
  { title: 'PORTS', width: 10, share: 1 },
  { title: 'READY', width: 5, align: 'right' },
  { title: 'HELD BY', width: 12, share: 3 },
  { title: 'REQ/S', width: 5, align: 'right', from: 70 },
  { title: 'STATE', width: 15 },
];

/** Mine first, then others' that are taken, then by name. Those whose name, port or holder has the filter in it. */
export const serviceRows = (
  { state, namespace }: Pick<ScreenData, 'state' | 'namespace'>,
  filter: string,
): ServiceRow[] => rowsOf(state.holds, namespace.lines, filter.trim().toLowerCase());

const rowsOf = memoLast(
  (holds: readonly HeldService[], lines: readonly ServiceLine[], wanted: string): ServiceRow[] => {
    const held = new Map(holds.map((hold) => [hold.service, hold]));
    const rank = ({ line: { state: taken }, held: mine }: ServiceRow): number =>
      mine ? 0 : taken === 'normal' ? 2 : 1;
    const rows = lines.map((one): ServiceRow => ({ line: one, held: held.get(one.name) }));
    // A hold that the list does not have: the Services may not be listed.
    for (const hold of holds)
      if (!lines.some(({ name }) => name === hold.service)) rows.push({ line: unlisted(hold), held: hold });
    const matching = wanted === '' ? rows : rows.filter(({ line: one }) => textOf(one).includes(wanted));
    // The lines are by name already, and sorting is stable.
    return matching.toSorted((one, other) => rank(one) - rank(other));
  },
);

const textOf = ({ name, ports, by, state }: ServiceLine): string =>
  `${name} ${state} ${ports.map(({ port, name: portName }) => `${port} ${portName ?? ''}`).join(' ')} ${by.map(({ user }) => user).join(' ')}`.toLowerCase();

const unlisted = ({ service, ports }: HeldService): ServiceLine => ({
  name: service,
  type: '?',
  ports: ports.map(({ port, local, protocol }) => ({ port, name: null, protocol, targetPort: local })),
  ready: null,
  originReady: null,
  state: 'exchanged',
  by: [],
  notes: [],
});

export interface ServiceList {
  readonly head: Line;
  readonly lines: readonly Line[];
}

/** The rows from `top`, as many as fit in `height`. */
export function serviceList(
  rows: readonly ServiceRow[],
  state: SessionState,
  { picked, top, width, height }: { picked: string | undefined; top: number; width: number; height: number },
): ServiceList {
  const grid = gridOf(COLUMNS, width - 3);
  return {
    head: line('   ', ...titles(grid)),
    lines: rows.slice(top, top + height).map(({ line: one, held }) => {
      const here = one.name === picked;
      const cells = [
        span(one.name, here ? 'picked' : 'plain'),
        span(portsText(one), 'dim'),
        readyCell(one),
        holderCell(one, held, state),
        span(perSecond(state.pulse?.inbound[one.name] ?? 0)),
        stateCell(one, held),
      ];
      return line(pointer(here), ...row(grid, cells));
    }),
  };
}

export function portsText({ ports }: ServiceLine): string {
  return ports
    .map(({ port, targetPort, name, protocol }) => {
      const target = targetPort === port ? '' : `→${targetPort}`;
      const label = ports.length > 1 && name !== null && target === '' ? `${name} ` : '';
      return `${label}${port}${target}${protocol === 'TCP' ? '' : `/${protocol.toLowerCase()}`}`;
    })
    .join(', ');
}

function readyCell({ ready, originReady, type }: ServiceLine): Span {
  if (type === 'ExternalName') return span('–', 'dim');
  const now = originReady ?? ready;
  if (now === null) return span('?', 'dim');
  return span(String(now), now === 0 ? 'warn' : 'plain');
}

export const isMe = (state: SessionState, { user, host }: Pick<ServiceUser, 'user' | 'host'>): boolean =>
  user === state.user && host === state.host;

function holderCell({ by }: ServiceLine, held: HeldService | undefined, state: SessionState): Line {
  const spans: Span[] = [];
  if (held) {
    spans.push(span('you', 'strong'));
    if (held.mark !== null) spans.push(span(` ${held.mark}`, 'accent'));
    spans.push(span(` → ${held.ports.map(({ local }) => `:${local}`).join(' ')}`, 'dim'));
  }
  for (const user of by) {
    // What this session holds is there already; another kt of mine is not.
    if (held && isMe(state, user)) continue;
    if (spans.length > 0) spans.push(span(', ', 'dim'));
    spans.push(span(isMe(state, user) ? 'you, elsewhere' : user.user));
    if (user.mark !== null) spans.push(span(` ${user.mark}`, 'accent'));
    if (user.live === false) spans.push(span(' away', 'warn'));
  }
  return spans.length === 0 ? [span('–', 'dim')] : spans;
}

function stateCell({ state: taken, by }: ServiceLine, held: HeldService | undefined): Line {
  if (held) {
    if (held.evictedBy !== null) return line(span('✕ ', 'bad'), span('taken from you', 'bad'));
    // The answer of the agent's own link counts; where the session's link is lost too, the hold's says so as well.
    if (held.link === 'down')
      return line(span('○ ', 'bad'), span(held.kind === 'preview' ? 'nobody answers' : 'original pods', 'bad'));
    return held.kind === 'mesh'
      ? line(span('◐ ', 'good'), span('marked to you', 'good'))
      : line(span('● ', 'good'), span('to you', 'good'));
  }
  if (taken === 'normal') return [];
  if (by.length > 0 && by.every(({ live }) => live === false))
    return line(span('○ ', 'warn'), span('original pods', 'warn'));
  if (taken === 'meshed') return line('◐ ', 'marked only');
  return line('● ', taken === 'previewing' ? 'preview' : `to ${by[0]?.user ?? 'somebody'}`);
}

/** How many are there, taken, and who is connected. */
export function servicesSummary({ namespace }: ScreenData, shown: number, filter: string): Line {
  if (!namespace.seen) return [span('looking at the namespace…', 'dim')];
  const taken = namespace.lines.filter(({ state }) => state !== 'normal').length;
  const people = namespace.connected;
  const parts = [
    filter === '' ? `${namespace.lines.length} Services` : `${shown} of ${namespace.lines.length} Services`,
    `${taken} taken`,
    ...(people === null ? [] : [`${people.length} connected`]),
  ];
  return line(
    span(parts.join(' · '), 'dim'),
    ...(namespace.trouble === null ? [] : [span(`  ${namespace.trouble}`, 'warn')]),
  );
}
