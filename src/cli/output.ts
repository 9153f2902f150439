// Where a command writes: events as plain lines on standard error, or as NDJSON on standard output. Results (what was asked for) go
// to standard output in both. Called by every command.
import { asKtError } from '../errors.ts';
import type { EventSink, StampedEvent } from '../session/events.ts';
import type { Arguments } from './arguments.ts';
import { plainLines } from './view/plain.ts';

export interface Output {
  readonly json: boolean;
  readonly event: EventSink;
  /** The result of a command: an object in JSON, lines otherwise. */
  result(value: unknown, lines: readonly string[]): void;
  /** Reports the error that ends the command and gives its exit code. */
  failure(error: unknown): number;
}

export function outputOf(args: Arguments): Output {
  const json = args['output'] === 'json';
  const debug = args['debug'] === true;
  const event: EventSink = (one) => {
    if (json) {
      const stamped: StampedEvent = { time: new Date().toISOString(), ...one };
      process.stdout.write(`${JSON.stringify(stamped)}\n`);
    } else
      for (const line of plainLines(one, debug || (one.type === 'environment' && args['envDiff'] === true)))
        process.stderr.write(`${line}\n`);
  };
  return {
    json,
    event,
    result(value, lines) {
      process.stdout.write(json ? `${JSON.stringify(value)}\n` : lines.map((line) => `${line}\n`).join(''));
    },
    failure(error) {
      const known = asKtError(error);
      event({ type: 'error', code: known.code, message: known.message, ...(known.hint ? { hint: known.hint } : {}) });
      if (known.code === 'INTERNAL' && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
      return known.exitCode;
    },
  };
}
