// Ends a wait at once where the user cancels. Called by whoever waits for work that changes nothing, or that goes on for others.
import { KtError } from './errors.ts';

/** What `work` gives, or CANCELLED (`while …`) as soon as `signal` aborts. The work itself is not ended by it. */
export function orCancelled<T>(work: Promise<T>, signal: AbortSignal | undefined, doing: string): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new KtError('CANCELLED', `cancelled while ${doing}`));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
