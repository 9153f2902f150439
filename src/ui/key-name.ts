// What Ink says of a key, as one name: a character, or `up`, `enter`, `ctrl-c`. Text that was pasted comes as one name. Pure.
import type { Key } from 'ink';

/** One key, or several where the terminal sent them in one piece (a fast typist, a slow line). */
export function keyName(input: string, key: Key): string[] {
  if (key.upArrow) return ['up'];
  if (key.downArrow) return ['down'];
  if (key.leftArrow) return ['left'];
  if (key.rightArrow) return ['right'];
  if (key.pageUp) return ['pgup'];
  if (key.pageDown) return ['pgdn'];
  if (key.home) return ['home'];
  if (key.end) return ['end'];
  if (key.return) return ['enter'];
  if (key.escape) return ['esc'];
  if (key.tab) return [key.shift ? 'shift-tab' : 'tab'];
  // Terminals send 0x7f for the backspace key, which Ink names delete; a real Delete has a sequence and no input either.
  if (key.backspace || key.delete) return ['backspace'];
  if (key.ctrl) return [`ctrl-${input}`];
  if (key.meta) return [];
  if (input === '') return [];
  // Several keys in one piece are single keys where they are short; more is a paste, and belongs into a field as one.
  if (input.length <= PIECE_MAX) return [...input].map((one) => (one === '\r' || one === '\n' ? 'enter' : one));
  return [input];
}

/** Characters that may be keys typed ahead. */
const PIECE_MAX = 8;
