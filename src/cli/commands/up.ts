// `kt up`: what a project's session file says, in one command: connects, takes Services, forwards ports, starts programs; ends when they have ended, by Ctrl-C or
// by `kt down`, and gives everything back. `kt down`: ends it from elsewhere.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { KtError } from '../../errors.ts';
import type { HoldRequest } from '../../modes/hold-request.ts';
import type { HoldWish } from '../../session/actions.ts';
import { Board } from '../../session/board.ts';
import { ktEnv } from '../../session/kt-env.ts';
import { type Arguments, text } from '../arguments.ts';
import { upwards } from '../config/places.ts';
import { isOurs } from '../config/store.ts';
import { type EndSignals, endSignals } from '../end-signals.ts';
import { runRequests } from '../hold-options.ts';
import { openLastingSession } from '../lasting-session.ts';
import { type SessionArguments, sessionArguments } from '../options.ts';
import { type Output, outputOf } from '../output.ts';
import { connectLines, connectPlan, holdLines, holdPlans, holdValues } from '../plans.ts';
import { parseUpFile, UP_FILE, type UpFile } from '../up/file.ts';
import { Programs } from '../up/programs.ts';
import { stop } from './stop.ts';

export async function up(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  const signals = endSignals();
  const board = new Board(output.event);
  const programs = new Programs();
  try {
    const { path, file } = find(args);
    const wanted = { ...sessionArguments(args), ...placeOf(args, file) };
    // All words are read before anything is done.
    const requests = runRequests({ ...args, ...held(file) });
    if (args['plan'] === true) return await plan(file, wanted, requests, version, { output, signals });
    const { session, close } = await openLastingSession(wanted, version, board, signals);
    let reason = 'the programs have ended';
    let code = 0;
    try {
      for (const request of requests) await board.act({ kind: 'hold', hold: wishOf(request, file) });
      for (const line of file.forward) await board.act({ kind: 'forward', words: line.split(/\s+/) });
      const { namespace, context } = session.cluster;
      const flags = wanted.kubeconfig === undefined ? [] : ['--kubeconfig', resolve(wanted.kubeconfig)];
      const sink = output.json ? process.stderr : process.stdout;
      const folder = dirname(resolve(path));
      programs.start(file.run, { folder, namespace, context, flags, env: ktEnv(wanted), sink });
      const first = await Promise.race([programs.ended, session.ended, signals.received]);
      if (typeof first === 'number') code = first;
      else reason = first;
    } finally {
      await programs.end();
      await close(reason);
    }
    return code;
  } catch (error) {
    return output.failure(error);
  } finally {
    board.close();
    signals.dispose();
  }
}

export async function down(args: Arguments): Promise<number> {
  const output = outputOf(args);
  try {
    const { file } = find(args);
    return await stop({ ...args, ...placeOf(args, file) });
  } catch (error) {
    return output.failure(error);
  }
}

/** `--file`, or the nearest kt.yaml upwards. Throws USAGE or CONFIG_INVALID. */
function find(args: Arguments): { readonly path: string; readonly file: UpFile } {
  const given = text(args, 'file');
  const paths =
    given === undefined ? upwards(process.cwd(), process.platform).map((one) => join(one, UP_FILE)) : [given];
  // On a shared host anybody may put one into a folder above.
  const path = paths.find((one) => existsSync(one) && (given !== undefined || isOurs(one)));
  if (path === undefined)
    throw new KtError(
      'USAGE',
      given === undefined ? `there is no ${UP_FILE} here or above` : `there is no file ${given}`,
      {
        hint: 'docs/up.md shows one; --file names another',
      },
    );
  return { path, file: parseUpFile(readFileSync(path, 'utf8'), path) };
}

/** The command line is stronger than the file. */
const placeOf = (args: Arguments, file: UpFile): { namespace: string | undefined; context: string | undefined } => ({
  namespace: text(args, 'namespace') ?? file.namespace,
  context: text(args, 'context') ?? file.context,
});

/** As flags of `kt run`, whose words they are. */
const held = (file: UpFile): Arguments => ({
  exchange: file.exchange,
  mesh: file.mesh,
  preview: file.preview,
  versionMark: file['version-mark'],
});

/** The program opens its port later: until then the original pods answer. */
const wishOf = ({ kind, target, ports }: HoldRequest, file: UpFile): HoldWish => ({
  kind,
  service: target,
  ports: ports.map(({ local, remote, protocol }) =>
    [local === undefined ? '' : `${local}:`, remote, protocol === undefined ? '' : `/${protocol.toLowerCase()}`].join(
      '',
    ),
  ),
  mark: kind === 'mesh' ? (file['version-mark'] ?? null) : null,
  takeOver: false,
  drain: false,
  skipPortChecking: true,
});

async function plan(
  file: UpFile,
  wanted: SessionArguments,
  requests: readonly HoldRequest[],
  version: string,
  { output, signals }: { readonly output: Output; readonly signals: EndSignals },
): Promise<number> {
  const connect = await connectPlan(wanted, version, signals);
  const holds = await holdPlans(wanted, requests, version, signals);
  const starts = Object.entries(file.run).map(([name, { command }]) => ({ name, command }));
  output.result({ connect, plans: holdValues(holds), forward: file.forward, run: starts }, [
    ...connectLines(connect),
    ...holdLines(holds),
    ...file.forward.map((line) => `forward ${line}`),
    ...starts.map(({ name, command }) => `start ${name}: ${command.join(' ')}`),
  ]);
  return 0;
}
