// Credentials from the program that a kubeconfig's user.exec names (aws, gke-gcloud-auth-plugin, kubelogin): run, read, kept until they
// expire. One run serves all who wait. Its stderr is the user's: logins by code or browser explain themselves there.
// Called by credentials.ts; made by config.ts. The format of its answer is exec-credential.codec.ts.
// Source: client-go plugin/pkg/client/auth/exec/exec.go; https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
import { basename } from 'node:path';
import { orCancelled } from '../cancel.ts';
import { type PluginCredentials, parseExecCredential, pluginProblem } from './exec-credential.codec.ts';
import type { ExecConfig } from './kubeconfig-schema.ts';
import { type PluginLine, terminalTaker } from './plugin-terminal.ts';

/** Milliseconds for one run: a person may have to log in with a browser. */
const RUN_MS = 5 * 60_000;
/** Bytes of the answer: a token and a certificate chain are some KiB. */
const ANSWER_MAX_BYTES = 1024 * 1024;
/** Credentials are renewed before they expire, by this much or a tenth of their life, so that none expires on the way. */
const RENEW_BEFORE_MS = 60_000;
/** Lines of a run, and characters of one, that are told where the terminal is not the plugin's: a login explains itself in a few. */
const LINES_MAX = 20;
const LINE_MAX = 500;
/** Milliseconds in which rejected credentials are not asked for again: a plugin that gives the same ones would run for every request. */
const RERUN_MS = 10_000;

export interface ExecPluginOptions {
  /** For errors. */
  readonly user: string;
  /** Checked by checkExec (exec-credential.codec.ts). */
  readonly exec: ExecConfig & { readonly apiVersion: string; readonly command: string };
  /** `spec.cluster` of KUBERNETES_EXEC_INFO; undefined where the plugin does not ask for it. */
  readonly cluster: object | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Standard input is a terminal that nobody else reads. */
  readonly terminal: boolean;
}

export interface ExecPlugin {
  /** Rejects with CREDENTIALS_PLUGIN, or with CANCELLED when `signal` aborts; the run goes on for the others who wait. */
  current(signal?: AbortSignal): Promise<PluginCredentials>;
  /** These were refused. True: the next `current` runs the plugin again, or has newer ones already. */
  rejected(made: PluginCredentials): boolean;
}

export function execPlugin(options: ExecPluginOptions): ExecPlugin {
  let running: Promise<PluginCredentials> | undefined;
  let kept: PluginCredentials | undefined;
  let madeAt = 0;
  let renewAt = 0;
  const renew = async (): Promise<PluginCredentials> => {
    try {
      const made = await run(options);
      madeAt = Date.now();
      const life = (made.expires ?? Number.POSITIVE_INFINITY) - madeAt;
      renewAt = madeAt + life - Math.min(RENEW_BEFORE_MS, life / 10);
      kept = made;
      return made;
    } finally {
      running = undefined;
    }
  };
  return {
    current(signal) {
      if (kept && Date.now() < renewAt) return Promise.resolve(kept);
      running ??= renew();
      return orCancelled(running, signal, 'waiting for the credentials plugin');
    },
    rejected(made) {
      if (made !== kept) return true;
      if (Date.now() - madeAt < RERUN_MS) return false;
      kept = undefined;
      return true;
    },
  };
}

async function run({ user, exec, cluster, env, terminal }: ExecPluginOptions): Promise<PluginCredentials> {
  const taker = terminalTaker();
  const interactive = terminal && taker === undefined && exec.interactiveMode !== 'Never';
  if (exec.interactiveMode === 'Always' && !interactive) {
    const problem = 'needs a terminal to ask you something, and';
    if (!taker) throw pluginProblem(user, exec, `${problem} there is none`);
    throw pluginProblem(
      user,
      exec,
      `${problem} another program has this one`,
      'log in in another terminal; kt asks again',
    );
  }
  const spec = { interactive, ...(cluster ? { cluster } : {}) };
  const info = JSON.stringify({ apiVersion: exec.apiVersion, kind: 'ExecCredential', spec });
  const own = Object.fromEntries(exec.env.map(({ name, value }) => [name, value]));
  // Loaded when it is needed: most kubeconfigs name no plugin. It finds .cmd files on Windows, which spawn does not.
  const { execa } = await import('execa');
  const result = await execa(exec.command, exec.args, {
    env: { ...env, ...own, KUBERNETES_EXEC_INFO: info },
    extendEnv: false,
    stdin: interactive ? 'inherit' : 'ignore',
    stderr: taker ? told(exec.command, taker) : 'inherit',
    maxBuffer: ANSWER_MAX_BYTES,
    timeout: RUN_MS,
    reject: false,
  });
  if (result.code === 'ENOENT' || result.code === 'EACCES') {
    const why = result.code === 'ENOENT' ? 'was not found' : 'may not be run';
    throw pluginProblem(user, exec, why, exec.installHint || 'install it, or get another kubeconfig');
  }
  if (result.timedOut) throw pluginProblem(user, exec, `did not end within ${RUN_MS / 60_000} minutes`);
  if (result.isMaxBuffer) throw pluginProblem(user, exec, 'wrote more than a MiB, which is no credentials');
  if (result.failed) {
    const how =
      result.exitCode === undefined
        ? `was ended by ${result.signal ?? 'the system'}`
        : `failed with exit code ${result.exitCode}`;
    throw pluginProblem(user, exec, how, 'what it says about it is above; does `kubectl get pods` work?');
  }
  return parseExecCredential(result.stdout, user, exec);
}

/** Its lines, for who has the terminal; what is more is dropped. */
function told(command: string, taker: PluginLine): (line: unknown) => Generator {
  let lines = 0;
  return function* first(line) {
    lines += 1;
    if (lines > LINES_MAX) return;
    taker(`${basename(command)}: ${String(line).slice(0, LINE_MAX)}`);
    yield line;
  };
}
