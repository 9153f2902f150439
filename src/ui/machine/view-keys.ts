// What the keys of each view do, and what their answers change. Pure. Called by update.ts before the keys that all views share.
import type { ScreenData } from '../data.ts';
import { type Line, line, span } from '../text/line.ts';
import { programRows } from '../views/programs.model.ts';
import { type ServiceRow, serviceRows } from '../views/services.model.ts';
import { matching } from '../views/traffic-filter.ts';
import { openForm } from './form-update.ts';
import { forwardForm, holdForm, previewForm, recoverForm, releaseForm, takeOverForm, unforwardForm } from './forms.ts';
import { pickedIndex } from './list.ts';
import { idsOf } from './rows.ts';
import type { Answer, Message, RecordView, Ui, Updated } from './ui.ts';

/** undefined: the key is not the view's own. */
export function keyInView(ui: Ui, key: string, data: ScreenData): Updated | undefined {
  switch (ui.view) {
    case 'services':
      return inServices(ui, key, data);
    case 'traffic':
      return inTraffic(ui, key, data);
    case 'programs':
      return inPrograms(ui, key, data);
    case 'doctor':
      return key === 'r' ? runDoctor(ui) : undefined;
    default:
      return undefined;
  }
}

/** The row under the cursor. */
export function pickedService(ui: Ui, data: ScreenData): ServiceRow | undefined {
  const rows = serviceRows(data, ui.filters.services);
  return rows[
    pickedIndex(
      ui.lists.services,
      rows.map(({ line: one }) => one.name),
    )
  ];
}

function inServices(ui: Ui, key: string, data: ScreenData): Updated | undefined {
  const row = pickedService(ui, data);
  if (key === 'p') return openForm(ui, previewForm(row, data.state));
  if (!row) return undefined;
  const { name, by, state: taken, notes } = row.line;
  switch (key) {
    case 'enter':
      return [{ ...ui, detail: !ui.detail }, []];
    case 'e':
      return openForm(ui, holdForm('exchange', row, data.state));
    case 'm':
      return openForm(ui, holdForm('mesh', row, data.state));
    case 'f':
      return openForm(ui, forwardForm(row));
    case 'o':
      return route(ui, name);
    case 't':
      if (row.held || by.length === 0)
        return say(ui, row.held ? `you hold ${name} already` : `nobody holds ${name}: e exchanges it`);
      return openForm(ui, takeOverForm(row, data.state));
    case 'r':
      if (row.held) return openForm(ui, releaseForm(name, row.held.kind === 'preview'));
      if (by.some(({ live }) => live === false) || (taken !== 'normal' && notes.length > 0))
        return openForm(ui, recoverForm(name));
      return say(
        ui,
        taken === 'normal' ? `nobody holds ${name}` : `${by[0]?.user ?? 'somebody'} holds ${name}: t takes it over`,
      );
    default:
      return undefined;
  }
}

const say = (ui: Ui, text: string): Updated => [{ ...ui, flash: { text, style: 'warn' } }, []];

export function route(ui: Ui, host: string): Updated {
  return [
    { ...ui, next: ui.next + 1, sameAs: `kt route ${host}` },
    [{ type: 'act', id: ui.next, action: { kind: 'route', host } }],
  ];
}

function pickedRecord(ui: Ui, data: ScreenData): number | undefined {
  if (ui.record) return ui.record.id;
  const records = matching(data.traffic.records, ui.filters.traffic);
  const list = ui.lists.traffic;
  // Nothing picked: the latest, which the list follows.
  if (list.picked === undefined) return records.at(-1)?.id;
  return records[
    pickedIndex(
      list,
      records.map(({ id }) => String(id)),
      records.length - 1,
    )
  ]?.id;
}

function inTraffic(ui: Ui, key: string, data: ScreenData): Updated | undefined {
  const picked = pickedRecord(ui, data);
  switch (key) {
    case ' ':
      return [{ ...ui, paused: !ui.paused }, [{ type: 'pause', paused: !ui.paused }]];
    case 'x':
      return [{ ...ui, record: null }, [{ type: 'clearTraffic' }]];
    case 's':
      return [
        ui,
        [{ type: 'saveHar', records: matching(data.traffic.records, ui.filters.traffic).map(({ id }) => id) }],
      ];
    default:
  }
  if (picked === undefined) return undefined;
  switch (key) {
    case 'enter':
      return ui.record ? [{ ...ui, record: null }, []] : openRecord(ui, picked, false);
    case 'c':
      return [ui, [{ type: 'copyCurl', record: picked }]];
    case 'v':
      return ui.record ? openRecord(ui, picked, !ui.record.reveal, ui.record) : undefined;
    case 'R': {
      const shown: RecordView = ui.record ?? recordView(picked, false);
      const asking: Ui = { ...ui, next: ui.next + 1, record: { ...shown, replayed: 'asking', problem: null } };
      return [
        asking,
        [{ type: 'replay', id: ui.next, record: picked }, ...(ui.record ? [] : recordEffect(ui.next + 1, picked))],
      ];
    }
    default:
      return inRecord(ui, key);
  }
}

const recordEffect = (id: number, record: number) => [{ type: 'record' as const, id, record, reveal: false }];

/** The detail scrolls while it covers the list. */
function inRecord(ui: Ui, key: string): Updated | undefined {
  const step = { down: 1, j: 1, up: -1, k: -1, pgdn: 10, pgup: -10 }[key];
  if (!ui.record || ui.width >= 120 || step === undefined) return undefined;
  return [{ ...ui, record: { ...ui.record, top: Math.max(0, ui.record.top + step) } }, []];
}

const recordView = (id: number, reveal: boolean): RecordView => ({
  id,
  detail: null,
  reveal,
  replayed: null,
  problem: null,
  top: 0,
});

function openRecord(ui: Ui, id: number, reveal: boolean, before?: RecordView): Updated {
  const record: RecordView = before ? { ...before, reveal } : recordView(id, reveal);
  return [{ ...ui, record, next: ui.next + 1 }, [{ type: 'record', id: ui.next, record: id, reveal }]];
}

function inPrograms(ui: Ui, key: string, data: ScreenData): Updated | undefined {
  const rows = programRows(data, ui.filters.programs);
  const row =
    rows[
      pickedIndex(
        ui.lists.programs,
        rows.map(({ id }) => id),
      )
    ];
  switch (key) {
    case 'e':
      return [
        { ...ui, next: ui.next + 1, sameAs: 'kt env' },
        [{ type: 'act', id: ui.next, action: { kind: 'environment' } }],
      ];
    case 'f':
      return openForm(ui, forwardForm(undefined));
    case 'r':
      return row?.local === undefined
        ? say(ui, 'only a forwarded port can be released here')
        : openForm(ui, unforwardForm(row.local));
    default:
      return undefined;
  }
}

export function runDoctor(ui: Ui): Updated {
  if (ui.doctor.asking) return [ui, []];
  return [
    { ...ui, next: ui.next + 1, sameAs: 'kt doctor', doctor: { ...ui.doctor, asking: true, problem: null } },
    [{ type: 'act', id: ui.next, action: { kind: 'doctor' } }],
  ];
}

/** Answers and refusals that are not a form's. */
export function answerView(
  ui: Ui,
  message: Extract<Message, { type: 'answer' | 'refused' }>,
  data: ScreenData,
): Updated | undefined {
  if (message.type === 'answer') return answered(ui, message.value);
  if (ui.doctor.asking && ui.view === 'doctor')
    return [{ ...ui, doctor: { ...ui.doctor, asking: false, problem: message.problem } }, []];
  if (ui.record && ui.view === 'traffic' && idsOf(ui, data).length >= 0)
    return [{ ...ui, record: { ...ui.record, replayed: null, problem: message.problem } }, []];
  return undefined;
}

function answered(ui: Ui, value: Answer): Updated | undefined {
  switch (value.kind) {
    case 'route': {
      const { host, via, rule, steps } = value.route;
      const lines = [
        line(span(host, 'strong'), `  ${via}, ${rule}`),
        [],
        ...steps.map((step) =>
          line(step.matched ? span('▸ ', 'good') : span('  '), span(step.rule, step.matched ? 'plain' : 'dim')),
        ),
      ];
      return [{ ...ui, overlay: { type: 'text', title: `Route of ${host}`, lines, top: 0 } }, []];
    }
    case 'environment':
      return [
        {
          ...ui,
          overlay: {
            type: 'text',
            title: 'Environment of programs in this session',
            lines: environment(value),
            top: 0,
          },
        },
        [],
      ];
    case 'doctor':
      return [{ ...ui, doctor: { lines: value.lines, asking: false, problem: null } }, []];
    case 'record':
      if (!ui.record) return [ui, []];
      return [{ ...ui, record: { ...ui.record, detail: value.detail } }, []];
    case 'replay':
      return [ui.record ? { ...ui, record: { ...ui.record, replayed: value.replayed } } : ui, []];
    case 'done':
      return [{ ...ui, flash: { text: value.text, style: 'good' } }, []];
    default:
      return undefined;
  }
}

function environment({
  set,
  unset,
}: {
  readonly set: Readonly<Record<string, string>>;
  readonly unset: readonly string[];
}): Line[] {
  return [
    ...Object.entries(set).map(([name, value]) => line(span('+ ', 'good'), span(`${name}=`, 'strong'), value)),
    ...unset.map((name) => line(span('- ', 'bad'), span(name, 'strong'))),
  ];
}
