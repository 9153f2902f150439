// What a command needs to hold Services: the cluster's API, the session's name, and the janitor that gives them back after kill -9.
// Of its own (`kt exchange` alone, `kt run`), or of a session that connects. Called by commands.
import { hostname } from 'node:os';
import { loadClusterConfig } from '../cluster/config.ts';
import { ClusterApi } from '../cluster/rest.ts';
import type { HoldContext } from '../modes/hold-request.ts';
import type { Board } from '../session/board.ts';
import { Janitor } from '../session/janitor.ts';
import { ktEnv } from '../session/kt-env.ts';
import { Meter } from '../session/meter.ts';
import type { Session } from '../session/session.ts';
import { shownName } from '../session/who.ts';
import type { EndSignals } from './end-signals.ts';
import type { SessionArguments } from './options.ts';

type Ends = Pick<EndSignals, 'signal' | 'skippable'>;

export interface Inbound {
  readonly context: HoldContext;
  /** From now on a dead kt is cleaned up after: to be called before the first change. */
  readonly guard: () => void;
  /** Nothing is left to clean up. */
  readonly dismiss: () => void;
  readonly close: () => void;
}

/** Without a session that connects. `board` shows it. */
export async function openInbound(
  wanted: SessionArguments,
  version: string,
  board: Board,
  ends: Ends,
): Promise<Inbound> {
  const config = await loadClusterConfig({ ...wanted, signal: ends.signal });
  const api = new ClusterApi(config);
  const { namespace, context, user, server } = config;
  const meter = new Meter(board, api);
  board.emit({
    type: 'opening',
    session: board.id,
    namespace,
    context,
    as: user,
    server,
    user: shownName(),
    host: hostname(),
    since: new Date().toISOString(),
  });
  return {
    ...guarded(wanted, context, { ...contextOf(wanted, version, board, ends), api, namespace, meter }),
    close: () => {
      meter.close();
      api.close();
    },
  };
}

/** In a session that connects. `close` closes nothing: all is the session's. */
export function inboundOf(session: Session, wanted: SessionArguments, version: string, ends: Ends): Inbound {
  const { cluster, meter, board } = session;
  const { api, namespace, context } = cluster;
  return {
    ...guarded(wanted, context, { ...contextOf(wanted, version, board, ends), api, namespace, meter }),
    close: () => undefined,
  };
}

function contextOf(
  { placement, startLimitMs, debug }: SessionArguments,
  version: string,
  board: Board,
  { signal, skippable }: Ends,
): Omit<HoldContext, 'api' | 'namespace' | 'meter'> {
  return {
    session: board.id,
    version,
    placement,
    startLimitMs,
    debug,
    emit: board.emit,
    signal,
    skippable,
    traffic: board.traffic,
  };
}

function guarded(wanted: SessionArguments, context: string, holdContext: HoldContext): Omit<Inbound, 'close'> {
  let janitor: Janitor | undefined;
  return {
    context: holdContext,
    guard: () => {
      const entry = process.argv[1];
      if (entry === undefined) return;
      const { kubeconfig } = wanted;
      const where = [...(kubeconfig ? ['--kubeconfig', kubeconfig] : []), '--context', context];
      const recover = ['recover', '--session', holdContext.session, ...where, '--namespace', holdContext.namespace];
      janitor = new Janitor([process.execPath, entry, ...recover], ktEnv(wanted));
    },
    dismiss: () => janitor?.dismiss(),
  };
}
