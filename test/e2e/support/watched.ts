// A program that does not end by itself (a watcher, a server): started in a process group of its own, asked what it has said, waited for
// until it has said something, ended with all that it started. Used by test/e2e/shim-*-launches.test.ts; not the runner of kt (kt.ts).
import { spawn } from 'node:child_process';
import type { Outcome } from '../../support/run-program.ts';

export interface Watched {
  /** So far. */
  outcome(): Outcome;
  /** What the pattern's first group is in its output, as soon as it is there. Rejects when the program ends before, or after LIMIT_MS. */
  until(pattern: RegExp): Promise<string>;
  stop(): Promise<void>;
}

/** Longer than anything needs to start on a busy machine. */
const LIMIT_MS = 50_000;

export function startWatched(
  [file = '', ...args]: readonly string[],
  options: { readonly env: NodeJS.ProcessEnv; readonly cwd: string },
): Watched {
  const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let [stdout, stderr] = ['', ''];
  let look = (): void => undefined;
  child.stdout.on('data', (piece: Buffer) => {
    stdout += String(piece);
    look();
  });
  child.stderr.on('data', (piece: Buffer) => {
    stderr += String(piece);
    look();
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code) => resolve(`ended with ${code}`));
  });
  return {
    outcome: () => ({ code: child.exitCode, stdout, stderr }),
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const fail = (reason: string): void => {
          clearTimeout(timer);
          reject(new Error(`${file} ${args.join(' ')}: ${reason}: ${stdout}${stderr}`));
        };
        const timer = setTimeout(() => fail(`nothing of ${pattern} in time`), LIMIT_MS);
        look = () => {
          const found = pattern.exec(stdout) ?? pattern.exec(stderr);
          if (found === null) return;
          clearTimeout(timer);
          resolve(found[1] ?? found[0]);
        };
        look();
        void ended.then(fail);
      }),
    stop: async () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It ended by itself.
      }
      await ended;
    },
  };
}
