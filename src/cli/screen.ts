// Opens the screen in a process of its own on the same terminal, which follows the session over its local socket: beside a session that runs
// in this process, or for `kt ui`. What the screen does to its terminal, or a slow line does to the screen, never holds the session's
// traffic up; and where the screen ends by a defect, the session goes on. Called by the commands that hold a session, and by `kt ui`.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { takeTerminal } from '../cluster/plugin-terminal.ts';
import type { Board } from '../session/board.ts';
import type { SessionEvent } from '../session/events.ts';
import type { Arguments } from './arguments.ts';
import type { Output } from './output.ts';

/** Milliseconds for the screen to put its terminal back by itself. */
const LEAVE_MS = 500;

/**
 * The screen keeps some MiB and makes much that is short-lived: without these, V8 would let it grow to hundreds before it cleans up.
 * V8 takes them at its start only, not by v8.setFlagsFromString.
 */
export const SCREEN_HEAP = ['--max-semi-space-size=16', '--max-old-space-size=128'];

/** Exit code of `kt ui` when the user left it; what the session does then was asked of it already. */
export const SCREEN_LEFT = 0;

/** Both ends are a terminal that can draw. Windows has no TERM. */
export function canDraw(env: NodeJS.ProcessEnv = process.env, platform = process.platform): boolean {
  const { stdin, stdout } = process;
  if (env['TERM'] === 'dumb' || (platform !== 'win32' && !env['TERM'])) return false;
  return stdin.isTTY && stdout.isTTY;
}

/** It can, and nobody asked for lines. */
export function wantsScreen(args: Arguments, env: NodeJS.ProcessEnv = process.env): boolean {
  if (args['output'] !== undefined || args['plain'] === true || args['debug'] === true) return false;
  return !env['KT_PLAIN'] && !env['CI'] && canDraw(env);
}

interface ScreenProcess {
  /** Resolves when it has ended, however. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

/** The only place that starts a screen. */
const startScreen = (session: string, more: readonly string[] = []): ChildProcess =>
  spawn(process.execPath, [...SCREEN_HEAP, process.argv[1] ?? '', 'ui', '--session', session, ...more], {
    stdio: 'inherit',
  });

/** This process was started to draw. */
export const isScreen = (): boolean => SCREEN_HEAP.every((flag) => process.execArgv.includes(flag));

/** `kt ui` typed by hand: its screen, until it ends, with its exit code. Signals to this process are the screen's. */
export async function screenFor(session: string): Promise<number> {
  const child = startScreen(session);
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, pass);
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    if (signal !== null) restoreTerminal();
    return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  } finally {
    for (const signal of signals) process.off(signal, pass);
  }
}

/** Starts it. While it is there, `output` is held back: see `Hush`. */
function openScreen(board: Board, output: Output): ScreenProcess {
  const child = startScreen(board.id, ['--owner']);
  let closing = false;
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', (code, signal) => {
      if (code !== SCREEN_LEFT && !closing) {
        restoreTerminal();
        output.event({
          type: 'warning',
          message: `the screen ended by itself (${signal ?? `code ${code ?? '?'}`}); the session goes on`,
          hint: '`kt ui` opens it again, Ctrl-C ends the session',
        });
      }
      resolve();
    });
  });
  return {
    ended,
    close: async () => {
      closing = true;
      const timer = setTimeout(() => child.kill('SIGTERM'), LEAVE_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** What a screen that was killed could not put back. */
function restoreTerminal(): void {
  if (process.stdout.isTTY) process.stdout.write('\u001b[?1049l\u001b[?25h\u001b[0m');
  if (process.platform !== 'win32') spawnSync('stty', ['sane'], { stdio: ['inherit', 'ignore', 'ignore'] });
}

/** `output.event` that says nothing while a screen is there. */
export class Hush {
  screen: ScreenProcess | undefined;
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  readonly event = (event: SessionEvent): void => {
    if (!this.screen) this.#output.event(event);
  };

  /** From now on until it ends. */
  open(board: Board): void {
    const screen = openScreen(board, this.#output);
    this.screen = screen;
    const giveBack = takeTerminal((message) => board.emit({ type: 'warning', message }));
    void screen.ended.then(() => {
      giveBack();
      if (this.screen === screen) this.screen = undefined;
    });
  }

  async close(): Promise<void> {
    await this.screen?.close();
    this.screen = undefined;
  }
}
