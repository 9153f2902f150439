// A session that lasts: others join it, and views may ask it to hold Services and forward ports. Opened and ended in the right order for `kt connect` and
// `kt up`; what it is made of is session/ and modes/.
import { asKtError } from '../errors.ts';
import { watchNamespace } from '../modes/birdseye/live.ts';
import { repairExpired } from '../modes/repair.ts';
import { Holds, takeForwardActions, takeHoldActions } from '../modes/session-actions.ts';
import type { Board } from '../session/board.ts';
import { Session } from '../session/session.ts';
import type { EndSignals } from './end-signals.ts';
import { inboundOf } from './inbound.ts';
import type { SessionArguments } from './options.ts';
import { takeScreenActions } from './screen-actions.ts';

export interface LastingSession {
  readonly session: Session;
  /** Gives everything back. Rejects with SERVICE_NOT_RESTORED where something is left. */
  readonly close: (reason: string) => Promise<void>;
}

/** Rejects with what stopped it; nothing is left then. */
export async function openLastingSession(
  wanted: SessionArguments,
  version: string,
  board: Board,
  signals: Pick<EndSignals, 'signal' | 'skippable'>,
): Promise<LastingSession> {
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
  return {
    session,
    close: async (reason) => {
      ending.abort();
      unwatch();
      const left = await holds.releaseAll();
      if (left === undefined) inbound.dismiss();
      await closeForwards();
      await session.close(reason);
      if (left !== undefined) throw asKtError(left);
    },
  };
}
