// The open view, or what lies over it, as lines of the body. Pure. A throw in here is shown as an error panel by the screen; the session
// does not notice.
import type { ScreenData } from '../data.ts';
import { pickedIndex, windowTop } from '../machine/list.ts';
import { affected } from '../machine/quit.ts';
import { bodyHeight, isSmall, isWide, listHeight } from '../machine/rows.ts';
import type { Ui } from '../machine/ui.ts';
import { beside, cutLine, EMPTY, ends, type Line, line, span } from '../text/line.ts';
import { doctorLines } from './doctor.model.ts';
import { formLines } from './form.model.ts';
import { helpLines } from './help.model.ts';
import { logLines, logRows } from './log.model.ts';
import { programList, programRows } from './programs.model.ts';
import { recordLines } from './record.model.ts';
import { serviceDetail } from './service-detail.model.ts';
import { serviceList, serviceRows, servicesSummary } from './services.model.ts';
import { trafficList, trafficSummary } from './traffic.model.ts';
import { matching } from './traffic-filter.ts';

/** Exactly as many lines as the body has. */
export function bodyLines(ui: Ui, data: ScreenData): Line[] {
  const height = bodyHeight(ui);
  const lines = (ui.overlay ? overlayLines(ui, data, height) : viewLines(ui, data, height)).slice(0, height);
  return Array.from({ length: height }, (_, at) => cutLine(lines[at] ?? EMPTY, ui.width));
}

function overlayLines(ui: Ui, data: ScreenData, height: number): Line[] {
  const { overlay, width } = ui;
  switch (overlay?.type) {
    case 'help':
      return helpLines(ui.view, width, height);
    case 'form':
      return formLines(overlay.form, data, width, height);
    case 'quit':
      return [
        EMPTY,
        line('   ', span('Quit?', 'strong')),
        EMPTY,
        ...affected(data).map((text) => line('   ', span('● ', 'warn'), text)),
      ];
    case 'text':
      return [
        line('   ', span(overlay.title, 'strong')),
        EMPTY,
        ...overlay.lines.slice(overlay.top, overlay.top + height - 2).map((one) => line('   ', ...one)),
      ];
    default:
      return [];
  }
}

function viewLines(ui: Ui, data: ScreenData, height: number): Line[] {
  switch (ui.view) {
    case 'services':
      return services(ui, data, height);
    case 'traffic':
      return traffic(ui, data, height);
    case 'programs': {
      const rows = programRows(data, ui.filters.programs);
      const index = pickedIndex(
        ui.lists.programs,
        rows.map(({ id }) => id),
      );
      const top = windowTop(ui.lists.programs.top, index, listHeight(ui), rows.length);
      const { head, lines } = programList(rows, {
        picked: rows[index]?.id,
        top,
        width: ui.width,
        height: listHeight(ui),
      });
      return [head, ...lines];
    }
    case 'log':
      return log(ui, data);
    case 'doctor':
      return doctorLines(ui.doctor, ui.width);
    default:
      return [];
  }
}

function services(ui: Ui, data: ScreenData, height: number): Line[] {
  const filter = ui.filters.services;
  const rows = serviceRows(data, filter);
  const index = pickedIndex(
    ui.lists.services,
    rows.map(({ line: one }) => one.name),
  );
  const picked = rows[index];
  const beside_ = ui.detail && isWide(ui);
  if (ui.detail && !beside_ && picked)
    return serviceDetail(picked, data, ui.width - 6).map((one) => line('   ', ...one));
  const width = beside_ ? Math.floor(ui.width * 0.55) : ui.width;
  const rowsHeight = listHeight(ui);
  const top = windowTop(ui.lists.services.top, index, rowsHeight, rows.length);
  const list = serviceList(rows, data.state, { picked: picked?.line.name, top, width, height: rowsHeight });
  const filtered = filter === '' ? [] : [span(`/${filter} `, 'accent')];
  const summary = ends(line('   ', ...servicesSummary(data, rows.length, filter)), filtered, width);
  if (isSmall(ui)) return smallServices(rows, picked?.line.name, top, rowsHeight);
  const empty =
    rows.length === 0 && data.namespace.seen
      ? [EMPTY, line(span(filter === '' ? '   no Services here' : `   nothing has '${filter}' in it`, 'dim'))]
      : [];
  const left = [list.head, ...list.lines, ...empty];
  const padded = [...left, ...Array.from({ length: Math.max(0, height - 1 - left.length) }, () => EMPTY), summary];
  if (!beside_ || !picked) return padded;
  return beside(padded, width, serviceDetail(picked, data, ui.width - width - 4), height);
}

function smallServices(
  rows: ReturnType<typeof serviceRows>,
  picked: string | undefined,
  top: number,
  height: number,
): Line[] {
  return rows
    .slice(top, top + height)
    .map(({ line: one, held }) =>
      line(
        one.name === picked ? span('▸ ', 'picked') : span('  '),
        span(one.name, one.name === picked ? 'picked' : 'plain'),
        held
          ? span(held.link === 'up' ? ' ● to you' : ' ○ original pods', held.link === 'up' ? 'good' : 'bad')
          : span(one.by[0] ? ` ${one.by[0].user}` : '', 'dim'),
      ),
    );
}

function traffic(ui: Ui, data: ScreenData, height: number): Line[] {
  const filter = ui.filters.traffic;
  const records = matching(data.traffic.records, filter);
  const list = ui.lists.traffic;
  const rowsHeight = listHeight(ui);
  // Nothing picked: the latest is followed.
  const index = ui.record
    ? records.findIndex(({ id }) => id === ui.record?.id)
    : list.picked === undefined
      ? records.length - 1
      : pickedIndex(
          list,
          records.map(({ id }) => String(id)),
          records.length - 1,
        );
  const open = ui.record ? data.traffic.records.find(({ id }) => id === ui.record?.id) : undefined;
  const beside_ = open !== undefined && isWide(ui);
  if (ui.record && open && !beside_)
    return recordLines(open, ui.record, ui.width - 6)
      .slice(ui.record.top)
      .map((one) => line('   ', ...one));
  const width = beside_ ? Math.floor(ui.width * 0.5) : ui.width;
  const top = windowTop(
    list.picked === undefined ? records.length : list.top,
    Math.max(0, index),
    rowsHeight,
    records.length,
  );
  const { head, lines } = trafficList(records, { picked: records[index]?.id, top, width, height: rowsHeight });
  const hint =
    records.length > 0
      ? []
      : [
          EMPTY,
          line(
            span(
              filter === '' ? '   Nothing came or went since this screen is open.' : `   nothing matches '${filter}'`,
              'dim',
            ),
          ),
        ];
  const filtered = filter === '' ? [] : [span(`/${filter} `, 'accent')];
  const summary = ends(
    line('   ', ...trafficSummary(data.traffic, records.length, filter, ui.paused)),
    filtered,
    width,
  );
  const left = [head, ...lines, ...hint];
  const padded = [...left, ...Array.from({ length: Math.max(0, height - 1 - left.length) }, () => EMPTY), summary];
  if (!beside_ || !ui.record) return isSmall(ui) ? [...lines] : padded;
  return beside(padded, width, recordLines(open, ui.record, ui.width - width - 4), height);
}

function log(ui: Ui, data: ScreenData): Line[] {
  const rows = logRows(data, ui.filters.log);
  const list = ui.lists.log;
  const height = bodyHeight(ui);
  const index = list.picked === undefined ? rows.length - 1 : Math.min(rows.length - 1, Number(list.picked));
  const top = windowTop(list.picked === undefined ? rows.length : list.top, Math.max(0, index), height, rows.length);
  return logLines(rows, { picked: list.picked === undefined ? undefined : index, top, height });
}
