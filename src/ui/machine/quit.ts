// Leaving the screen: at once where nobody notices, else after a question that says who would. Pure. Called by update.ts and command.ts.
import type { ScreenData } from '../data.ts';
import type { Ui, Updated } from './ui.ts';

/** Whose traffic would be affected; empty: nobody's. */
export function affected({ state }: ScreenData): string[] {
  return [
    ...state.holds.map(({ service, kind }) =>
      kind === 'preview' ? `${service} is removed` : `${service} goes back to its original pods`,
    ),
    ...(state.shims.length > 0
      ? [`${state.shims.length} ${state.shims.length === 1 ? 'program loses' : 'programs lose'} the cluster`]
      : []),
    ...(state.forwards.length > 0
      ? [`${state.forwards.length} forwarded ${state.forwards.length === 1 ? 'port closes' : 'ports close'}`]
      : []),
  ];
}

export function askToQuit(ui: Ui, data: ScreenData): Updated {
  if (!ui.owner || data.state.phase === 'ended' || affected(data).length === 0) return leave(ui);
  return [{ ...ui, input: null, overlay: { type: 'quit' } }, []];
}

export const leave = (ui: Ui): Updated => [ui, [{ type: 'quit', stop: ui.owner }]];
