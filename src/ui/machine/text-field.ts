// One line of text that is being written: what keys do to it. Pure. Used by forms, the filter and the command line.

export interface TextField {
  readonly value: string;
  /** In characters as people count them. */
  readonly cursor: number;
}

/** Characters of one field; nothing that is written here is longer. */
const VALUE_MAX = 500;
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

export const charactersOf = (text: string): string[] => [...graphemes.segment(text)].map(({ segment }) => segment);

export const textField = (value: string): TextField => ({ value, cursor: charactersOf(value).length });

/** The field after the key; the same object where the key means nothing to it. */
export function typed(field: TextField, key: string): TextField {
  const characters = charactersOf(field.value);
  const { cursor } = field;
  const remove = (from: number, count: number): TextField => ({
    value: characters.toSpliced(from, count).join(''),
    cursor: Math.min(from, characters.length - count),
  });
  switch (key) {
    case 'left':
      return { ...field, cursor: Math.max(0, cursor - 1) };
    case 'right':
      return { ...field, cursor: Math.min(characters.length, cursor + 1) };
    case 'home':
    case 'ctrl-a':
      return { ...field, cursor: 0 };
    case 'end':
    case 'ctrl-e':
      return { ...field, cursor: characters.length };
    case 'backspace':
      return cursor === 0 ? field : remove(cursor - 1, 1);
    case 'delete':
      return cursor >= characters.length ? field : remove(cursor, 1);
    case 'ctrl-u':
      return remove(0, cursor);
    case 'ctrl-k':
      return remove(cursor, characters.length - cursor);
    case 'ctrl-w': {
      const before = characters.slice(0, cursor).join('').trimEnd();
      const start = charactersOf(before.slice(0, before.lastIndexOf(' ') + 1)).length;
      return remove(start, cursor - start);
    }
    default: {
      const text = printable(key);
      if (text === '' || field.value.length + text.length > VALUE_MAX) return field;
      const added = charactersOf(text);
      return { value: characters.toSpliced(cursor, 0, ...added).join(''), cursor: cursor + added.length };
    }
  }
}

/** Named keys (key-name.ts) are longer than a character. */
function printable(key: string): string {
  if (NAMED.has(key) || /^(ctrl|alt)-/.test(key)) return '';
  return key.replaceAll(/\p{Cc}+/gu, ' ');
}

const NAMED = new Set(['up', 'down', 'enter', 'esc', 'tab', 'shift-tab', 'pgup', 'pgdn', '']);
