// Starts the built kt as a user without rights (uid 12345), with a kubeconfig of the real cluster, and reads its NDJSON events.
// Used by every test in test/e2e. The program and its Node are copied to a folder that this user can read.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SessionEvent, StampedEvent } from '../../../src/session/events.ts';

export const UID = 12_345;
const KUBECONFIGS = process.env['KT_E2E_KUBECONFIGS'] ?? '/var/lib/kcluster/kubeconfigs';
/** Milliseconds for anything that should happen soon; a hang must end the test, not the run. */
const LIMIT_MS = 60_000;

export type User = 'dev' | 'reader' | 'forwarder' | 'expired';

/** A home for the user: copies of kt, Node and the kubeconfigs, all owned by uid 12345. */
export class Laptop {
  readonly home: string;
  readonly node: string;
  readonly kt: string;
  readonly #running = new Set<ChildProcess>();

  constructor() {
    this.home = mkdtempSync(join(tmpdir(), 'kt-e2e-'));
    chmodSync(this.home, 0o755);
    cpSync('dist', join(this.home, 'dist'), { recursive: true });
    this.kt = join(this.home, 'dist', 'kt.mjs');
    this.node = join(this.home, 'node');
    copyFileSync(process.execPath, this.node);
    chmodSync(this.node, 0o755);
    for (const name of ['run', 'work']) this.own(name);
    for (const user of ['dev', 'reader', 'forwarder', 'expired']) {
      const file = join(this.home, `${user}.yaml`);
      copyFileSync(join(KUBECONFIGS, user), file);
      chownSync(file, UID, UID);
      chmodSync(file, 0o600);
    }
  }

  /** A folder of the user's own. */
  own(name: string): string {
    const folder = join(this.home, name);
    if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
    chownSync(folder, UID, UID);
    return folder;
  }

  kubeconfig(user: User): string {
    return join(this.home, `${user}.yaml`);
  }

  env(user: User = 'dev', more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      HOME: join(this.home, 'work'),
      KT_RUNTIME_DIR: join(this.home, 'run'),
      KUBECONFIG: this.kubeconfig(user),
      // Whoever runs the tests may share the machine; what the proxy does then has tests of its own.
      KT_PROXY_AUTH: 'none',
      ...(process.env['JAVA_HOME'] ? { JAVA_HOME: process.env['JAVA_HOME'] } : {}),
      ...more,
    };
  }

  /** Starts kt with these arguments. `stdin` as for spawn. */
  start(
    args: readonly string[],
    options: { user?: User; env?: NodeJS.ProcessEnv; cwd?: string; input?: string } = {},
  ): Running {
    const child = spawn(this.node, [this.kt, ...args], {
      uid: UID,
      gid: UID,
      cwd: options.cwd ?? join(this.home, 'work'),
      env: this.env(options.user, options.env),
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    if (options.input !== undefined) child.stdin?.end(options.input);
    this.#running.add(child);
    child.once('exit', () => this.#running.delete(child));
    return new Running(child);
  }

  /** Starts `kt connect --output json` on free ports and waits for `ready`. */
  async connect(
    args: readonly string[] = [],
    options: { user?: User; env?: NodeJS.ProcessEnv } = {},
  ): Promise<Running & { ready: Ready }> {
    const running = this.start(['connect', '--output', 'json', '--proxyPort', '0', '--dnsPort', '0', ...args], options);
    const ready = (await running.event('ready')) as Ready;
    return Object.assign(running, { ready });
  }

  /** Ends by Ctrl-C what a failed test left running, so that nothing of it is left for the next one. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#running].map((child) => new Running(child).stop('SIGINT')));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((child) => new Running(child).stop('SIGKILL')));
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** Of `kt connect`, which always has a proxy and a resolver. */
export type Ready = Extract<SessionEvent, { type: 'ready' }> & { readonly proxy: string; readonly dns: string };

export class Running {
  readonly child: ChildProcess;
  readonly events: StampedEvent[] = [];
  stdout = '';
  stderr = '';
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #waiting = new Set<() => void>();
  #gone = false;

  constructor(child: ChildProcess) {
    this.child = child;
    let held = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      held += text;
      const lines = held.split('\n');
      held = lines.pop() ?? '';
      for (const line of lines) {
        if (!line.startsWith('{"time"')) continue;
        this.events.push(JSON.parse(line) as StampedEvent);
      }
      for (const look of this.#waiting) look();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#gone = true;
        for (const look of this.#waiting) look();
        resolve({ code, signal });
      });
    });
  }

  /** The first event of the type that fits, also one that was before; fails when kt ends first or the limit passes. */
  event<T extends SessionEvent['type']>(
    type: T,
    fits: (event: Extract<StampedEvent, { type: T }>) => boolean = () => true,
    from = 0,
  ): Promise<Extract<StampedEvent, { type: T }>> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const look = (): void => {
        const found = this.events
          .slice(from)
          .find((event): event is Extract<StampedEvent, { type: T }> => event.type === type && fits(event as never));
        if (found) {
          done();
          resolve(found);
        } else if (this.#gone) {
          done();
          reject(new Error(`kt ended before '${type}':\n${this.stdout}\n${this.stderr}`));
        }
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`no '${type}' within ${LIMIT_MS} ms:\n${this.stdout}\n${this.stderr}`));
      }, LIMIT_MS);
      this.#waiting.add(look);
      look();
    });
  }

  /** Sends the signal and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    this.child.kill(signal);
    return this.exited;
  }
}

/** Runs a program to its end. Never rejects: a code other than 0 is an answer too. */
export function execute(
  file: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; timeoutMs?: number } = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      file,
      [...args],
      { timeout: options.timeoutMs ?? 30_000, env: options.env ?? process.env, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const code = error ? (typeof error.code === 'number' ? error.code : 255) : 0;
        resolve({ code, stdout, stderr });
      },
    );
  });
}

export const curl = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  execute('curl', ['-sS', '--max-time', '20', ...args]);

/** kubectl as a user of the cluster (default dev). */
export async function kubectl(args: readonly string[], user: User | 'admin' = 'dev', input?: string): Promise<string> {
  const file = join(KUBECONFIGS, user);
  if (input !== undefined) {
    const child = spawn('kubectl', ['--kubeconfig', file, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    const running = new Running(child);
    child.stdin.end(input);
    const { code } = await running.exited;
    if (code !== 0) throw new Error(running.stderr);
    return running.stdout;
  }
  const done = await execute('kubectl', ['--kubeconfig', file, ...args], { timeoutMs: 120_000 });
  if (done.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${done.stderr}`);
  return done.stdout;
}
