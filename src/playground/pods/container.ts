// One container: a Node process on this machine that believes to be in a pod (programs/pod-preload.cjs), its output and its restarts.
// Knows nothing of the API; tells its state to the pod that it is part of (pods/runner.ts).
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import type { Container, ContainerState, ContainerStatus } from '../types.ts';
import { API_SERVICE_ADDRESS, DNS_ADDRESS } from './addresses.ts';
import type { PodChannel } from './channel.ts';
import { type Command, StartError } from './command.ts';
import { LogBuffer } from './log-buffer.ts';
import { ClusterNames } from './names.ts';

/** Between restarts of a container that fails; doubled each time. The kubelet has 10 s and 300 s: a demo has not the time. */
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 30_000;
/** A container that ran this long starts anew with the first pause. */
const BACKOFF_RESET_MS = 60_000;
const TERMINATION_MESSAGE_BYTES = 2_048;

export interface ContainerPlace {
  readonly channel: PodChannel;
  readonly channelPort: number;
  readonly dnsPort: number;
  readonly token: string;
  readonly ip: string;
  readonly hostname: string;
  readonly namespace: string;
  /** A folder for this container alone; removed with the pod. */
  readonly directory: string;
  /** The preload's path. */
  readonly preload: string;
}

export interface ContainerHooks {
  /** Throws StartError. */
  readonly command: () => Command;
  readonly restarts: (exitCode: number) => boolean;
  readonly changed: () => void;
  readonly event: (type: 'Normal' | 'Warning', reason: string, message: string) => void;
}

/** What a process needs of the machine's environment to start at all; nothing of the user's is passed on. */
const KEPT = ['SystemRoot', 'SYSTEMROOT', 'windir', 'SystemDrive', 'TEMP', 'TMP', 'TMPDIR', 'LANG', 'TZ'];

function now(): string {
  return new Date().toISOString().replace(/\.\d+/, '');
}

export class ContainerProcess {
  readonly #spec: Container;
  readonly #place: ContainerPlace;
  readonly #hooks: ContainerHooks;
  #child: ChildProcess | undefined;
  #state: ContainerState = { waiting: { reason: 'ContainerCreating' } };
  #last: ContainerState = {};
  #restarts = 0;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #id = '';
  #stopping = false;
  log: LogBuffer | undefined;
  previousLog: LogBuffer | undefined;

  constructor(spec: Container, place: ContainerPlace, hooks: ContainerHooks) {
    this.#spec = spec;
    this.#place = place;
    this.#hooks = hooks;
  }

  get state(): ContainerState {
    return this.#state;
  }

  status(ready: boolean): ContainerStatus {
    const running = this.#state.running !== undefined;
    return {
      name: this.#spec.name,
      state: this.#state,
      lastState: this.#last,
      ready: running && ready,
      started: running,
      restartCount: this.#restarts,
      image: this.#spec.image,
      imageID: running || this.#state.terminated ? `playground://${process.version}` : '',
      ...(this.#id === '' ? {} : { containerID: this.#id }),
    };
  }

  wait(reason: string, message?: string): void {
    this.#state = { waiting: { reason, ...(message === undefined ? {} : { message }) } };
    this.#hooks.changed();
  }

  start(): void {
    let command: Command;
    try {
      command = this.#hooks.command();
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      this.#hooks.event('Warning', 'Failed', `Error: ${error.message}`);
      this.wait(error.reason, error.message);
      if (!this.#stopping) this.#later(() => this.start());
      return;
    }
    this.#id = `playground://${randomBytes(32).toString('hex')}`;
    this.#hooks.event('Normal', 'Created', `Created container: ${this.#spec.name}`);
    this.#spawn(command);
  }

  /** SIGTERM, and after the grace period SIGKILL. `exited` is told by the state. */
  stop(graceMs: number): void {
    this.#stopping = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined) return;
    if (graceMs === 0) {
      child.kill('SIGKILL');
      return;
    }
    if (!this.#place.channel.signal(child.pid ?? 0, 'SIGTERM')) child.kill('SIGTERM');
    this.#timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  }

  get alive(): boolean {
    return this.#child !== undefined;
  }

  #environment(command: Command): Record<string, string> {
    const place = this.#place;
    const kept = KEPT.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
    const boot = Object.keys(command.longEnv).length > 0 || command.stdin !== undefined;
    const bootFile = join(place.directory, 'boot.json');
    if (boot)
      writeFileSync(bootFile, JSON.stringify({ env: command.longEnv, codeOnStdin: command.stdin !== undefined }), {
        mode: 0o600,
      });
    const pod = {
      channel: place.channelPort,
      token: place.token,
      dnsPort: place.dnsPort,
      nameserver: DNS_ADDRESS,
      search: ClusterNames.searchList(place.namespace),
      ip: place.ip,
      hostname: place.hostname,
      ...(boot ? { boot: bootFile } : {}),
    };
    // In quotes a backslash escapes: Windows takes forward slashes as well.
    const preload = `--require "${place.preload.replaceAll('\\', '/')}"`;
    const own = command.env['NODE_OPTIONS'];
    return {
      ...Object.fromEntries(kept),
      PATH: dirname(process.execPath),
      HOME: place.directory,
      HOSTNAME: place.hostname,
      NODE_VERSION: process.versions.node,
      KUBERNETES_SERVICE_HOST: API_SERVICE_ADDRESS,
      KUBERNETES_SERVICE_PORT: '443',
      ...command.env,
      NODE_OPTIONS: own === undefined ? preload : `${preload} ${own}`,
      KT_POD: JSON.stringify(pod),
    };
  }

  #spawn(command: Command): void {
    mkdirSync(this.#place.directory, { recursive: true, mode: 0o700 });
    const log = new LogBuffer();
    this.previousLog = this.log;
    this.log = log;
    const child = spawn(process.execPath, command.args, {
      cwd: this.#place.directory,
      env: this.#environment(command),
      stdio: ['pipe', 'pipe', 'pipe'],
      windowsHide: true,
    });
    this.#child = child;
    const startedAt = now();
    const began = Date.now();
    child.stdin.on('error', () => {});
    child.stdin.end(command.stdin ?? '');
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding('utf8');
      output.on('data', (text: string) => log.append(text));
      output.on('error', () => {});
    }
    let done = false;
    const exited = (code: number | null, signal: NodeJS.Signals | null, message?: string): void => {
      if (done) return;
      done = true;
      log.end();
      const number = signal === null ? undefined : constants.signals[signal];
      const exitCode = code ?? 128 + (number ?? 0);
      if (Date.now() - began > BACKOFF_RESET_MS) this.#failures = 0;
      const text = message ?? '';
      this.#exited({
        exitCode,
        ...(number === undefined ? {} : { signal: number }),
        reason: exitCode === 0 ? 'Completed' : 'Error',
        ...(text === '' ? {} : { message: text.slice(-TERMINATION_MESSAGE_BYTES) }),
        startedAt,
        finishedAt: now(),
        containerID: this.#id,
      });
    };
    child.once('spawn', () => {
      this.#state = { running: { startedAt } };
      this.#hooks.event('Normal', 'Started', `Started container ${this.#spec.name}`);
      this.#hooks.changed();
    });
    child.once('error', (error) => exited(128, null, error.message));
    // 'close' and not 'exit': the last output belongs to the log.
    child.once('close', exited);
  }

  #exited(terminated: NonNullable<ContainerState['terminated']>): void {
    this.#child = undefined;
    clearTimeout(this.#timer);
    this.#state = { terminated };
    if (!this.#stopping && this.#hooks.restarts(terminated.exitCode)) {
      this.#last = this.#state;
      const pause = Math.min(BACKOFF_FIRST_MS * 2 ** this.#failures, BACKOFF_MAX_MS);
      this.#state = {
        waiting: {
          reason: 'CrashLoopBackOff',
          message: `back-off ${Math.round(pause / 1000)}s restarting failed container=${this.#spec.name}`,
        },
      };
      this.#hooks.event('Warning', 'BackOff', `Back-off restarting failed container ${this.#spec.name}`);
      this.#restarts += 1;
      this.#later(() => this.start());
    }
    this.#hooks.changed();
  }

  #later(act: () => void): void {
    const pause = Math.min(BACKOFF_FIRST_MS * 2 ** this.#failures, BACKOFF_MAX_MS);
    this.#failures += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, pause);
  }
}
