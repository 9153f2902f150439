// A cursor in a list that changes under it: it stays on its item, not on its row. Pure. Used by every view with rows.

export interface ListState {
  /** The item's id; undefined: the first one. */
  readonly picked: string | undefined;
  readonly top: number;
}

export const LIST_START: ListState = { picked: undefined, top: 0 };

/** Where the cursor is: its item's row, or where that is gone, the row that took its place. */
export function pickedIndex(list: ListState, ids: readonly string[], before = 0): number {
  if (ids.length === 0) return -1;
  const at = list.picked === undefined ? 0 : ids.indexOf(list.picked);
  return at >= 0 ? at : Math.min(before, ids.length - 1);
}

/** First row to show so that `index` is seen, moved as little as possible. */
export function windowTop(top: number, index: number, height: number, count: number): number {
  const last = Math.max(0, count - height);
  if (index < top) return Math.max(0, Math.min(index, last));
  if (index >= top + height) return Math.max(0, Math.min(index - height + 1, last));
  return Math.max(0, Math.min(top, last));
}

const MOVES: Readonly<Record<string, (index: number, page: number, last: number) => number>> = {
  up: (index) => index - 1,
  k: (index) => index - 1,
  down: (index) => index + 1,
  j: (index) => index + 1,
  pgup: (index, page) => index - page,
  pgdn: (index, page) => index + page,
  home: () => 0,
  g: () => 0,
  end: (_, __, last) => last,
  G: (_, __, last) => last,
};

/** undefined: the key does not move. */
export function moved(list: ListState, key: string, ids: readonly string[], height: number): ListState | undefined {
  const move = Object.hasOwn(MOVES, key) ? MOVES[key] : undefined;
  if (!move) return undefined;
  const last = ids.length - 1;
  if (last < 0) return list;
  const index = Math.max(0, Math.min(last, move(pickedIndex(list, ids), Math.max(1, height - 1), last)));
  return { picked: ids[index], top: windowTop(list.top, index, height, ids.length) };
}
