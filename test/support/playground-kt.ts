// The built kt on a playground, as somebody types it: one of the developers of its kubeconfig, a folder of sessions of their own.
// Tests only.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Playground, startPlayground } from '../../src/playground/start.ts';
import { Running } from '../e2e/support/kt.ts';

export class PlaygroundKt {
  readonly #kubeconfig: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'kt-play-'));
  readonly #running = new Set<Running>();
  #own: Playground | undefined;

  constructor(playground: Pick<Playground, 'kubeconfig'>) {
    this.#kubeconfig = playground.kubeconfig;
  }

  /** With a playground of its own, which ends with it. */
  static async open(): Promise<PlaygroundKt> {
    const playground = await startPlayground();
    const kt = new PlaygroundKt(playground);
    kt.#own = playground;
    return kt;
  }

  /** `user` is the context and the name that others see. */
  start(args: readonly string[], user = 'dev'): Running {
    const env = { PATH: process.env['PATH'], HOME: this.#folder, KT_RUNTIME_DIR: this.#folder, KT_USER: user };
    const [command = '', ...rest] = args;
    const child = spawn(process.execPath, ['dist/kt.mjs', command, '--context', user, ...rest], {
      env: { ...env, KUBECONFIG: this.#kubeconfig },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const running = new Running(child);
    this.#running.add(running);
    return running;
  }

  /** Starts `kt exchange` or `kt mesh` and waits until it holds. */
  async hold(args: readonly string[], user?: string): Promise<Running> {
    const running = this.start([...args, '--output', 'json'], user);
    await running.event('holding');
    return running;
  }

  /** Runs to the end. */
  async run(args: readonly string[], user?: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const running = this.start(args, user);
    const { code } = await running.exited;
    return { code, stdout: running.stdout, stderr: running.stderr };
  }

  /** Local sockets of the sessions that run, or were left behind. */
  sockets(): string[] {
    const names = readdirSync(this.#folder).filter((name) => name.endsWith('.sock'));
    return names.map((name) => join(this.#folder, name));
  }

  /** What a test left running, ended as its user would. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#running].map((one) => one.stop()));
    this.#running.clear();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((one) => one.stop('SIGKILL')));
    await this.#own?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
