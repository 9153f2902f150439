// Text of others (paths, names, headers, messages) as it may stand on the screen: nothing in it moves the cursor, turns the direction of
// what follows, or is wider than it says. Pure. Every span goes through it (line.ts), and everything that is cut does before it is measured.

/** ASCII and what the screen draws with. */
const SAFE = /^[\x20-\x7e·–…•←-↓─-▟○●◐▸✓✕]*$/;
// Controls, direction marks, joiners, line separators and halves of characters.
const HARMFUL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu;
// Terminals disagree about their width.
const PICTURES = /\p{Emoji_Presentation}|\ufe0f/gu;

export function harmless(text: string): string {
  if (SAFE.test(text)) return text;
  return text.replace(HARMFUL, '').replace(PICTURES, (one) => (one === '\ufe0f' ? '' : '□□'));
}
