// `kt demo`: the playground; stays open to try by hand, or ends after the answers with --once.
import { demo as runDemo } from '../../modes/demo.ts';
import type { Arguments } from '../arguments.ts';
import { endSignals } from '../end-signals.ts';
import { outputOf } from '../output.ts';

export async function demo(args: Arguments, version: string): Promise<number> {
  const output = outputOf(args);
  const signals = endSignals();
  const { json, event: emit } = output;
  // The demo tells these in its own words, in the midst of others. NDJSON has standard output for itself.
  const told = new Set(['ready', 'holding', 'ended']);
  try {
    return await runDemo({
      version,
      emit: json ? emit : (event) => (told.has(event.type) ? undefined : emit(event)),
      say: (line) => (json ? process.stderr : process.stdout).write(`${line}\n`),
      signal: signals.signal,
      until: args['once'] === true ? undefined : signals.received,
    });
  } catch (error) {
    return output.failure(error);
  } finally {
    signals.dispose();
  }
}
