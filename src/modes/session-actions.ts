// What views may ask a running session for, done as the commands do it: holds, forwards, recover, routes. Registers with the session's
// board, so that the session need not know the modes. Called by the commands that hold a session (connect, exchange, mesh, preview).

import { parseExpose } from '../cluster/takeover/ports.ts';
import type { TakeoverPlan } from '../cluster/takeover/types.ts';
import { KtError } from '../errors.ts';
import type { HoldWish, PlanAnswer } from '../session/actions.ts';
import type { Board } from '../session/board.ts';
import { connectLocal } from '../session/inbound/local-port.ts';
import type { Session } from '../session/session.ts';
import type { OwnListeners } from '../session/types.ts';
import { forwardListeners } from './forward.ts';
import { hold, planHolds } from './hold.ts';
import type { Held, HoldContext, HoldRequest, PlannedHold } from './hold-request.ts';
import { parseMark } from './mark.ts';
import { recoverByName, recoveredText } from './recover.ts';

/** Ports that a form may ask about at once. */
const PORTS_MAX = 64;

/** The Services that one kt holds. Each is given up on its own, or all at the end. */
export class Holds {
  readonly #context: HoldContext;
  readonly #guard: () => void;
  readonly #held = new Map<string, Held>();
  readonly #starting = new Set<Promise<Held>>();
  #guarded = false;

  /** `guard` is called once, before the first change: from then on a dead kt is cleaned up after. */
  constructor(context: HoldContext, guard: () => void) {
    this.#context = context;
    this.#guard = guard;
  }

  /** All are checked before the first is changed. */
  plan(requests: readonly HoldRequest[]): Promise<PlannedHold[]> {
    for (const { target } of requests) {
      const name = target.replace(/^.*\//, '');
      if (this.#held.has(name))
        throw new KtError('SERVICE_HELD', `this session holds ${name} already`, { hint: 'release it first' });
    }
    return planHolds(this.#context, requests);
  }

  async hold(planned: PlannedHold): Promise<void> {
    if (!this.#guarded) this.#guard();
    this.#guarded = true;
    const starting = hold(this.#context, planned);
    this.#starting.add(starting);
    try {
      const held = await starting;
      this.#held.set(held.plan.service, held);
    } finally {
      this.#starting.delete(starting);
    }
  }

  /** Rejects with SERVICE_NOT_RESTORED; `kt recover` is for what is left then. */
  async release(service: string): Promise<void> {
    const held = this.#held.get(service);
    if (!held) throw new KtError('USAGE', `this session does not hold ${service}`);
    this.#held.delete(service);
    await held.release();
  }

  /** Also what is being taken right now. Gives the first error, where something is left. */
  async releaseAll(): Promise<unknown> {
    await Promise.allSettled(this.#starting);
    const results = await Promise.allSettled([...this.#held.keys()].map((service) => this.release(service)));
    return results.find((result) => result.status === 'rejected')?.reason;
  }
}

/** A hold, its plan, its end, and `recover`. */
export function takeHoldActions(board: Board, holds: Holds, { api, namespace, version }: HoldContext): void {
  board.onAction('plan', async ({ hold: wish }) => {
    const [planned] = await holds.plan([requestOf(wish, true)]);
    if (!planned) throw new KtError('INTERNAL', 'no plan came out');
    return planAnswer(planned.plan);
  });
  board.onAction('hold', async ({ hold: wish }) => {
    const [planned] = await holds.plan([requestOf(wish)]);
    if (planned) await holds.hold(planned);
    return { service: planned?.plan.service ?? wish.service };
  });
  board.onAction('release', async ({ service }) => {
    await holds.release(service);
    return { service };
  });
  board.onAction('recover', async ({ service }) => {
    return { lines: (await recoverByName(api, namespace, service, { version })).map(recoveredText) };
  });
  board.onAction('listening', async ({ ports }) => {
    const open = await Promise.all(ports.slice(0, PORTS_MAX).map(async (port) => ((await listens(port)) ? port : 0)));
    return { ports: open.filter((port) => port > 0) };
  });
}

/** Local ports that lead into the cluster. Gives the function that closes them. */
export function takeForwardActions(board: Board, session: Session): () => Promise<void> {
  const open = new Map<string, OwnListeners>();
  board.onAction('forward', async ({ words }) => {
    const { cluster } = session;
    const dialer = session.forwardDialer();
    const mode = board.state.mode ?? 'agent';
    const listen = forwardListeners(words, { address: '127.0.0.1', ownIp: false, udp: false }, false);
    const listeners = await listen({ dialer, cluster, mode, emit: board.emit });
    for (const forward of listeners.forwards) {
      open.set(forward.local, listeners);
      board.emit({ type: 'forwarding', ...forward });
    }
    return { locals: listeners.forwards.map(({ local }) => local) };
  });
  board.onAction('unforward', async ({ local }) => {
    const listeners = open.get(local);
    if (!listeners) throw new KtError('USAGE', `${local} is not forwarded by this session`);
    // Ports that were asked for together end together.
    for (const [other, those] of open) {
      if (those !== listeners) continue;
      open.delete(other);
      board.emit({ type: 'unforwarded', local: other });
    }
    await listeners.close();
    return {};
  });
  return async () => {
    await Promise.all([...new Set(open.values())].map((listeners) => listeners.close()));
    open.clear();
  };
}

/** Throws USAGE. */
function requestOf(wish: HoldWish, planOnly = false): HoldRequest {
  return {
    kind: wish.kind,
    mode: 'selector',
    target: wish.service,
    ports: parseExpose(wish.ports),
    match: wish.kind === 'mesh' ? parseMark(wish.mark ?? undefined) : { kind: 'all' },
    takeOver: wish.takeOver,
    drain: wish.drain,
    external: false,
    skipPortChecking: planOnly || wish.skipPortChecking,
  };
}

const planAnswer = ({ service, kind, ports, joins, steps, warnings }: TakeoverPlan): PlanAnswer => ({
  service,
  kind,
  ports: ports.map(({ servicePort, local, protocol }) => ({ port: servicePort, local, protocol })),
  joins,
  steps,
  warnings,
});

async function listens(port: number): Promise<boolean> {
  const socket = await connectLocal(port).catch(() => undefined);
  socket?.destroy();
  return socket !== undefined;
}
