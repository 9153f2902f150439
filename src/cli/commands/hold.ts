// `kt exchange`, `kt mesh` and `kt preview`: takes or makes Services and holds them until a signal ends it. What it does is modes/hold.ts.
import type { TakeoverKind } from '../../cluster/takeover/types.ts';
import { asKtError } from '../../errors.ts';
import { watchNamespace } from '../../modes/birdseye/live.ts';
import type { HoldContext, PlannedHold } from '../../modes/hold-request.ts';
import { repairExpired } from '../../modes/repair.ts';
import { Holds, takeHoldActions } from '../../modes/session-actions.ts';
import { Board } from '../../session/board.ts';
import { type Arguments } from '../arguments.ts';
import { endSignals } from '../end-signals.ts';
import { holdRequests } from '../hold-options.ts';
import { openInbound } from '../inbound.ts';
import { sessionArguments } from '../options.ts';
import { outputOf } from '../output.ts';
import { showPlans } from '../plans.ts';
import { Hush, wantsScreen } from '../screen.ts';

export const exchange = (args: Arguments, version: string): Promise<number> => run(args, version, 'exchange');
export const preview = (args: Arguments, version: string): Promise<number> => run(args, version, 'preview');
export const mesh = (args: Arguments, version: string): Promise<number> => run(args, version, 'mesh');

async function run(args: Arguments, version: string, kind: TakeoverKind): Promise<number> {
  const output = outputOf(args);
  const signals = endSignals();
  const hush = new Hush(output);
  // A plan is one answer, not a session.
  const board = new Board(args['plan'] === true ? () => undefined : hush.event);
  try {
    const requests = holdRequests(args, kind);
    // Here --mode says how the Service is held; a hold always has an agent.
    const wanted = sessionArguments({ ...args, mode: 'agent' });
    const inbound = await openInbound(wanted, version, board, signals);
    try {
      if (args['plan'] !== true) await repairExpired(inbound.context, requests);
      const holds = new Holds(inbound.context, inbound.guard);
      const planned = await holds.plan(requests);
      if (args['plan'] === true)
        return showPlans(
          output,
          undefined,
          planned.map(({ plan }) => plan),
        );
      takeHoldActions(board, holds, inbound.context);
      const { api, namespace } = inbound.context;
      board.whileWatched(...watchNamespace(api, namespace, version, board.emit));
      // Nobody can see and ask this session then; what it is for works.
      await board
        .listen()
        .catch((error: unknown) => board.emit({ type: 'warning', message: asKtError(error).message }));
      if (wantsScreen(args)) hush.open(board);
      await holdAll(hush, inbound.context, holds, planned, Promise.race([signals.received, board.ended]));
      inbound.dismiss();
      return 0;
    } finally {
      inbound.close();
    }
  } catch (error) {
    return output.failure(error);
  } finally {
    board.close();
    signals.dispose();
  }
}

/** Holds all until `ended`; whatever happens, each one is given up. Rejects with the first error. */
async function holdAll(
  hush: Hush,
  { emit }: HoldContext,
  holds: Holds,
  planned: readonly PlannedHold[],
  ended: Promise<string>,
): Promise<void> {
  let failure: unknown;
  try {
    for (const one of planned) await holds.hold(one);
    const reason = await ended;
    await hush.close();
    emit({ type: 'ended', reason });
  } catch (error) {
    failure = error;
  }
  await hush.close();
  const left = await holds.releaseAll();
  failure ??= left;
  if (failure !== undefined) throw asKtError(failure);
}
