// `kt run -- PROGRAM`: in the open session where there is one, else in a session of its own that ends with the program.
// While the program runs, standard output is the program's alone; kt writes to standard error, and nothing unless there is trouble.
import { KtError } from '../../errors.ts';
import { runCommand } from '../../modes/run.ts';
import { ask, findSession } from '../../session/control-client.ts';
import type { SessionEvent } from '../../session/events.ts';
import { type JoinInfo, Session } from '../../session/session.ts';
import { endSignals } from '../end-signals.ts';
import { type Arguments, sessionArguments } from '../options.ts';
import { outputOf } from '../output.ts';

export async function runProgram(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  const quiet = (event: SessionEvent): void => {
    const trouble =
      event.type === 'warning' ||
      event.type === 'error' ||
      (event.type === 'step' && (event.state === 'waiting' || event.state === 'failed'));
    if (
      output.json ||
      args['debug'] === true ||
      trouble ||
      event.type === 'link' ||
      (event.type === 'agent' && event.state === 'lost')
    ) {
      if (event.type !== 'link' || event.state === 'down' || output.json) output.event(event);
    }
  };
  const command = commandOf(args);
  let session: Session | undefined;
  try {
    if (command.length === 0)
      throw new KtError('USAGE', 'no program was named', { hint: 'kt run -- mvn spring-boot:run' });
    const wanted = sessionArguments(args);
    const open = await findSession({ namespace: wanted.namespace, context: wanted.context });
    let join: JoinInfo;
    if (open && open.status.phase === 'ready') join = await ask<JoinInfo>(open.path, { ask: 'join' });
    else {
      const signals = endSignals();
      try {
        session = await Session.open({ ...wanted, version, shared: false }, quiet, signals.signal);
        join = session.join;
      } finally {
        signals.dispose();
      }
    }
    return await runCommand(command, join, quiet);
  } catch (error) {
    return output.failure(error);
  } finally {
    await session?.close('the program ended');
  }
}

/** What follows `--`, or the words after `run` where there is none. */
function commandOf(args: Arguments): string[] {
  const after = args['--'] ?? args['cmd'];
  return Array.isArray(after) ? after.map(String) : [];
}
