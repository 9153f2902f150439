// What Ink says of a key, as one name: a character, or `up`, `enter`, `ctrl-c`. Pure.
// A terminal may send several keys in one piece: a fast typist, a slow line, a paste.
import type { Key } from 'ink';
import { charactersOf } from './machine/text-field.ts';

/** Keys of one piece; what is longer was not meant for a screen. */
const PIECE_MAX = 500;

const CONTROLS: Readonly<Record<string, string>> = {
  '\r': 'enter',
  '\n': 'enter',
  '\t': 'tab',
  '\u007f': 'backspace',
  '\b': 'backspace',
  '\u001b': 'esc',
};

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
  // Terminals send 0x7f for the backspace key, which Ink names delete.
  if (key.backspace || key.delete) return ['backspace'];
  if (key.ctrl) return [`ctrl-${input}`];
  // An escape and a key that came in one piece; with alt no key means anything else here.
  return key.meta ? ['esc', ...pieces(input)] : pieces(input);
}

function pieces(input: string): string[] {
  return input
    .slice(0, PIECE_MAX)
    .split(/(\p{Cc})/u)
    .filter((piece) => piece !== '')
    .flatMap((piece) => {
      if (Object.hasOwn(CONTROLS, piece)) return [CONTROLS[piece] ?? ''];
      const code = piece.charCodeAt(0);
      if (piece.length === 1 && code < 32) return [`ctrl-${String.fromCharCode(code + 96)}`];
      return charactersOf(piece);
    });
}
