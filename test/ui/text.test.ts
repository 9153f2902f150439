// Widths, cuts, columns, numbers and colours of the screen: what every view is made of.
import fc from 'fast-check';
import stringWidth from 'string-width';
import { describe, expect, test } from 'vitest';
import { harmless } from '../../src/ui/text/harmless.ts';
import { cutLine, ends, fitLine, hints, line, lineText, lineWidth, span } from '../../src/ui/text/line.ts';
import { gridOf, row, titles } from '../../src/ui/text/table.ts';
import { bytes, ms, perSecond, shortBytes, sparkline } from '../../src/ui/text/units.ts';
import { cut, cutFront, cutMiddle, fit, widthOf, wrap } from '../../src/ui/text/width.ts';
import { themeOf, themeSettings } from '../../src/ui/theme.ts';

const words = fc.string({ unit: 'grapheme', maxLength: 60 }).map(harmless);

describe('width', () => {
  test('CJK takes two columns, marks none', () => {
    expect(widthOf('訂單')).toBe(4);
    for (const one of '·–…•←↑→↓─━│┃╌▁▂▃▄▅▆▇█▟○●◐▸✓✕') expect(widthOf(one), one).toBe(stringWidth(one));
    expect(widthOf('é')).toBe(1);
    expect(fit('訂單服務', 7)).toBe('訂單服…');
    expect(fit('訂單服務', 6)).toBe('訂單… ');
    expect(fit('12', 5, 'right')).toBe('   12');
    expect(cutFront('/very/long/path', 8)).toBe('…ng/path');
    expect(cutMiddle('java -jar app.jar --port 1', 11)).toBe('java …ort 1');
  });

  test('what is cut fits, and what is fitted is exactly as wide', () => {
    fc.assert(
      fc.property(words, fc.integer({ min: 0, max: 40 }), (text, width) => {
        for (const short of [cut(text, width), cutFront(text, width), cutMiddle(text, width)])
          expect(widthOf(short)).toBeLessThanOrEqual(width);
        expect(widthOf(fit(text, width))).toBe(width);
        if (width >= 2) for (const one of wrap(text, width)) expect(widthOf(one)).toBeLessThanOrEqual(width);
      }),
    );
  });
});

describe('lines', () => {
  test('a line of spans is cut and filled by columns, and both ends share what there is', () => {
    fc.assert(
      fc.property(fc.array(words, { maxLength: 5 }), words, fc.integer({ min: 1, max: 80 }), (parts, right, width) => {
        const spans = line(...parts.map((text) => span(text, 'dim')));
        expect(lineWidth(cutLine(spans, width))).toBeLessThanOrEqual(width);
        expect(lineWidth(fitLine(spans, width))).toBe(width);
        expect(lineWidth(ends(spans, [span(right)], width))).toBe(width);
      }),
    );
  });

  test('hints that do not fit are left out whole', () => {
    const pairs = [
      ['e', 'exchange'],
      ['m', 'mesh'],
    ] as const;
    expect(lineText(hints(pairs, 20))).toBe('e exchange  m mesh');
    expect(lineText(hints(pairs, 17))).toBe('e exchange');
  });

  test('columns keep their shares whatever is in them', () => {
    const columns = [
      { title: 'A', width: 4, share: 1 },
      { title: 'B', width: 3, align: 'right' as const },
      { title: 'C', width: 5, share: 2, from: 30 },
    ];
    const grid = gridOf(columns, 40);
    expect(lineWidth(titles(grid))).toBe(40);
    expect(lineText(row(grid, [span('訂單'), span('12'), [span('x'), span('y')]]))).toMatch(/^訂單 +12 {2}xy +$/);
    expect(lineWidth(row(gridOf(columns, 20), [span('a'), span('b'), span('c')]))).toBe(20);
    expect(lineText(titles(gridOf(columns, 20)))).not.toContain('C');
  });
});

test('numbers are short', () => {
  expect([0.2, 3.4, 999.4, 1_200, 90_000].map(ms)).toEqual(['<1 ms', '3 ms', '999 ms', '1.2 s', '2 min']);
  expect([0, 999, 1_000, 84_000, 1_234_567, 2.5e9].map(bytes)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '84 kB',
    '1.2 MB',
    '2.5 GB',
  ]);
  expect(shortBytes(1_234)).toBe('1.2k');
  expect([0, 0.3, 12.4, 1_500].map(perSecond)).toEqual(['', '<1', '12', '1.5k']);
  expect(sparkline([0, 1, 4, 8], 6)).toBe('▁▁▁▁▄█');
});

describe('the theme', () => {
  const text = line(span('ok', 'good'), span(' then ', 'dim'), span('●', 'bad'));

  test('colours by what the terminal has; none says it with the same words and shapes', () => {
    const paint = (env: NodeJS.ProcessEnv, depth: number): string =>
      themeOf(themeSettings({ LANG: 'C.UTF-8', ...env }, depth, 'linux')).paint(text);
    expect(paint({}, 8)).toContain('\u001b[38;5;35mok');
    expect(paint({ COLORFGBG: '0;15' }, 8)).toContain('\u001b[38;5;28mok');
    expect(paint({ KT_THEME: 'dark' }, 24)).toContain('\u001b[38;5;78mok');
    expect(paint({}, 4)).toContain('\u001b[32mok');
    const bold = (text: string): string => `\u001b[1m${text}\u001b[0m`;
    expect(paint({ NO_COLOR: '1' }, 24)).toBe(`ok then ${bold('●')}`);
    expect(paint({ LANG: 'C', NO_COLOR: '1' }, 1)).toBe(`ok then ${bold('*')}`);
  });

  test('Windows Terminal and Macs draw lines; others only where the locale says so', () => {
    const ascii = (env: NodeJS.ProcessEnv, platform: NodeJS.Platform): boolean => themeSettings(env, 8, platform).ascii;
    expect(ascii({ WT_SESSION: '1' }, 'win32')).toBe(false);
    expect(ascii({}, 'win32')).toBe(true);
    expect(ascii({}, 'darwin')).toBe(false);
    expect(ascii({ LANG: 'de_DE.UTF-8' }, 'linux')).toBe(false);
    expect(ascii({ LC_ALL: 'C', LANG: 'de_DE.UTF-8' }, 'linux')).toBe(true);
    expect(ascii({ LANG: 'de_DE.UTF-8', KT_ASCII: '1' }, 'linux')).toBe(true);
  });

  test('what others wrote can not move the cursor, change direction or be wider than it says', () => {
    const { paint } = themeOf({ colours: 0, background: 'unknown', ascii: false });
    expect(paint([span('a\u001b[2Jb\r\nc\u202ed\u200be')])).toBe('a[2Jbcde');
    expect(harmless('🚀')).toBe('□□');
    const ascii = themeOf({ colours: 0, background: 'unknown', ascii: true });
    fc.assert(
      fc.property(words, (one) => {
        const painted = ascii.paint([span(one)]);
        expect(painted).toMatch(/^[\x20-\x7e]*$/);
        expect(painted.length).toBe(widthOf(one));
      }),
    );
  });
});
