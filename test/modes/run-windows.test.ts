// What Windows does otherwise, as far as it can be looked at elsewhere: names of variables in any case, separators, paths with spaces and
// letters of other languages, batch files. What execa does with a batch file is its own tests' matter.
import { describe, expect, test } from 'vitest';
import { ENV_FORMATS } from '../../src/modes/env-formats.ts';
import { javaOption, nodeOption, splitOptions } from '../../src/modes/option-words.ts';
import { gradleHint } from '../../src/modes/run-env.ts';
import { wantedNames } from '../../src/modes/workload/deny-list.ts';

const HOME = String.raw`C:\Users\Zoë Müller\AppData\Local\kt\shims`;

describe('paths with spaces, backslashes and letters of other languages', () => {
  test('as an option of the JVM, which knows no escape', () => {
    const option = javaOption('-javaagent:', String.raw`${HOME}\kt-jvm.jar`);
    expect(option).toBe(String.raw`-javaagent:"C:\Users\Zoë Müller\AppData\Local\kt\shims\kt-jvm.jar"`);
    expect(splitOptions(`-Xmx1g ${option}`).map(({ text }) => text)).toEqual([
      '-Xmx1g',
      String.raw`-javaagent:C:\Users\Zoë Müller\AppData\Local\kt\shims\kt-jvm.jar`,
    ]);
  });

  test('as an option of Node, where a backslash escapes', () => {
    const option = nodeOption(String.raw`${HOME}\kt-node.cjs`);
    expect(splitOptions(`--require ${option}`, '\\').map(({ text }) => text)).toEqual([
      '--require',
      String.raw`${HOME}\kt-node.cjs`,
    ]);
  });

  test('for cmd.exe, PowerShell and IntelliJ, PYTHONPATH with its semicolon', () => {
    const set = { PYTHONPATH: `${HOME};C:\\mine` };
    expect(ENV_FORMATS.cmd({ set, unset: [] }).text).toBe(`set "PYTHONPATH=${HOME};C:\\mine"`);
    expect(ENV_FORMATS.powershell({ set, unset: [] }).text).toBe(`$env:PYTHONPATH = '${HOME};C:\\mine'`);
    expect(ENV_FORMATS.idea({ set, unset: [] }).text).toBe(`PYTHONPATH="${HOME}\\;C:\\mine"`);
  });
});

test("the laptop's own variables stay, however they are written", () => {
  const wanted = wantedNames([], []);
  for (const name of [
    'Path',
    'PATHEXT',
    'ComSpec',
    'SystemRoot',
    'windir',
    'ProgramFiles(x86)',
    'APPDATA',
    'UserProfile',
  ])
    expect(wanted(name), name).toBe(false);
});

test('the batch file of a Gradle wrapper is Gradle', () => {
  expect(gradleHint([String.raw`.\gradlew.bat`, 'bootRun'], {})).toBeDefined();
});
