// The programs of a session file while they run: each a `kt run` of its own that joins the session, its lines with its name in front, as docker compose
// shows them. What a program sees is modes/run.ts. Called by commands/up.ts.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { PROGRAM_END_MS } from '../../modes/end-program.ts';
import type { UpProgram } from './file.ts';
import { prefixLines } from './prefixed-lines.ts';
import { tether } from './tether.ts';

/** Milliseconds between the request to end and the end by force: what a program has, and kt run's own end. */
const END_MS = PROGRAM_END_MS + 5_000;

export interface ProgramPlace {
  /** Where folders of the file are relative to. */
  readonly folder: string;
  readonly namespace: string;
  readonly context: string;
  /** Flags of this kt that its programs need too (--kubeconfig). */
  readonly flags: readonly string[];
  /** Below what the file sets for each. */
  readonly env: NodeJS.ProcessEnv;
  /** Where their lines go. */
  readonly sink: Writable;
}

export class Programs {
  readonly #children = new Map<string, ChildProcess>();
  readonly #ended: Promise<number>[] = [];
  /** A second Ctrl-C ends kt at once: they must not stay. */
  readonly #atExit = (): void => {
    for (const child of this.#children.values()) ask(child);
  };

  start(all: Readonly<Record<string, UpProgram>>, place: ProgramPlace): void {
    process.on('exit', this.#atExit);
    // Lines stand below each other.
    const width = Math.max(...Object.keys(all).map((name) => name.length));
    for (const [name, program] of Object.entries(all)) this.#start(name, width, program, place);
  }

  /** Resolves when all have ended, with the exit code of the first that failed, else 0. Never where there is none. */
  get ended(): Promise<number> {
    if (this.#ended.length === 0) return new Promise(() => undefined);
    let first = 0;
    const noted = this.#ended.map(async (one) => {
      const code = await one;
      if (first === 0) first = code;
    });
    return Promise.all(noted).then(() => first);
  }

  /** Asks all to end, and makes them. */
  async end(): Promise<void> {
    for (const child of this.#children.values()) ask(child);
    const force = setTimeout(() => {
      for (const child of this.#children.values()) kill(child);
    }, END_MS);
    await Promise.all(this.#ended);
    clearTimeout(force);
    process.off('exit', this.#atExit);
  }

  #start(name: string, width: number, program: UpProgram, place: ProgramPlace): void {
    const from = (flag: 'env-from' | 'files-from'): string[] => program[flag].flatMap((one) => [`--${flag}`, one]);
    const where = ['--namespace', place.namespace, '--context', place.context, ...place.flags];
    const flags = [...where, ...from('env-from'), ...from('files-from')];
    const child = spawn(process.execPath, [process.argv[1] ?? '', 'run', ...flags, '--', ...program.command], {
      cwd: resolve(place.folder, program.folder ?? '.'),
      env: { ...place.env, ...program.env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // Ctrl-C is for kt up, which asks them in its own order.
      detached: process.platform !== 'win32',
    });
    this.#children.set(name, child);
    tether(child);
    const prefix = `${name.padEnd(width)} | `;
    const say = (line: string): void => void place.sink.write(`${prefix}${line}\n`);
    for (const stream of [child.stdout, child.stderr]) if (stream) prefixLines(stream, prefix, place.sink);
    const ended = once(child, 'close').then(
      ([code, signal]) =>
        (code as number | null) ?? 128 + (constants.signals[signal as NodeJS.Signals] ?? constants.signals.SIGKILL),
      (error: Error) => {
        say(error.message);
        return 127;
      },
    );
    this.#ended.push(
      ended.then((code) => {
        this.#children.delete(name);
        say(`ended with exit code ${code}`);
        return code;
      }),
    );
  }
}

/** Where there are no signals, it ends what it started when it is let go. */
function ask(child: ChildProcess): void {
  if (process.platform !== 'win32') child.kill('SIGTERM');
  else if (child.connected) child.disconnect();
}

/** With its program, which is in its process group. */
function kill(child: ChildProcess): void {
  try {
    if (process.platform !== 'win32' && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    else child.kill('SIGKILL');
  } catch {
    // It has ended.
  }
}
