// Removes the agent's pod where kt itself can't any more (kill -9, a crash): a shell that waits on a pipe and costs 1 MB.
// The pipe closes when kt dies, whatever way; then the shell becomes `kt clean --session ID`. On a normal end kt writes a line first.
// Where there is no POSIX shell (Windows) the agent's own 2 minutes have to do. Called by session.ts.
import { type ChildProcess, spawn } from 'node:child_process';

const SCRIPT = 'trap "" INT HUP TERM; if read -r _; then exit 0; fi; trap - INT HUP TERM; exec "$@" >/dev/null 2>&1';

export class Janitor {
  readonly #child: ChildProcess | undefined;

  /** `command` is what runs if kt dies: program, then arguments. Secrets must not be in it (process lists are public). */
  constructor(command: readonly string[], environment: NodeJS.ProcessEnv) {
    if (process.platform === 'win32') return;
    this.#child = spawn('/bin/sh', ['-c', SCRIPT, 'kt-janitor', ...command], {
      // Its own process group: Ctrl-C in the terminal must not end it before kt.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: environment,
    });
    this.#child.on('error', () => undefined);
    this.#child.stdin?.on('error', () => undefined);
    this.#child.unref();
  }

  /** There is nothing left to remove. */
  dismiss(): void {
    this.#child?.stdin?.end('done\n');
  }
}
