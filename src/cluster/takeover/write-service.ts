// How a Service is written while others may write it too: a merge patch on the version that was read, again with the new one after a
// conflict. Knows no plan; what is written is apply.ts's, keep.ts's and restore.ts's to say. Source: RFC 7386.

import { servicePath } from '../paths.ts';
import type { ClusterApi } from '../rest.ts';
import { statusCode } from '../status.ts';
import { journalOf } from './journal.ts';
import { agentLabels } from './manifests.ts';
import type { ServiceObject } from './types.ts';

/** Attempts of one write when others write the Service at the same time (409). */
const CONFLICTS_MAX = 8;

type Selector = Readonly<Record<string, string>>;

/** The part of a merge patch that makes `from` to `to`: a merge patch leaves what it does not name. */
export function replaceSelector(from: Selector = {}, to: Selector = {}): Record<string, string | null> {
  return { ...Object.fromEntries(Object.keys(from).map((key) => [key, null])), ...to };
}

/** Its selector is the agent's. */
export function leadsToAgent({ metadata: { name }, spec: { selector = {} } }: ServiceObject): boolean {
  return Object.entries(agentLabels(name)).every(([key, value]) => selector[key] === value);
}

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
