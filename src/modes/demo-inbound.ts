// The second half of `kt demo`: a service on this laptop takes the place of the playground's `orders`, for all requests and then for those
// with a header. Uses kt's own modes (hold.ts) as `kt exchange` and `kt mesh` do. Called by demo.ts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { asset } from '../assets.ts';
import { loadClusterConfig } from '../cluster/config.ts';
import { ClusterApi } from '../cluster/rest.ts';
import { KtError } from '../errors.ts';
import type { Match } from '../netstack/link/control.codec.ts';
import type { EventSink } from '../session/events.ts';
import type { JoinInfo } from '../session/types.ts';
import { hold, planHolds } from './hold.ts';
import type { HoldContext } from './hold-request.ts';
import { environmentOf } from './run.ts';

/** Milliseconds for a program of a dozen lines to say that it listens, and to answer. */
const PROGRAM_MS = 20_000;
const GATEWAY = 'http://gateway/';
const MARK = { name: 'x-lane', value: 'anna' };
const HERE = 'orders (on this laptop)';

export interface DemoInboundOptions {
  readonly kubeconfig: string;
  readonly version: string;
  readonly join: JoinInfo;
  readonly emit: EventSink;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface LocalOrders {
  readonly port: number;
  stop(): Promise<void>;
}

/** The environment that `kt run` would give. */
function environment(join: JoinInfo): NodeJS.ProcessEnv {
  const { set, unset } = environmentOf(join, process.env);
  const env: NodeJS.ProcessEnv = { ...process.env, ...set };
  for (const name of unset) delete env[name];
  return env;
}

/** Starts the local service under `kt run`'s environment. Rejects with INTERNAL where it does not listen. */
export async function startOrders({ join, signal }: DemoInboundOptions): Promise<LocalOrders> {
  const child = spawn(process.execPath, [asset('demo/orders.mjs')], {
    env: environment(join),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = once(child, 'close').catch(() => undefined);
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
  };
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(PROGRAM_MS)]);
    const lines = createInterface({ input: child.stdout });
    const [line] = (await Promise.race([once(lines, 'line', { signal: limit }), gone.then(() => [''])])) as [string];
    const port = Number(line);
    if (!Number.isInteger(port) || port === 0) throw new KtError('INTERNAL', 'the local service does not listen');
    return { port, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Exchange, then mesh, each with its answers. Gives how many of them were not as they should be. */
export async function showInbound(options: DemoInboundOptions, local: LocalOrders): Promise<number> {
  const { kubeconfig, version, emit, say, signal, join } = options;
  const api = new ClusterApi(await loadClusterConfig({ kubeconfig, namespace: join.namespace }));
  const context: HoldContext = {
    api,
    namespace: join.namespace,
    session: join.session,
    version,
    placement: {},
    startLimitMs: PROGRAM_MS,
    debug: false,
    emit,
    signal,
  };
  const expose = `--expose ${local.port}:80`;
  const { name, value } = MARK;
  const wrong: string[] = [];
  const expectHere = async (here: boolean, header?: string): Promise<void> => {
    const answer = await ask(options, header);
    if (answer.includes(HERE) !== here || !answer.includes('stock')) wrong.push(answer);
  };
  try {
    say(`\n$ kt exchange orders ${expose}      # all requests come to this laptop`);
    await held(context, 'exchange', local.port, { kind: 'all' }, () => expectHere(true));
    say(`\n$ kt mesh orders ${expose} --versionMark ${name}:${value}      # only those with the header do`);
    await held(context, 'mesh', local.port, { kind: 'header', ...MARK }, async () => {
      await expectHere(true, `${name}: ${value}`);
      await expectHere(false);
    });
  } finally {
    api.close();
  }
  return wrong.length;
}

async function held(
  context: HoldContext,
  kind: 'exchange' | 'mesh',
  local: number,
  match: Match,
  work: () => Promise<void>,
): Promise<void> {
  const request = {
    kind,
    mode: 'selector',
    target: 'orders',
    ports: [{ local, remote: '80' }],
    match,
    takeOver: false,
    drain: false,
    external: false,
    skipPortChecking: false,
  } as const;
  const [planned] = await planHolds(context, [request]);
  if (planned === undefined) throw new KtError('INTERNAL', 'nothing was planned');
  const one = await hold(context, planned);
  try {
    await work();
  } finally {
    await one.release();
  }
}

/** A caller in the shop: the request goes through the gateway's pod. */
async function ask({ join, say, signal }: DemoInboundOptions, header?: string): Promise<string> {
  say(`$ kt run -- node ask.mjs ${GATEWAY}${header === undefined ? '' : ` '${header}'`}`);
  const args = [asset('demo/ask.mjs'), GATEWAY, ...(header === undefined ? [] : [header])];
  const { stdout, stderr } = await execa(process.execPath, args, {
    env: environment(join),
    extendEnv: false,
    reject: false,
    cancelSignal: signal,
    timeout: PROGRAM_MS,
  });
  const answer = stdout || stderr;
  say(answer);
  return answer;
}
