// The screen's one machine: a message comes in, the next state and what to do come out. Pure: no terminal, no session, no clock.
// Keys of a view's own are in view-keys.ts, of forms in form-update.ts, commands in command.ts.
import type { ScreenData } from '../data.ts';
import { runCommandLine } from './command.ts';
import { answerForm, keyInForm, openPlaces, refuseForm, settleForm } from './form-update.ts';
import { LIST_START, moved } from './list.ts';
import { askToQuit, leave } from './quit.ts';
import { idsOf, listHeight } from './rows.ts';
import { textField, typed } from './text-field.ts';
import { type Message, type Ui, type Updated, VIEWS, type ViewId } from './ui.ts';
import { answerView, keyInView } from './view-keys.ts';

export function update(ui: Ui, message: Message, data: ScreenData): Updated {
  switch (message.type) {
    case 'resize':
      return [{ ...ui, width: message.width, height: message.height }, []];
    case 'told':
      return [{ ...ui, flash: { text: message.text, style: message.style } }, []];
    case 'settled':
      return settleForm(ui, message.id);
    case 'answer':
      return answerForm(ui, message, data) ?? answerView(ui, message, data) ?? [ui, []];
    case 'refused':
      return refuseForm(ui, message) ?? answerView(ui, message, data) ?? refused(ui, message.problem.message);
    case 'key':
      return key({ ...ui, flash: null }, message.key, data);
    default:
      return [ui, []];
  }
}

const refused = (ui: Ui, text: string): Updated => [{ ...ui, flash: { text, style: 'bad' } }, []];

function key(ui: Ui, pressed: string, data: ScreenData): Updated {
  if (pressed === 'ctrl-c') return ui.overlay?.type === 'quit' ? leave(ui) : askToQuit(ui, data);
  if (ui.overlay) return keyInOverlay(ui, pressed, data);
  if (ui.input) return keyInInput(ui, pressed, data);
  const inView = keyInView(ui, pressed, data);
  if (inView) return inView;
  const view = VIEWS[Number(pressed) - 1];
  if (view) return [show(ui, view), []];
  const ids = idsOf(ui, data);
  const list = moved(startOf(ui, ids), pressed, ids, listHeight(ui));
  // The end of the log and of the traffic is where the latest comes: back to following it.
  if (list) return [withList(ui, ui.view, pressed === 'G' || pressed === 'end' ? followed(ui.view, list) : list), []];
  switch (pressed) {
    case 'tab':
    case 'right':
      return [show(ui, turned(ui.view, 1)), []];
    case 'shift-tab':
    case 'left':
      return [show(ui, turned(ui.view, -1)), []];
    case '?':
      return [{ ...ui, overlay: { type: 'help' } }, []];
    case '/':
      return [{ ...ui, input: { kind: 'filter', field: textField(ui.filters[ui.view]) } }, []];
    case ':':
      return [{ ...ui, input: { kind: 'command', field: textField('') } }, []];
    case 'n':
      return openPlaces(ui);
    case 'esc':
      if (ui.detail || ui.record) return [{ ...ui, detail: false, record: null }, []];
      return [withFilter(ui, ''), []];
    case 'q':
      return askToQuit(ui, data);
    default:
      return [ui, []];
  }
}

/** Where the latest is followed, that is where the cursor is. */
const startOf = ({ view, lists }: Ui, ids: readonly string[]): Ui['lists'][ViewId] =>
  lists[view].picked === undefined && (view === 'log' || view === 'traffic')
    ? { picked: ids.at(-1), top: ids.length }
    : lists[view];

const followed = (view: ViewId, list: Ui['lists'][ViewId]): Ui['lists'][ViewId] =>
  view === 'log' || view === 'traffic' ? LIST_START : list;

const turned = (view: ViewId, by: number): ViewId =>
  VIEWS[(VIEWS.indexOf(view) + by + VIEWS.length) % VIEWS.length] ?? 'services';

const show = (ui: Ui, view: ViewId): Ui => ({ ...ui, view, detail: false, record: null });

const withList = (ui: Ui, view: ViewId, list: Ui['lists'][ViewId]): Ui => ({
  ...ui,
  lists: { ...ui.lists, [view]: list },
});

const withFilter = (ui: Ui, filter: string): Ui => ({ ...ui, filters: { ...ui.filters, [ui.view]: filter } });

function keyInInput(ui: Ui, pressed: string, data: ScreenData): Updated {
  const { input } = ui;
  if (!input) return [ui, []];
  const { value } = input.field;
  if (pressed === 'esc')
    return [input.kind === 'filter' ? { ...withFilter(ui, ''), input: null } : { ...ui, input: null }, []];
  if (pressed === 'enter') {
    const closed: Ui = { ...ui, input: null };
    return input.kind === 'filter' ? [closed, []] : runCommandLine(closed, value, data);
  }
  if (input.kind === 'filter' && (pressed === 'up' || pressed === 'down')) {
    const list = moved(ui.lists[ui.view], pressed, idsOf(ui, data), listHeight(ui));
    return [list ? withList(ui, ui.view, list) : ui, []];
  }
  if (input.kind === 'command' && pressed === 'tab') {
    const whole = completed(value, data);
    return [{ ...ui, input: { ...input, field: textField(whole) } }, []];
  }
  if (pressed === 'backspace' && value === '') return [{ ...ui, input: null }, []];
  const field = typed(input.field, pressed);
  const changed: Ui = { ...ui, input: { ...input, field } };
  return [input.kind === 'filter' ? withFilter(changed, field.value) : changed, []];
}

/** The last word as the name of a Service. */
function completed(value: string, { namespace }: ScreenData): string {
  const at = value.lastIndexOf(' ') + 1;
  const begun = value.slice(at);
  if (at === 0 || begun === '') return value;
  const names = namespace.lines.map(({ name }) => name).filter((name) => name.startsWith(begun));
  const [first] = names;
  if (first === undefined) return value;
  let common = first;
  for (const name of names) while (!name.startsWith(common)) common = common.slice(0, -1);
  return value.slice(0, at) + common + (names.length === 1 ? ' ' : '');
}

function keyInOverlay(ui: Ui, pressed: string, data: ScreenData): Updated {
  const { overlay } = ui;
  if (overlay?.type === 'form') return keyInForm(ui, overlay.form, pressed, data);
  const closed: Ui = { ...ui, overlay: null };
  if (overlay?.type === 'quit') return pressed === 'y' || pressed === 'enter' ? leave(ui) : [closed, []];
  if (overlay?.type === 'text') {
    const step = { down: 1, j: 1, up: -1, k: -1, pgdn: 10, pgup: -10, home: -1e6, end: 1e6 }[pressed];
    if (step !== undefined) {
      const last = Math.max(0, overlay.lines.length - listHeight(ui));
      return [{ ...ui, overlay: { ...overlay, top: Math.max(0, Math.min(last, overlay.top + step)) } }, []];
    }
  }
  return [closed, []];
}
