// A list that stays true: list, then watch with bookmarks, again from the last version after a break, and list anew where that is too old.
// The consumer sees one sequence of changes; what a break hid comes as differences. Knows no kind of object.
// Called by services.ts and agent-lifecycle.ts. Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
import type { IncomingMessage } from 'node:http';
import { asKtError, KtError } from '../errors.ts';
import { LineSplitter } from './lines.codec.ts';
import type { ClusterApi, Query } from './rest.ts';
import type { Status } from './status.ts';

/** Bytes of one event: etcd takes objects of 1.5 MiB, which escapes can make several times as long. */
const LINE_MAX_BYTES = 16 * 1024 * 1024;
/** Seconds after which the API server ends a watch, chosen at random so that watches do not all start again together (client-go: 300-600). */
const WATCH_S = { min: 240, spread: 60 };
/** Milliseconds without a byte after which a watch is opened again: bookmarks come about every minute. */
const SILENCE_MS = 100_000;
/** Milliseconds between attempts: doubled each time up to the second, with half of it at random. */
const BACK_OFF_MS = { first: 200, last: 15_000 };
/** Milliseconds that a watch has to last for the next failure to be a first one. */
const STABLE_MS = 10_000;

/** `synced`: what came until now is the whole list. After a break changes may come that are several in one. */
export type Change<T> =
  | { readonly type: 'added' | 'modified' | 'deleted'; readonly object: T }
  | { readonly type: 'synced' };

export interface WatchOptions {
  readonly query?: Query | undefined;
  /** Aborting ends the sequence without an error. */
  readonly signal?: AbortSignal | undefined;
}

interface Meta {
  readonly metadata: {
    readonly uid?: string;
    readonly name?: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
  };
}

interface List {
  readonly metadata?: { readonly resourceVersion?: string };
  readonly items?: readonly Meta[] | null;
}

type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: Meta }
  | { readonly type: 'ERROR'; readonly object: Partial<Status> };

/**
 * Changes of the collection at `path` until `signal` aborts. Breaks of the connection are mended for as long as it takes.
 * Throws what waiting can't mend: RIGHTS_MISSING (to list, or after the list to watch), CREDENTIALS_REJECTED and API_TLS before the first list,
 * API_STATUS for a collection that is not there.
 */
export async function* watchList<T>(
  api: ClusterApi,
  path: string,
  options: WatchOptions = {},
): AsyncGenerator<Change<T>, void, undefined> {
  const watched = new Watched(api, path, options);
  // T is what the caller knows to be at `path`; only metadata is looked at here.
  for await (const change of watched.changes()) yield change as Change<T>;
}

class Watched {
  readonly #api: ClusterApi;
  readonly #path: string;
  readonly #query: Query;
  readonly #signal: AbortSignal;
  readonly #known = new Map<string, Meta>();
  #version = '';
  #synced = false;
  #failures = 0;

  constructor(api: ClusterApi, path: string, options: WatchOptions) {
    this.#api = api;
    this.#path = path;
    this.#query = options.query ?? {};
    this.#signal = options.signal ?? new AbortController().signal;
  }

  async *changes(): AsyncGenerator<Change<Meta>, void, undefined> {
    while (!this.#signal.aborted) {
      try {
        if (this.#version === '') yield* this.#list();
        yield* this.#watch();
      } catch (error) {
        if (this.#signal.aborted) return;
        const known = asKtError(error);
        if (statusCode(known) === 410) this.#version = '';
        else if (!this.#mends(known)) throw known;
        else await this.#pause();
      }
    }
  }

  async *#list(): AsyncGenerator<Change<Meta>, void, undefined> {
    const list = await this.#api.request<List | undefined>('GET', this.#path, {
      query: this.#query,
      signal: this.#signal,
    });
    const objects = (list?.items ?? []).filter((object) => object.metadata);
    const now = new Map(objects.map((object) => [keyOf(object), object]));
    for (const [key, object] of this.#known) if (!now.has(key)) yield this.#apply('DELETED', object);
    for (const [key, object] of now) {
      const before = this.#known.get(key);
      if (before && before.metadata.resourceVersion === object.metadata.resourceVersion) continue;
      yield this.#apply(before ? 'MODIFIED' : 'ADDED', object);
    }
    this.#version = list?.metadata?.resourceVersion ?? '';
    this.#synced = true;
    yield { type: 'synced' };
  }

  /** One watch, until it ends in order. */
  async *#watch(): AsyncGenerator<Change<Meta>, void, undefined> {
    const started = performance.now();
    const query = {
      ...this.#query,
      watch: 1,
      allowWatchBookmarks: true,
      resourceVersion: this.#version,
      timeoutSeconds: WATCH_S.min + Math.floor(Math.random() * WATCH_S.spread),
    };
    const response = await this.#api.open('GET', this.#path, { query, signal: this.#signal });
    try {
      for await (const event of events(response)) {
        if (event.type === 'ERROR')
          throw new KtError('API_STATUS', event.object.message ?? 'the watch ended with an error', {
            cause: event.object,
          });
        this.#failures = 0;
        this.#version = event.object.metadata.resourceVersion ?? this.#version;
        if (event.type !== 'BOOKMARK') yield this.#apply(event.type, event.object);
      }
    } finally {
      response.destroy();
    }
    // Ended in order, but at once: something in between does not hold long answers.
    if (performance.now() - started < STABLE_MS) await this.#pause();
  }

  #apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: Meta): Change<Meta> {
    const key = keyOf(object);
    if (type === 'DELETED') {
      this.#known.delete(key);
      return { type: 'deleted', object };
    }
    const change = this.#known.has(key) ? 'modified' : 'added';
    this.#known.set(key, object);
    return { type: change, object };
  }

  #mends({ code, cause }: KtError): boolean {
    const status = (cause as Partial<Status> | undefined)?.code ?? 0;
    if (code === 'API_UNREACHABLE' || code === 'API_PROXY') return true;
    if (code === 'API_STATUS') return status === 429 || status >= 500;
    // Credentials that were good are being renewed by someone; a certificate that was trusted is being replaced.
    return this.#synced && (code === 'CREDENTIALS_REJECTED' || code === 'CREDENTIALS_PLUGIN' || code === 'API_TLS');
  }

  #pause(): Promise<void> {
    const longest = Math.min(BACK_OFF_MS.first * 2 ** this.#failures, BACK_OFF_MS.last);
    this.#failures += 1;
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, longest / 2 + (Math.random() * longest) / 2);
      this.#signal.addEventListener('abort', done, { once: true });
    });
  }
}

async function* events(response: IncomingMessage): AsyncGenerator<WatchEvent, void, undefined> {
  const lines = new LineSplitter(LINE_MAX_BYTES);
  const silence = setTimeout(() => response.destroy(), SILENCE_MS);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      silence.refresh();
      for (const line of lines.push(chunk)) yield parseEvent(line);
    }
  } catch (error) {
    throw new KtError('API_UNREACHABLE', `the watch broke: ${(error as Error).message}`, { cause: error });
  } finally {
    clearTimeout(silence);
  }
}

function parseEvent(line: string): WatchEvent {
  const event = JSON.parse(line) as Partial<WatchEvent> | null;
  const object = event?.object as Partial<Meta> | undefined;
  if (!event?.type || !object || (event.type !== 'ERROR' && !object.metadata))
    throw new Error('an event without a type or an object');
  return event as WatchEvent;
}

const statusCode = (error: KtError): number | undefined => (error.cause as Partial<Status> | undefined)?.code;

const keyOf = ({ metadata }: Meta): string => metadata.uid ?? `${metadata.namespace ?? ''}/${metadata.name ?? ''}`;
