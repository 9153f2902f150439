// Ends a program that kt started, with what it started itself: asked where the system can ask, by force after a while. Called by run.ts.
// Signals that others send to kt are passed on as they are (run-signals.ts).
import { type ChildProcess, spawn } from 'node:child_process';

/** Milliseconds that a program has for its end: Spring's graceful shutdown waits 30 s for requests. */
export const PROGRAM_END_MS = 35_000;

export function endProgram(child: Pick<ChildProcess, 'pid' | 'kill'>): void {
  if (process.platform === 'win32') {
    // Nothing can be asked there, and a batch file's program is another process.
    if (child.pid !== undefined)
      spawn('taskkill', ['/T', '/F', '/PID', String(child.pid)], { stdio: 'ignore', windowsHide: true }).on(
        'error',
        () => child.kill(),
      );
    return;
  }
  child.kill('SIGTERM');
  setTimeout(() => child.kill('SIGKILL'), PROGRAM_END_MS).unref();
}
