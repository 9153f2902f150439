// How spans look on this terminal: colours by what it can show, shapes by what its character set has. Pure but for what is asked of the environment. Called by show.tsx; the pictures of the docs use it too.
import type { Line, Style } from './text/line.ts';
import { widthOf } from './text/width.ts';

export interface Theme {
  /** The line as text with SGR sequences. */
  readonly paint: (spans: Line) => string;
  readonly colours: 0 | 16 | 256;
  readonly ascii: boolean;
}

type Palette = Readonly<Record<Style, string>>;

// Readable on white and on black: used where nobody says which it is.
const BOTH = { accent: 32, good: 35, warn: 172, bad: 167, dim: 244 };
const DARK = { accent: 75, good: 78, warn: 179, bad: 203, dim: 245 };
const LIGHT = { accent: 25, good: 28, warn: 130, bad: 160, dim: 242 };

function palette(of: (name: keyof typeof BOTH) => string): Palette {
  return {
    plain: '',
    strong: '1',
    dim: of('dim'),
    accent: of('accent'),
    good: of('good'),
    warn: of('warn'),
    bad: `1;${of('bad')}`,
    picked: `1;${of('accent')}`,
    key: of('accent'),
    cursor: '7',
  };
}

const SIXTEEN = { accent: '36', good: '32', warn: '33', bad: '31', dim: '90' };
const SIXTEEN_LIGHT = { accent: '34', good: '32', warn: '35', bad: '31', dim: '90' };
/** Shapes and words say it all; these only help the eye. */
const MONO: Palette = {
  plain: '',
  strong: '1',
  dim: '',
  accent: '1',
  good: '',
  warn: '1',
  bad: '1',
  picked: '1',
  key: '1',
  cursor: '7',
};

/** One column each, as what they stand for. */
const ASCII: Readonly<Record<string, string>> = {
  '━': '=',
  '─': '-',
  '│': '|',
  '╌': '.',
  '●': '*',
  '◐': '+',
  '○': 'o',
  '✕': 'x',
  '✓': 'v',
  '▸': '>',
  '…': '~',
  '→': '>',
  '←': '<',
  '↓': 'v',
  '↑': '^',
  '·': '-',
  '•': '*',
  '▁': '_',
  '▂': '.',
  '▃': ':',
  '▄': '-',
  '▅': '=',
  '▆': '+',
  '▇': '*',
  '█': '#',
  '–': '-',
  '’': "'",
};

export interface ThemeSettings {
  readonly colours: 0 | 16 | 256;
  readonly background: 'dark' | 'light' | 'unknown';
  readonly ascii: boolean;
}

export function themeOf({ colours, background, ascii }: ThemeSettings): Theme {
  const styles =
    colours === 0
      ? MONO
      : colours === 16
        ? palette((name) => (background === 'light' ? SIXTEEN_LIGHT : SIXTEEN)[name])
        : palette((name) => `38;5;${(background === 'light' ? LIGHT : background === 'dark' ? DARK : BOTH)[name]}`);
  const paint = (spans: Line): string =>
    spans
      .map(({ text, style }) => {
        const clean = ascii ? plainAscii(text) : text;
        const sgr = styles[style];
        return sgr === '' || clean === '' ? clean : `\u001b[${sgr}m${clean}\u001b[0m`;
      })
      .join('');
  return { paint, colours, ascii };
}

const SAFE = /^[\x20-\x7e]*$/;

function plainAscii(text: string): string {
  if (SAFE.test(text)) return text;
  return Array.from(text, (one) => ASCII[one] ?? (SAFE.test(one) ? one : '?'.repeat(widthOf(one)))).join('');
}

/** What this terminal can do. `depth` is what Node says of standard output: bits of colour. */
export function themeSettings(env: NodeJS.ProcessEnv, depth: number, platform: NodeJS.Platform): ThemeSettings {
  const colours = env['NO_COLOR'] || depth <= 1 ? 0 : depth < 8 ? 16 : 256;
  return { colours, background: backgroundOf(env), ascii: !unicode(env, platform) };
}

function backgroundOf(env: NodeJS.ProcessEnv): ThemeSettings['background'] {
  const wish = env['KT_THEME'];
  if (wish === 'light' || wish === 'dark') return wish;
  // `foreground;background` in the 16 colours, set by rxvt, Konsole and others.
  const background = env['COLORFGBG']?.split(';').at(-1);
  if (background === undefined || !/^\d+$/.test(background)) return 'unknown';
  return Number(background) === 7 || Number(background) > 8 ? 'light' : 'dark';
}

function unicode(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): boolean {
  if (env['KT_ASCII']) return false;
  if (platform === 'win32') return Boolean(env['WT_SESSION'] ?? env['TERM_PROGRAM']);
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  // A Mac's terminals are UTF-8 whatever they say.
  return /utf-?8/i.test(locale) || (platform === 'darwin' && locale === '');
}
