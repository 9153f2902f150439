// Which rows the shown view has, by their ids, and how many fit: what the cursor moves over. Pure.
import type { ScreenData } from '../data.ts';
import { logRows } from '../views/log.model.ts';
import { programRows } from '../views/programs.model.ts';
import { serviceRows } from '../views/services.model.ts';
import { matching } from '../views/traffic-filter.ts';
import type { Ui } from './ui.ts';

/** Rows of the screen above and below the view. */
export const CHROME = { top: 4, bottom: 4 };
/** Under this there is no room for frames and hints. */
export const SMALL = { width: 60, height: 15 };

export const isSmall = ({ width, height }: Pick<Ui, 'width' | 'height'>): boolean =>
  width < SMALL.width || height < SMALL.height;

/** Rows for the view itself. The last row of the terminal stays empty: a frame as tall as the terminal scrolls it. */
export const bodyHeight = (ui: Ui): number =>
  Math.max(1, ui.height - 1 - (isSmall(ui) ? 3 : CHROME.top + CHROME.bottom));

/** Without the head of its table and its summary. */
export const listHeight = (ui: Ui): number =>
  Math.max(1, bodyHeight(ui) - (isSmall(ui) ? 0 : ui.view === 'services' || ui.view === 'traffic' ? 2 : 1));

/** Wide enough for a list and a detail. */
export const isWide = ({ width }: Ui): boolean => width >= 120;

export function idsOf(ui: Ui, data: ScreenData): readonly string[] {
  const filter = ui.filters[ui.view];
  switch (ui.view) {
    case 'services':
      return serviceRows(data, filter).map(({ line }) => line.name);
    case 'traffic':
      return matching(data.traffic.records, filter).map(({ id }) => String(id));
    case 'programs':
      return programRows(data, filter).map(({ id }) => id);
    case 'log':
      return logRows(data, filter).map((_, at) => String(at));
    default:
      return [];
  }
}
