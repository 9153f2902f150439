// Must: a signal reaches the program under `kt run` once, whoever sends it, on every system. The real ones are in test/e2e/run-programs.test.ts.
import { expect, test } from 'vitest';
import { PASSED, reachesProgram } from '../../src/modes/run-signals.ts';

const given = (terminal: boolean, platform: NodeJS.Platform): string[] =>
  PASSED.filter((name) => reachesProgram(name, terminal, platform));

test('in a terminal, what its keys and its size send reaches both', () => {
  expect(given(true, 'linux')).toEqual(['SIGINT', 'SIGQUIT', 'SIGWINCH', 'SIGCONT']);
});

test('without a terminal (an IDE, a script) nothing reaches the program but by kt', () => {
  expect(given(false, 'linux')).toEqual([]);
  expect(given(false, 'darwin')).toEqual([]);
});

test('on Windows all do, by the console; sent by kill() they would end the program at once', () => {
  expect(given(false, 'win32')).toEqual(PASSED);
});
