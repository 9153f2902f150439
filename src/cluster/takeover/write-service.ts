// How a Service is written while others may write it too: a merge patch on the version that was read, again with the new one after a
// conflict. Knows no plan; what is written is apply.ts's, keep.ts's and restore.ts's to say. Source: RFC 7386.

import { servicePath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { statusCode } from '../status.ts';
import { journalOf } from './journal.ts';
import { leadsToAgent } from './selector.ts';
import { ENDING_ANNOTATION, type ServiceObject } from './types.ts';

/** Attempts of one write when others write the Service at the same time (409). */
const CONFLICTS_MAX = 8;

export const isTaken = (service: ServiceObject): boolean => leadsToAgent(service) && journalOf(service) !== undefined;

export async function patchService(
  api: ClusterApi,
  namespace: string,
  name: string,
  body: object,
  signal?: AbortSignal,
): Promise<void> {
  await api.request('PATCH', servicePath(namespace, name), {
    body,
    contentType: 'application/merge-patch+json',
    signal,
  });
}

/**
 * Reads the Service and writes the merge patch that `patchOf` makes of it; true: written, false: `patchOf` wants nothing written.
 * The patch has to carry the resourceVersion. Rejects with what `patchOf` throws, and with what the API says but for conflicts.
 */
export async function writeService(
  api: ClusterApi,
  namespace: string,
  name: string,
  patchOf: (current: ServiceObject) => object | undefined | Promise<object | undefined>,
  signal?: AbortSignal,
): Promise<boolean> {
  for (let attempt = 1; ; attempt += 1) {
    const current = await api.request<ServiceObject>('GET', servicePath(namespace, name), { signal });
    try {
      const body = await patchOf(current);
      if (body === undefined) return false;
      await patchService(api, namespace, name, body, signal);
      return true;
    } catch (error) {
      if (statusCode(error) !== 409 || attempt >= CONFLICTS_MAX) throw error;
    }
  }
}

/** Makes it another version, so that a patch of ours fails (409) whose answer did not come and which may still be on its way. */
export async function fenceService(api: ClusterApi, namespace: string, name: string): Promise<void> {
  const mark = (value: string | null): Promise<boolean> =>
    writeService(api, namespace, name, ({ metadata: { resourceVersion } }) => ({
      metadata: { resourceVersion, annotations: { [ENDING_ANNOTATION]: value } },
    }));
  await mark('yes');
  await mark(null);
}
