// kt with its screen on a real terminal, on a playground cluster: what the tests of the screen start. Everything is the built kt's.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Playground, startPlayground } from '../../src/playground/start.ts';
import { Terminal, type TerminalOptions } from './terminal.ts';

export const KEY = {
  enter: '\r',
  esc: '\u001b',
  tab: '\t',
  up: '\u001b[A',
  down: '\u001b[B',
  backspace: '\u007f',
  ctrlC: '\u0003',
} as const;

export class ScreenWorld {
  readonly playground: Playground;
  readonly folder = mkdtempSync(join(tmpdir(), 'kt-screen-'));
  readonly #open: Terminal[] = [];

  private constructor(playground: Playground) {
    this.playground = playground;
  }

  static async start(): Promise<ScreenWorld> {
    return new ScreenWorld(await startPlayground());
  }

  env(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      HOME: this.folder,
      KUBECONFIG: this.playground.kubeconfig,
      KT_RUNTIME_DIR: this.folder,
      // Whoever runs the tests may share the machine.
      KT_PROXY_AUTH: 'none',
      TERM: 'xterm-256color',
      LANG: 'C.UTF-8',
      ...more,
    };
  }

  /** Starts kt on a terminal. */
  kt(args: readonly string[], { env = {}, ...size }: TerminalOptions = {}): Terminal {
    const terminal = new Terminal(process.execPath, [resolve('dist/kt.mjs'), ...args], { ...size, env: this.env(env) });
    this.#open.push(terminal);
    return terminal;
  }

  /** `kt connect` with its screen, the list of Services seen. */
  async connect(options: TerminalOptions = {}): Promise<Terminal> {
    const terminal = this.kt(['connect', '--proxyPort', '0', '--dnsPort', '0'], options);
    await terminal.until('stock');
    return terminal;
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((terminal) => terminal.close()));
    await this.playground.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
