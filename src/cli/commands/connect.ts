// `kt connect`: opens a session and holds it until a signal, a view or `kt stop` ends it. Views may ask it to hold Services and to forward
// ports meanwhile, and to go to another namespace.
import { asKtError } from '../../errors.ts';
import { Board } from '../../session/board.ts';
import { type Arguments } from '../arguments.ts';
import { endSignals } from '../end-signals.ts';
import { openLastingSession } from '../lasting-session.ts';
import { type SessionArguments, sessionArguments } from '../options.ts';
import { outputOf } from '../output.ts';
import { connectPlan, showPlans } from '../plans.ts';
import { Hush, wantsScreen } from '../screen.ts';

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
  const { session, close } = await openLastingSession(wanted, version, board, signals);
  board.onAction('switch', ({ context, namespace }) => {
    goOn({ context: context ?? wanted.context, namespace: namespace ?? undefined });
    return {};
  });
  const next = await Promise.race([session.ended, signals.received, leaving]);
  // On to another place it stays; else what follows is for the terminal's own lines.
  if (typeof next === 'string') await hush.close();
  await close(typeof next === 'string' ? next : `on to ${next.namespace ?? next.context ?? 'another place'}`);
  return typeof next === 'string' ? undefined : next;
}
