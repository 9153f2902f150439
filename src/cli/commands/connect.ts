// `kt connect`: opens a session and holds it until a signal or `kt stop` ends it.
import { Session } from '../../session/session.ts';
import { endSignals } from '../end-signals.ts';
import { type Arguments, sessionArguments } from '../options.ts';
import { outputOf } from '../output.ts';

export async function connect(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  const signals = endSignals();
  try {
    const wanted = sessionArguments(args);
    const session = await Session.open({ ...wanted, version, shared: true }, output.event, signals.signal);
    const reason = await Promise.race([session.ended, signals.received]);
    await session.close(reason);
    return 0;
  } catch (error) {
    return output.failure(error);
  } finally {
    signals.dispose();
  }
}
