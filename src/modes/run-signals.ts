// Signals to kt while a program runs under it: which of them kt has to pass on. Called by run.ts; how a session ends is cli/end-signals.ts.

/** Those that a program may want to handle; SIGKILL and SIGSTOP can't be passed on. SIGBREAK: Ctrl-Break, on Windows only. */
export const PASSED: readonly NodeJS.Signals[] = [
  'SIGTERM',
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGBREAK',
  'SIGUSR2',
  'SIGWINCH',
  'SIGCONT',
];
/** What a terminal sends to all that is in its foreground. */
const OF_TERMINALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGWINCH', 'SIGCONT'];

/** The system gives it to the program too; a second one from kt would end it twice. `terminal`: kt's standard input is one. */
export function reachesProgram(name: NodeJS.Signals, terminal: boolean, platform = process.platform): boolean {
  // There signals are the events of a console, which all its programs get; one sent by kill() ends a program without a word.
  if (platform === 'win32') return true;
  return terminal && OF_TERMINALS.includes(name);
}
