// `kt connect`: opens a session and holds it until a signal, a view or `kt stop` ends it. Views may ask it to hold Services and to forward
// ports meanwhile, and to go to another namespace.
import { asKtError } from '../../errors.ts';
import { watchNamespace } from '../../modes/birdseye/live.ts';
import { repairExpired } from '../../modes/repair.ts';
import { Holds, takeForwardActions, takeHoldActions } from '../../modes/session-actions.ts';
import { Board } from '../../session/board.ts';
import { Session } from '../../session/session.ts';
import { type Arguments } from '../arguments.ts';
import { endSignals } from '../end-signals.ts';
import { inboundOf } from '../inbound.ts';
import { type SessionArguments, sessionArguments } from '../options.ts';
import { outputOf } from '../output.ts';
import { connectPlan, showPlans } from '../plans.ts';
import { Hush, wantsScreen } from '../screen.ts';
import { takeScreenActions } from '../screen-actions.ts';

type Place = Pick<SessionArguments, 'context' | 'namespace'>;

export async function connect(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  const signals = endSignals();
  const hush = new Hush(output);
  const board: Board = new Board((event) => {
    hush.event(event);
    // Not before: a credentials plugin may have asked something on the terminal until the first requests were answered.
    if (event.type === 'step' && event.id === 'link' && event.state === 'started' && wantsScreen(args))
      hush.open(board);
  });
  try {
    const wanted = sessionArguments(args);
    if (args['plan'] === true) return showPlans(output, await connectPlan(wanted, version, signals), []);
    let place: Place | undefined = wanted;
    // Where it came from, to go back to where the next place can't be opened.
    let before: Place | undefined;
    while (place) {
      const here: SessionArguments = { ...wanted, ...place };
      try {
        const next = await stay(here, version, board, signals, hush);
        [before, place] = [place, next];
      } catch (error) {
        if (before === undefined || signals.signal.aborted) throw error;
        const { code, message, hint } = asKtError(error);
        board.emit({ type: 'error', code, message, ...(hint ? { hint } : {}) });
        [place, before] = [before, undefined];
      }
    }
    return 0;
  } catch (error) {
    await hush.close();
    return output.failure(error);
  } finally {
    board.close();
    signals.dispose();
  }
}

/** One session, until it ends: undefined, or where to go on. */
async function stay(
  wanted: SessionArguments,
  version: string,
  board: Board,
  signals: ReturnType<typeof endSignals>,
  hush: Hush,
): Promise<Place | undefined> {
  let goOn: (place: Place) => void = () => undefined;
  const leaving = new Promise<Place>((resolve) => {
    goOn = resolve;
  });
  const ending = new AbortController();
  const session = await Session.open({ ...wanted, version, shared: true, board }, board.emit, signals.signal);
  const inbound = inboundOf(session, wanted, version, { signal: ending.signal, skippable: signals.skippable });
  const holds = new Holds(inbound.context, inbound.guard);
  takeHoldActions(board, holds, inbound.context);
  void repairExpired(inbound.context);
  const closeForwards = takeForwardActions(board, session);
  takeScreenActions(board, session, wanted, version);
  const { api, namespace } = session.cluster;
  const unwatch = board.whileWatched(...watchNamespace(api, namespace, version, board.emit));
  board.onAction('switch', ({ context, namespace }) => {
    goOn({ context: context ?? wanted.context, namespace: namespace ?? undefined });
    return {};
  });
  const next = await Promise.race([session.ended, signals.received, leaving]);
  // On to another place it stays; else what follows is for the terminal's own lines.
  if (typeof next === 'string') await hush.close();
  ending.abort();
  unwatch();
  const left = await holds.releaseAll();
  if (left === undefined) inbound.dismiss();
  await closeForwards();
  await session.close(typeof next === 'string' ? next : `on to ${next.namespace ?? next.context ?? 'another place'}`);
  if (left !== undefined) throw asKtError(left);
  return typeof next === 'string' ? undefined : next;
}
