// What is around every view: the header, the tabs, what just happened, and what can be pressed. Pure. The view itself is body.model.ts.
import type { ScreenData } from '../data.ts';
import { VIEW_KEYS } from '../keys.ts';
import { commandOf, holdCommand, holdForm, wishOf } from '../machine/forms.ts';
import { isSmall } from '../machine/rows.ts';
import { type Ui, VIEWS, type ViewId } from '../machine/ui.ts';
import { pickedService } from '../machine/view-keys.ts';
import { ends, hints, type Line, line, lineWidth, type Span, span } from '../text/line.ts';
import { clock } from '../text/units.ts';
import { formKeys, written } from './form.model.ts';
import { headerLines, troubleOf, whoLine } from './header.model.ts';

const title = (view: ViewId): string => view.charAt(0).toUpperCase() + view.slice(1);

/** Milliseconds for which an error is what just happened. */
const ERROR_MS = 20_000;

/** Header, tabs and a rule whose heavy part lies under the open tab. */
export function topLines(ui: Ui, data: ScreenData): Line[] {
  const { width } = ui;
  if (isSmall(ui)) return smallTop(data, width);
  const tabs: Span[] = [];
  let [from, to] = [0, 0];
  VIEWS.forEach((view, at) => {
    const open = view === ui.view;
    if (open) from = lineWidth(tabs);
    tabs.push(span(` ${at + 1} `, open ? 'picked' : 'dim'), span(`${title(view)} `, open ? 'picked' : 'plain'));
    if (open) to = lineWidth(tabs);
    tabs.push(span(' '));
  });
  return [
    ...headerLines(data, width),
    ends(tabs, width < 110 ? line(...whoLine(data), ' ') : [], width),
    line(
      span('─'.repeat(from), 'dim'),
      span('━'.repeat(to - from), 'accent'),
      span('─'.repeat(Math.max(0, width - to)), 'dim'),
    ),
  ];
}

/** One fact a line. */
function smallTop(data: ScreenData, width: number): Line[] {
  const { state } = data;
  const trouble = troubleOf(data);
  const [hold] = state.holds;
  return [
    ends(
      line(span(state.namespace ?? 'opening…', 'strong')),
      trouble === undefined ? line(span('●', 'good')) : line(span('✕', 'bad')),
      width,
    ),
    trouble === undefined
      ? hold
        ? line(
            `${hold.service} → :${hold.ports[0]?.local ?? '?'}`,
            span(state.holds.length > 1 ? ` and ${state.holds.length - 1} more` : '', 'dim'),
          )
        : line(span('you hold no traffic', 'dim'))
      : line(span(trouble, 'bad')),
  ];
}

/** What just happened, what can be pressed, and the command that would do the same. */
export function bottomLines(ui: Ui, data: ScreenData): Line[] {
  const { width } = ui;
  if (isSmall(ui)) return [ui.input ? inputLine(ui) : hints(keysOf(ui), width)];
  return [
    line(span('─'.repeat(width), 'dim')),
    line(' ', ...newsLine(ui, data)),
    ui.input ? line(' ', ...inputLine(ui)) : keysLine(ui),
    line(' ', ...sameAs(ui, data)),
  ];
}

function newsLine(ui: Ui, { log, now }: ScreenData): Line {
  if (ui.flash)
    return line(
      span(ui.flash.style === 'good' ? '✓ ' : ui.flash.style === 'bad' ? '✕ ' : '', ui.flash.style),
      span(ui.flash.text, ui.flash.style),
    );
  // An error stays for a while, whatever comes after it.
  const error = log.findLast(({ urgent, time }) => urgent && now - Date.parse(time) < ERROR_MS);
  const latest = error ?? log.findLast(({ style }) => style !== 'dim') ?? log.at(-1);
  return latest ? line(span(`${clock(latest.time)}  `, 'dim'), span(latest.text, latest.style)) : [];
}

/** Of what is open; help and the way out are always at the right end. */
function keysLine(ui: Ui): Line {
  const always = ui.overlay
    ? []
    : line(
        ...hints(
          [
            ['?', 'help'],
            ['q', leaving(ui)],
          ],
          ui.width,
        ),
        ' ',
      );
  return ends(line(' ', ...hints(keysOf(ui), ui.width - 2 - lineWidth(always))), always, ui.width);
}

const leaving = ({ owner }: Ui): string => (owner ? 'quit' : 'leave');

function keysOf(ui: Ui): (readonly [string, string])[] {
  if (ui.overlay?.type === 'form') return formKeys(ui.overlay.form);
  if (ui.overlay?.type === 'quit')
    return [
      ['y', 'quit'],
      ['esc', 'stay'],
    ];
  if (ui.overlay) return [['esc', 'back']];
  const own = VIEW_KEYS[ui.view].map(({ key, short }) => [key, short] as const);
  return [...own, [':', 'command'], ['n', 'namespace']];
}

function inputLine({ input, view }: Ui): Line {
  if (!input) return [];
  const hint =
    input.kind === 'command'
      ? 'enter runs it, tab completes, esc leaves'
      : view === 'traffic'
        ? 'path: status:>=500 dir: via: method: or any text; esc shows all'
        : 'enter keeps it, esc shows all';
  return line(
    span(input.kind === 'command' ? ': ' : '/ ', 'key'),
    ...written(input.field, true),
    span(`   ${hint}`, 'dim'),
  );
}

function sameAs(ui: Ui, data: ScreenData): Line {
  const command = ui.overlay?.type === 'form' ? commandOf(ui.overlay.form) : (ui.sameAs ?? commandOfView(ui, data));
  return command === undefined ? [] : line(span('same as: ', 'dim'), span(command, 'dim'));
}

/** Of the first key of the view. */
function commandOfView(ui: Ui, data: ScreenData): string | undefined {
  switch (ui.view) {
    case 'services': {
      const row = pickedService(ui, data);
      if (!row) return 'kt birdseye';
      if (row.held) return `kt release ${row.line.name}`;
      return holdCommand(wishOf(holdForm('exchange', row, data.state)));
    }
    case 'programs':
      return 'kt run -- …';
    case 'log':
      return 'kt connect --output json';
    case 'doctor':
      return 'kt doctor';
    default:
      return undefined;
  }
}
