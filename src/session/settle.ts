// Gives back what the opening of a session needed: code that ran once, certificates, manifests. V8 would keep it for hours, since a session that idles
// makes no garbage that would have it look. Called by session.ts when it is ready.
import { collector } from '../netstack/collector.ts';

/** Milliseconds: the first requests and the first list of Services are over then. */
const SETTLED_MS = 10_000;

/** Once, later; gives what forgets it. */
export function settleMemory(): () => void {
  const timer = setTimeout(() => collector()({ type: 'major' }), SETTLED_MS);
  timer.unref();
  return () => clearTimeout(timer);
}
