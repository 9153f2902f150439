// Fills a map from a collection and keeps it true: by watch, by list now and then where watching is not allowed, not at all where listing is not.
// Called by services.ts and ingress-hosts.ts.
import { asKtError } from '../errors.ts';
import type { ClusterApi } from './rest.ts';
import { watchList } from './watch.ts';

/** Milliseconds between two lists where watching is not allowed. */
const POLL_MS = 15_000;

/** Fills `store` from a watch. Resolves after the first list: true, or false where it is not allowed. */
export function follow<T extends { readonly metadata: { readonly name: string } }, V = T>(
  api: ClusterApi,
  path: string,
  signal: AbortSignal,
  store: Map<string, V>,
  take: (object: T) => V,
  tell: () => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    const poll = async (): Promise<void> => {
      while (!signal.aborted) {
        const list = await api.request<{ items: T[] }>('GET', path, { signal });
        store.clear();
        for (const object of list.items) store.set(object.metadata.name, take(object));
        tell();
        resolve(true);
        await pause(POLL_MS, signal);
      }
    };
    const watch = async (): Promise<void> => {
      let synced = false;
      for await (const change of watchList<T>(api, path, { signal })) {
        if (change.type === 'added' || change.type === 'modified')
          store.set(change.object.metadata.name, take(change.object));
        else if (change.type === 'deleted') store.delete(change.object.metadata.name);
        else synced = true;
        if (!synced) continue;
        tell();
        resolve(true);
      }
    };
    watch()
      .catch((error: unknown) => {
        if (signal.aborted || asKtError(error).code !== 'RIGHTS_MISSING') throw error;
        return poll();
      })
      .catch(() => resolve(false));
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
