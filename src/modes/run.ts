// The mode `run`: a program with the shims in its environment, in a session of its own or in the one that is open.
// Passes through: exit code, signals, stdin and terminal. The environment itself is run-env.ts. Called by cli/commands/run.ts.
import { existsSync } from 'node:fs';
import { constants, hostname } from 'node:os';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { asset } from '../assets.ts';
import { takeTerminal } from '../cluster/plugin-terminal.ts';
import { KtError } from '../errors.ts';
import type { SessionEvent } from '../session/events.ts';
import type { JoinInfo } from '../session/types.ts';
import { endProgram } from './end-program.ts';
import { gradleHint, type JavaVariable, runEnvironment } from './run-env.ts';
import { PASSED, reachesProgram } from './run-signals.ts';

/** The environment of a program in the session: what to set and what to take away. */
export function environmentOf(
  join: JoinInfo,
  base: NodeJS.ProcessEnv,
  javaVariable?: JavaVariable,
): { set: Record<string, string>; unset: string[] } {
  return runEnvironment({
    base,
    broker: join.broker,
    cidrs: join.cidrs,
    suffixes: join.suffixes,
    dns: join.shimDns,
    httpProxy: join.login ? `${encoded(join.login)}@${join.proxy}` : join.proxy,
    shimsDirectory: asset('shims'),
    sessionId: join.session,
    sessionFile: join.sessionFile,
    hostname: hostname(),
    javaVariable,
  });
}

/** As it stands in a URL. */
const encoded = ({ username, password }: { readonly username: string; readonly password: string }): string =>
  `${encodeURIComponent(username)}:${encodeURIComponent(password)}`;

export interface ProgramOptions {
  /** What the program gets beside the laptop's own. */
  readonly variables?: Readonly<Record<string, string>>;
  readonly javaVariable?: JavaVariable | undefined;
  /** Under the supervisor, which needs no shim in the program. */
  readonly any?: boolean | undefined;
  /** Ends the program. */
  readonly end?: AbortSignal | undefined;
}

/** The command under the supervisor of `--any`. Throws UNSUPPORTED where there is none. */
function supervised(command: readonly string[], dns: string): { command: string[]; env: Record<string, string> } {
  if (process.platform !== 'linux') {
    throw new KtError('UNSUPPORTED', '--any needs Linux: other systems have nothing like its kernel interface', {
      hint: 'without it, JVM, Node and Python programs reach the cluster, others by the proxy of `kt connect` or `kt forward`',
    });
  }
  const supervisor = join(asset('shims'), 'kt-any');
  if (!existsSync(supervisor)) {
    throw new KtError('UNSUPPORTED', 'this kt was built without the supervisor of --any', {
      hint: 'in a clone, with a C compiler: shims/any/build.sh && npm run build',
    });
  }
  return { command: [supervisor, ...command], env: { KT_ANY_DNS: dns } };
}

/** Runs `command` until it ends; resolves with the exit code a shell would show. Rejects with COMMAND_NOT_FOUND. */
export async function runCommand(
  command: readonly string[],
  join: JoinInfo,
  emit: (event: SessionEvent) => void,
  options: ProgramOptions = {},
): Promise<number> {
  const [file] = command;
  if (file === undefined) throw new KtError('USAGE', 'no program was named', { hint: 'kt run -- mvn spring-boot:run' });
  const any = options.any ? supervised(command, join.dns) : undefined;
  const base: NodeJS.ProcessEnv = { ...process.env, ...options.variables };
  const { set, unset } = environmentOf(join, base, options.javaVariable);
  const gradle = gradleHint(command, base);
  if (gradle) emit({ type: 'warning', ...gradle });
  const env: NodeJS.ProcessEnv = { ...base, ...set };
  for (const name of unset) delete env[name];
  const terminal = process.stdin.isTTY;
  const early: NodeJS.Signals[] = [];
  let pass = (name: NodeJS.Signals): void => void early.push(name);
  // Before the start: the program may be told to end as soon as it runs, and the default would end kt alone.
  const handlers = PASSED.map((name) => {
    const handler = (): void => {
      if (!reachesProgram(name, terminal)) pass(name);
    };
    process.on(name, handler);
    return () => process.off(name, handler);
  });
  // `cleanup` and `forceKillAfterDelay`: what ends kt is passed on, and the program decides how it ends and how long that takes.
  const [started = file, ...startedArgs] = any?.command ?? command;
  const child = execa(started, startedArgs, {
    env: { ...env, ...any?.env },
    extendEnv: false,
    stdio: 'inherit',
    reject: false,
    cleanup: false,
    forceKillAfterDelay: false,
    buffer: false,
  });
  // The program reads it now.
  const giveBack = takeTerminal((message) => emit({ type: 'warning', message }));
  pass = (name) => void child.kill(name);
  for (const name of early) pass(name);
  const end = (): void => endProgram(child);
  if (options.end?.aborted) end();
  else options.end?.addEventListener('abort', end, { once: true });
  try {
    if (child.pid !== undefined) emit({ type: 'program', state: 'started', pid: child.pid, command: file });
    const result = await child;
    const code = result.signal ? 128 + (constants.signals[result.signal] ?? 0) : result.exitCode;
    if (code === undefined) {
      const cause = result as { code?: string; originalMessage?: string };
      const missing = cause.code === 'ENOENT' || (cause.code === 'EACCES' && !onPath(file, env['PATH']));
      throw new KtError(
        'COMMAND_NOT_FOUND',
        missing
          ? `there is no program '${file}' on PATH`
          : `'${file}' can't be started: ${cause.originalMessage ?? cause.code ?? 'no reason given'}`,
        {
          hint: 'kt run -- PROGRAM ARGUMENTS, as you would start it without kt',
        },
      );
    }
    emit({
      type: 'program',
      state: 'exited',
      pid: child.pid ?? 0,
      command: file,
      code,
      ...(result.signal ? { signal: result.signal } : {}),
    });
    return code;
  } finally {
    options.end?.removeEventListener('abort', end);
    giveBack();
    for (const off of handlers) off();
  }
}

/** A folder of PATH that may not be read makes EACCES of a program that is nowhere. */
function onPath(file: string, path = ''): boolean {
  if (file.includes('/')) return true;
  return path.split(delimiter).some((folder) => existsSync(join(folder, file)));
}
