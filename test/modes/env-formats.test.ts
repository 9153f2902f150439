// The forms of `kt env`: each is read back by what reads it (a real shell, Node's reader of .env files), else compared with what the
// reader's own tests say.
import { execFileSync } from 'node:child_process';
import { parseEnv } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dotenv, ENV_FORMATS, shell } from '../../src/modes/env-formats.ts';

const format = (name: keyof typeof ENV_FORMATS, set: Record<string, string>, unset: string[] = []): string =>
  ENV_FORMATS[name]({ set, unset }).text;

describe('read back', () => {
  const value = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0') && text.isWellFormed());

  test('by a shell: every value', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 20 }), (values) => {
        const set = Object.fromEntries(values.map((text, index) => [`V${index}`, text]));
        const script = `${shell({ set, unset: [] }).text}\n${process.execPath} -p 'JSON.stringify(process.env)'`;
        const back = JSON.parse(execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' })) as Record<
          string,
          string
        >;
        for (const [name, text] of Object.entries(set)) expect(back[name]).toBe(text);
      }),
      { numRuns: 10 },
    );
  });

  test("by Node's reader of .env files: every value but one with both kinds of quotes, or a carriage return", () => {
    fc.assert(
      fc.property(value, (text) => {
        fc.pre(!(text.includes('"') && /['\n]/.test(text)) && !text.includes('\r') && !text.includes('\\n'));
        expect(parseEnv(dotenv({ set: { A: text, B: 'b' }, unset: [] }).text)).toEqual({ A: text, B: 'b' });
      }),
    );
  });
});

test('PowerShell and cmd.exe', () => {
  expect(format('powershell', { A: `it's "x"` }, ['B'])).toBe(
    `$env:A = 'it''s "x"'\nRemove-Item Env:B -ErrorAction SilentlyContinue`,
  );
  expect(format('cmd', { A: 'a & b', C: 'c' }, ['B'])).toBe('set "A=a & b"\r\nset "C=c"\r\nset "B="');
});

describe('IDEs', () => {
  test('IntelliJ: pairs between semicolons, as its own tests read them', () => {
    expect(format('idea', { A: 'one', J: '-javaagent:"/a b/kt.jar"', P: 'C:\\x;C:\\y' })).toBe(
      'A=one;J=-javaagent:"/a b/kt.jar";P="C:\\x\\;C:\\y"',
    );
    expect(ENV_FORMATS.idea({ set: { A: 'a', KEY: 'one\ntwo' }, unset: [] })).toEqual({ text: 'A=a', left: ['KEY'] });
  });

  test('VS Code: the env of a configuration', () => {
    const text = format('vscode', { A: 'a "b"' }, ['B']);
    expect(text.startsWith('"env": {')).toBe(true);
    expect(JSON.parse(`{${text}}`)).toEqual({ env: { A: 'a "b"', B: null } });
  });
});
