// `kt forward TARGET [PORTS…] …`: holds local ports that lead into the cluster, in a session of its own, until a signal or `kt stop`.
import { forwardListeners } from '../../modes/forward.ts';
import { repairExpired } from '../../modes/repair.ts';
import { Session } from '../../session/session.ts';
import { type Arguments } from '../arguments.ts';
import { endSignals } from '../end-signals.ts';
import { forwardSettings, forwardWords } from '../forward-options.ts';
import { sessionArguments } from '../options.ts';
import { outputOf } from '../output.ts';
import { connectPlan, showPlans } from '../plans.ts';

export async function forward(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  const signals = endSignals();
  try {
    const wanted = sessionArguments(args);
    // Read first: words that say nothing are told now too.
    const listen = forwardListeners(forwardWords(args), forwardSettings(args), wanted.debug);
    if (args['plan'] === true) return showPlans(output, await connectPlan(wanted, version, signals), []);
    const session = await Session.open({ ...wanted, version, shared: false, listen }, output.event, signals.signal);
    const { api, namespace } = session.cluster;
    void repairExpired({ api, namespace, version, emit: output.event });
    await session.close(await Promise.race([session.ended, signals.received]));
    return 0;
  } catch (error) {
    return output.failure(error);
  } finally {
    signals.dispose();
  }
}
