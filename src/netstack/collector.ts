// V8's own collector of garbage as a function, without a flag of the command line. Called where more is known of memory than V8 can guess:
// mux/buffer-memory.ts and session/settle.ts.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** `minor`: the young generation only, some 0.3 ms; `major`: everything, some 20 ms for a session. */
export type Collect = (options: { readonly type: 'minor' | 'major' }) => void;

let known: Collect | undefined;

/** The flag is set back: compiled code that is kept on disk is only used again under the same flags. */
export function collector(): Collect {
  if (known) return known;
  setFlagsFromString('--expose-gc');
  const found: unknown = runInNewContext('typeof gc === "function" ? gc : undefined');
  setFlagsFromString('--no-expose-gc');
  known = (found as Collect | undefined) ?? (() => undefined);
  return known;
}
