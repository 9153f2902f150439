// Programs that a developer starts, run as the laptop's user: with `kt run --` in front of them, and without as the control.
// Not kt itself (kt.ts). Used by test/e2e/run*.test.ts.
import { spawn } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { execute, kubectl, type Laptop, UID } from './kt.ts';

/** Milliseconds for one program: a cold Maven build on two busy cores takes half of it. */
const PROGRAM_MS = 150_000;

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** Called with each piece of the standard output; may send signals or write. */
  readonly onOutput?: (text: string, child: ReturnType<typeof spawn>) => void;
}

/** Runs a program as the user to its end. Never rejects. */
export function runAs(laptop: Laptop, command: readonly string[], options: ProgramOptions = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const [file = '', ...args] = command;
    const child = spawn(file, args, {
      uid: UID,
      gid: UID,
      cwd: options.cwd ?? join(laptop.home, 'work'),
      env: laptop.env('dev', options.env),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      options.onOutput?.(stdout, child);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdin.on('error', () => undefined);
    if (options.input !== undefined || options.onOutput === undefined) child.stdin.end(options.input);
    const limit = setTimeout(() => child.kill('SIGKILL'), PROGRAM_MS);
    child.on('error', (error) => {
      stderr += error.message;
    });
    child.on('close', (code, signal) => {
      clearTimeout(limit);
      resolve({ code, signal, stdout, stderr });
    });
  });
}

/** `kt run FLAGS -- command`, as an argument list. */
export const ktRunWith = (laptop: Laptop, flags: readonly string[], ...command: string[]): string[] => [
  laptop.node,
  laptop.kt,
  'run',
  ...flags,
  '--',
  ...command,
];

/** `kt run -- command`, as an argument list. */
export const ktRun = (laptop: Laptop, ...command: string[]): string[] => ktRunWith(laptop, [], ...command);

/** A copy of a fixture in the user's own folder. */
export async function fixture(laptop: Laptop, name: string): Promise<string> {
  const folder = laptop.own(name);
  cpSync(join('test/fixtures', name), folder, {
    recursive: true,
    filter: (path) => !/\/(target|node_modules)$/.test(path),
  });
  await execute('chown', ['-R', `${UID}:${UID}`, folder]);
  return folder;
}

/** The fixtures' lines: check → what came, or `! ` and the error. */
export function checksOf({ stdout }: Outcome): Record<string, string> {
  const checks: Record<string, string> = {};
  for (const line of stdout.split('\n')) {
    if (!line.startsWith('{"check"')) continue;
    const { check, ok, error } = JSON.parse(line) as { check: string; ok?: unknown; error?: string };
    checks[check] = error === undefined ? String(ok) : `! ${error}`;
  }
  return checks;
}

/** Where the fixtures find the shop without names: ClusterIPs, and a pod's own address for `orders`. */
export async function addresses(): Promise<Record<string, string>> {
  const address = async (service: string, port: number): Promise<string> =>
    `${(await kubectl(['get', 'service', service, '-o', 'jsonpath={.spec.clusterIP}'])).trim()}:${port}`;
  const pod = await kubectl(['get', 'pods', '-l', 'app=orders', '-o', 'jsonpath={.items[0].status.podIP}']);
  return {
    GATEWAY_ADDRESS: await address('gateway', 80),
    ORDERS_ADDRESS: `${pod.trim()}:8080`,
    STOCK_ADDRESS: await address('stock', 8080),
    CACHE_ADDRESS: await address('cache', 6379),
    H2_ADDRESS: await address('h2', 80),
  };
}

/** A company proxy that nobody answers at: what is in the environment when the laptop is at home. */
export const DEAD_PROXY = Object.fromEntries(
  ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'].map((name) => [name, 'http://127.0.0.1:9']),
);
