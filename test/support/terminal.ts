// A real terminal for tests of the screen: a pty, and a buffer that understands what is written to it. Waits for what is seen, never for
// time. Also used by the pictures of the docs and by benchmarks/ui.
import { readSync } from 'node:fs';
import { type IPty, spawn } from '@lydell/node-pty';
import xterm from '@xterm/headless';

/** Milliseconds for anything that should be seen soon; a hang must end the test, not the run. */
const LIMIT_MS = 12_000;

/** Milliseconds between two takes of a terminal that is slow. */
const SLOW_TICK_MS = 10;

export interface TerminalOptions {
  readonly cols?: number;
  readonly rows?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** The user and group that the program runs as. */
  readonly uid?: number;
}

export class Terminal {
  readonly screen: InstanceType<typeof xterm.Terminal>;
  /** Everything that was written, in characters. */
  written = 0;
  readonly exited: Promise<number>;
  readonly #pty: IPty;
  readonly #waiting = new Set<() => void>();
  #gone = false;
  #slow: NodeJS.Timeout | undefined;

  constructor(file: string, args: readonly string[], options: TerminalOptions = {}) {
    const { cols = 80, rows = 24 } = options;
    this.screen = new xterm.Terminal({ cols, rows, allowProposedApi: true, scrollback: 500 });
    this.#pty = spawn(file, [...args], {
      cols,
      rows,
      name: options.env?.['TERM'] ?? 'xterm-256color',
      cwd: options.cwd ?? process.cwd(),
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
      env: { ...(options.env ?? process.env) },
    });
    this.#pty.onData((text) => {
      this.written += text.length;
      this.screen.write(text, () => this.#look());
    });
    // Answers of the terminal to questions (cursor position and the like) go back to the program.
    this.screen.onData((text) => {
      if (!this.#gone) this.#pty.write(text);
    });
    this.exited = new Promise((resolve) => {
      this.#pty.onExit(({ exitCode }) => {
        this.#gone = true;
        // What it wrote last may still be on its way into the buffer.
        this.screen.write('', () => {
          this.#look();
          resolve(exitCode);
        });
      });
    });
  }

  get pid(): number {
    return this.#pty.pid;
  }

  /** The rows that are seen now, without spaces at their ends. */
  lines(): string[] {
    const buffer = this.screen.buffer.active;
    return Array.from({ length: this.screen.rows }, (_, row) =>
      (buffer.getLine(buffer.viewportY + row)?.translateToString(true) ?? '').trimEnd(),
    );
  }

  text(): string {
    return this.lines().join('\n');
  }

  type(keys: string): void {
    this.#pty.write(keys);
  }

  resize(cols: number, rows: number): void {
    this.screen.resize(cols, rows);
    this.#pty.resize(cols, rows);
  }

  /** Until what is seen fits; fails with the screen when it ends first or the limit passes. */
  until(fits: string | RegExp | ((text: string) => boolean), limitMs = LIMIT_MS): Promise<string> {
    const test = (text: string): boolean =>
      typeof fits === 'string' ? text.includes(fits) : fits instanceof RegExp ? fits.test(text) : fits(text);
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const fail = (why: string): void => {
        done();
        reject(new Error(`${why}: ${String(fits)}\n${this.text()}`));
      };
      const look = (): void => {
        const text = this.text();
        if (test(text)) {
          done();
          resolve(text);
        } else if (this.#gone) fail('the program ended before it was seen');
      };
      const timer = setTimeout(() => fail(`not seen within ${limitMs} ms`), limitMs);
      this.#waiting.add(look);
      look();
    });
  }

  /**
   * From now on it takes at most `bytes` each tick, as over a slow line, and `tick` says what happens meanwhile. Not on Windows. Returns the
   * function that makes it fast again.
   */
  slowDown(bytes: number, tick: () => void = () => undefined): () => void {
    const { fd } = this.#pty as IPty & { readonly fd: number };
    const taken = Buffer.alloc(bytes);
    this.#pty.pause();
    const timer = setInterval(() => {
      if (this.#gone) return clearInterval(timer);
      tick();
      try {
        const count = readSync(fd, taken);
        this.written += count;
        this.screen.write(Uint8Array.from(taken.subarray(0, count)), () => this.#look());
      } catch (error) {
        // Nothing to take yet (EAGAIN), or never again: `exited` tells that.
        if (!/EAGAIN|EIO|EBADF/.test(String(error))) throw error;
      }
      return undefined;
    }, SLOW_TICK_MS);
    this.#slow = timer;
    return () => {
      clearInterval(timer);
      if (!this.#gone) this.#pty.resume();
    };
  }

  kill(signal = 'SIGKILL'): void {
    clearInterval(this.#slow);
    if (!this.#gone) this.#pty.kill(signal);
  }

  async close(): Promise<void> {
    this.kill();
    await this.exited;
    this.screen.dispose();
  }

  #look(): void {
    for (const look of this.#waiting) look();
  }
}
