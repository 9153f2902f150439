// A watch: the events of one resource since a version, as lines of JSON, with bookmarks, 410 as an event, and a time limit.
// Selectors work as in Kubernetes: an object that stops matching is DELETED for this watch, one that starts is ADDED.
// Writes to any Writable (the HTTP response); called by api/server.ts.
import type { Writable } from 'node:stream';
import type { Store, StoreEvent } from '../store.ts';
import type { ApiObject } from '../types.ts';
import { apiVersionOf, type ResourceType } from './resources.ts';
import type { Matcher } from './selector.ts';
import { ApiError } from './status.ts';
import { toTable } from './table.ts';

/** The real server picks 30 to 60 minutes. */
const TIMEOUT_DEFAULT_S = 1_800;
const TIMEOUT_MAX_S = 3_600;
/** As the real server: about once a minute, so that a quiet watch can go on from a recent version. */
const BOOKMARK_MS = 60_000;
/** A reader who lets this much lie is cut off, as the real server does; it starts anew from its last version. */
const UNREAD_MAX_BYTES = 8 * 1024 * 1024;

export interface WatchOptions {
  readonly type: ResourceType;
  readonly namespace: string | undefined;
  readonly matches: Matcher;
  /** '' or '0': begin with what is there. */
  readonly resourceVersion: string;
  readonly bookmarks: boolean;
  /** Streaming list: what is there, then a bookmark that says so. */
  readonly initialEvents: boolean;
  readonly timeoutSeconds: number | undefined;
  readonly asTable: boolean;
}

function translate(event: StoreEvent, matches: Matcher): { type: string; object: ApiObject } | undefined {
  const now = event.type !== 'DELETED' && matches(event.object);
  const before = event.previous !== undefined && matches(event.previous);
  if (now) return { type: before ? 'MODIFIED' : 'ADDED', object: event.object };
  return before ? { type: 'DELETED', object: event.object } : undefined;
}

/** Throws ApiError for a version that is no number; runs until the time is up, the reader goes, or `signal` fires, then ends `output`. */
export function runWatch(store: Store, options: WatchOptions, output: Writable, signal: AbortSignal): void {
  const { type, namespace, matches, resourceVersion } = options;
  if (resourceVersion !== '' && !/^\d+$/.test(resourceVersion))
    throw new ApiError(
      500,
      '',
      `resourceVersion: Invalid value: ${JSON.stringify(resourceVersion)}: strconv.ParseUint: parsing ${JSON.stringify(resourceVersion)}: invalid syntax`,
    );
  const send = (kind: string, object: unknown): void => {
    if (output.writableLength > UNREAD_MAX_BYTES) output.destroy();
    else output.write(`${JSON.stringify({ type: kind, object })}\n`);
  };
  const sendObject = (kind: string, object: ApiObject): void =>
    send(kind, options.asTable ? toTable(type, [object], object.metadata.resourceVersion) : object);
  const bookmark = (annotations?: Record<string, string>): void =>
    send('BOOKMARK', {
      kind: type.kind,
      apiVersion: apiVersionOf(type),
      metadata: { resourceVersion: String(store.revision), ...(annotations === undefined ? {} : { annotations }) },
    });
  const deliver = (event: StoreEvent): void => {
    if (event.resource !== type) return;
    if (namespace !== undefined && event.object.metadata.namespace !== namespace) return;
    const seen = translate(event, matches);
    if (seen !== undefined) sendObject(seen.type, seen.object);
  };

  try {
    if (resourceVersion === '' || resourceVersion === '0' || options.initialEvents) {
      for (const object of store.list(type, namespace)) if (matches(object)) sendObject('ADDED', object);
      if (options.initialEvents) bookmark({ 'k8s.io/initial-events-end': 'true' });
    } else for (const event of store.since(Number(resourceVersion))) deliver(event);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    send('ERROR', error.body);
    output.end();
    return;
  }

  const seconds = Math.min(options.timeoutSeconds ?? TIMEOUT_DEFAULT_S, TIMEOUT_MAX_S);
  const marks = options.bookmarks ? setInterval(() => bookmark(), BOOKMARK_MS) : undefined;
  const stopListening = store.listen(deliver);
  const finish = (): void => {
    stopListening();
    clearInterval(marks);
    clearTimeout(limit);
    signal.removeEventListener('abort', end);
  };
  const end = (): void => {
    if (options.bookmarks && !signal.aborted) bookmark();
    finish();
    output.end();
  };
  const limit = setTimeout(end, seconds * 1000);
  limit.unref();
  marks?.unref();
  signal.addEventListener('abort', end, { once: true });
  output.on('close', finish);
}
