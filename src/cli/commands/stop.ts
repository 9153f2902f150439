// `kt stop`: asks a session to end and waits until its local socket is gone, so that what follows finds nothing left.
import { existsSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { KtError } from '../../errors.ts';
import { isAlive } from '../../session/alive.ts';
import { ask, findSession, findSessions } from '../../session/control-client.ts';
import type { Arguments } from '../arguments.ts';
import { type Output, outputOf } from '../output.ts';

/** Milliseconds for a session to clean up: programs of kt up have 40 s, deleting the pod 5 s of its own. */
const END_MS = 60_000;
const LOOK_MS = 50;

export async function stop(args: Arguments): Promise<number> {
  const output = outputOf(args);
  try {
    const one =
      args['all'] === true
        ? undefined
        : await findSession(
            {
              namespace: args['namespace'] as string | undefined,
              context: args['context'] as string | undefined,
            },
            true,
          );
    const sessions = args['all'] === true ? await findSessions() : one ? [one] : [];
    if (sessions.length === 0)
      throw new KtError('SESSION_NONE', 'no session is there to stop', { hint: '`kt status` shows them' });
    if (args['plan'] === true) return planStop(sessions, output);
    for (const { path, status } of sessions) {
      await ask(path, { ask: 'stop' });
      const end = Date.now() + END_MS;
      while (isAlive(status.pid) && existsSync(path)) {
        if (Date.now() > end)
          throw new KtError('SESSION_LOST', `session ${status.session} (pid ${status.pid}) does not end`);
        await wait(LOOK_MS);
      }
    }
    output.result(
      sessions.map(({ status }) => ({ stopped: status.session })),
      sessions.map(({ status }) => `stopped ${status.namespace ?? '?'} (${status.context ?? '?'})`),
    );
    return 0;
  } catch (error) {
    return output.failure(error);
  }
}

type Found = Awaited<ReturnType<typeof findSessions>>;

/** What would end with it. */
function planStop(sessions: Found, output: Output): number {
  output.result(
    sessions.map(({ status }) => ({ wouldStop: status.session, holds: status.holds, forwards: status.forwards })),
    sessions.flatMap(({ status }) => [
      `would stop ${status.namespace ?? '?'} (${status.context ?? '?'})`,
      ...status.holds.map(({ service }) => `  gives back ${service}`),
      ...status.forwards.map(({ local }) => `  closes ${local}`),
      ...(status.agent && status.mode === 'agent' ? [`  deletes the pod ${status.agent}`] : []),
    ]),
  );
  return 0;
}
