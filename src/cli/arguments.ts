// Reads one flag's value as yargs leaves it: text, list, whole number. Not which flags there are: options.ts and its neighbours, who call this.
import { KtError } from '../errors.ts';

/** Arguments as yargs leaves them; every key exists in camelCase. */
export type Arguments = Readonly<Record<string, unknown>>;

/** undefined: not given, or empty. */
export const text = (args: Arguments, name: string): string | undefined =>
  typeof args[name] === 'string' && args[name] !== '' ? args[name] : undefined;

export function list(args: Arguments, name: string): string[] {
  const value = args[name];
  return (Array.isArray(value) ? value : [])
    .flatMap((one) => String(one).split(','))
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

/** undefined: not given. Throws USAGE with the flag's name outside of the limits. */
export function number(
  args: Arguments,
  name: string,
  flag: string,
  limits: readonly [number, number],
): number | undefined {
  const value = args[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < limits[0] || value > limits[1]) {
    throw new KtError('USAGE', `--${flag} takes a whole number from ${limits[0]} to ${limits[1]}`);
  }
  return value;
}
