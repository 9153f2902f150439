// Event objects (v1) about pods and workloads: what `kubectl describe` shows and kt reads to say why something waits. The same event
// again counts up. Bounded per namespace. Used by pods/runner.ts and the controllers.
import { randomBytes } from 'node:crypto';
import { EVENTS } from '../api/resources.ts';
import type { Store } from '../store.ts';
import type { ApiObject } from '../types.ts';

/** The real ones live for an hour. */
const PER_NAMESPACE_MAX = 500;

export interface EventSource {
  readonly component: string;
  readonly host?: string;
}

export function recordEvent(
  store: Store,
  about: ApiObject,
  source: EventSource,
  type: 'Normal' | 'Warning',
  reason: string,
  message: string,
): void {
  const namespace = about.metadata.namespace ?? 'default';
  const time = new Date().toISOString().replace(/\.\d+/, '');
  const all = store.list(EVENTS, namespace);
  const known = all.find(
    (event) => event.involvedObject.uid === about.metadata.uid && event.reason === reason && event.message === message,
  );
  if (known !== undefined) {
    store.change(EVENTS, namespace, known.metadata.name, (event) => ({
      ...event,
      count: event.count + 1,
      lastTimestamp: time,
    }));
    return;
  }
  if (all.length >= PER_NAMESPACE_MAX) {
    const oldest = all.toSorted((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))[0];
    if (oldest !== undefined) store.remove(EVENTS, namespace, oldest.metadata.name);
  }
  store.create(EVENTS, {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${about.metadata.name}.${randomBytes(8).toString('hex')}`, namespace },
    involvedObject: {
      kind: about.kind,
      namespace,
      name: about.metadata.name,
      uid: about.metadata.uid,
      apiVersion: about.apiVersion,
      resourceVersion: about.metadata.resourceVersion,
    },
    reason,
    message,
    source,
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
    type,
    eventTime: null,
    reportingComponent: source.component,
    reportingInstance: source.host ?? '',
  });
}
