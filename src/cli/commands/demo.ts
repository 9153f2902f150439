// `kt demo`: the playground; stays open to try by hand, or ends after the answers with --once.
import { demo as runDemo } from '../../modes/demo.ts';
import { endSignals } from '../end-signals.ts';
import type { Arguments } from '../options.ts';
import { outputOf } from '../output.ts';

export async function demo(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  const signals = endSignals();
  try {
    return await runDemo({
      version,
      emit: output.event,
      say: (line) => process.stdout.write(`${line}\n`),
      signal: signals.signal,
      until: args['once'] === true ? undefined : signals.received,
    });
  } catch (error) {
    return output.failure(error);
  } finally {
    signals.dispose();
  }
}
