// The playground's etcd: objects by resource, one revision counter, a bounded history to start watches from, and listeners.
// Objects are never changed in place: an update puts a new one in. No rules of Kubernetes in here (defaults, rights, admission:
// src/playground/api). Used by the API handlers and by the controllers.
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { ResourceType } from './api/resources.ts';
import { ApiError, alreadyExists, conflict, notFound, tooOld } from './api/status.ts';
import type { ApiObject, Manifest } from './types.ts';

/** Watches that are further behind than this get 410, as they do when etcd has compacted. */
const HISTORY_MAX = 2_000;
/** Keeps a client in a loop from filling the memory of the process that also shows the demo. */
const OBJECTS_MAX = 5_000;

export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly resource: ResourceType;
  readonly object: ApiObject;
  /** What it was before; for DELETED the last state. */
  readonly previous: ApiObject | undefined;
  readonly revision: number;
}

type Listener = (event: StoreEvent) => void;

function keyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}

export class Store {
  readonly #objects = new Map<ResourceType, Map<string, ApiObject>>();
  readonly #history: StoreEvent[] = [];
  readonly #listeners = new Set<Listener>();
  readonly #pending: StoreEvent[] = [];
  #delivering = false;
  #revision = 1;
  #count = 0;

  get revision(): number {
    return this.#revision;
  }

  get<T extends ApiObject>(type: ResourceType<T>, namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(type)?.get(keyOf(namespace, name)) as T | undefined;
  }

  /** Throws 404. */
  mustGet<T extends ApiObject>(type: ResourceType<T>, namespace: string | undefined, name: string): T {
    const object = this.get(type, namespace, name);
    if (object === undefined) throw notFound(type, name);
    return object;
  }

  /** Sorted by namespace and name, as etcd's keys are. */
  list<T extends ApiObject>(type: ResourceType<T>, namespace?: string): T[] {
    const all = [...(this.#objects.get(type)?.entries() ?? [])];
    const wanted = namespace === undefined ? all : all.filter(([, object]) => object.metadata.namespace === namespace);
    return wanted.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object as T);
  }

  /** Throws 409 where the name is taken. */
  create(type: ResourceType, manifest: Manifest): ApiObject {
    const name = manifest.metadata.name ?? '';
    const key = keyOf(manifest.metadata.namespace, name);
    const known = this.#objects.get(type) ?? new Map<string, ApiObject>();
    this.#objects.set(type, known);
    if (known.has(key)) throw alreadyExists(type, name);
    if (this.#count >= OBJECTS_MAX)
      throw new ApiError(
        500,
        '',
        `etcdserver: mvcc: database space exceeded (the playground keeps ${OBJECTS_MAX} objects)`,
      );
    const object: ApiObject = {
      ...manifest,
      metadata: {
        ...manifest.metadata,
        name,
        uid: randomUUID(),
        resourceVersion: String(this.#revision + 1),
        creationTimestamp: new Date().toISOString().replace(/\.\d+/, ''),
      },
    };
    this.#count += 1;
    known.set(key, object);
    this.#emit('ADDED', type, object, undefined);
    return object;
  }

  /** Throws 404, and 409 where `metadata.resourceVersion` is given and is not the current one. An update that changes nothing is none. */
  update(type: ResourceType, changed: ApiObject): ApiObject {
    const { namespace, name, resourceVersion } = changed.metadata;
    const current = this.mustGet(type, namespace, name);
    if (resourceVersion !== '' && resourceVersion !== undefined && resourceVersion !== current.metadata.resourceVersion)
      throw conflict(type, name);
    if (
      changed.metadata.uid !== undefined &&
      changed.metadata.uid !== '' &&
      changed.metadata.uid !== current.metadata.uid
    )
      throw conflict(
        type,
        name,
        `Precondition failed: UID in precondition: ${changed.metadata.uid}, UID in object meta: ${current.metadata.uid}`,
      );
    const keep = { uid: current.metadata.uid, creationTimestamp: current.metadata.creationTimestamp };
    const same = {
      ...changed,
      metadata: { ...changed.metadata, ...keep, resourceVersion: current.metadata.resourceVersion },
    };
    if (isDeepStrictEqual(same, current)) return current;
    const object = { ...same, metadata: { ...same.metadata, resourceVersion: String(this.#revision + 1) } };
    this.#objects.get(type)?.set(keyOf(namespace, name), object);
    this.#emit('MODIFIED', type, object, current);
    return object;
  }

  /** Changes what is there now, without a version to hold against it: for controllers. Undefined where it is gone. */
  change<T extends ApiObject>(
    type: ResourceType<T>,
    namespace: string | undefined,
    name: string,
    edit: (current: T) => ApiObject,
  ): T | undefined {
    const current = this.get(type, namespace, name);
    if (current === undefined) return undefined;
    return this.update(type, edit(current)) as T;
  }

  /** Undefined where it was not there. */
  remove(type: ResourceType, namespace: string | undefined, name: string): ApiObject | undefined {
    const current = this.get(type, namespace, name);
    if (current === undefined) return undefined;
    this.#objects.get(type)?.delete(keyOf(namespace, name));
    this.#count -= 1;
    const last = { ...current, metadata: { ...current.metadata, resourceVersion: String(this.#revision + 1) } };
    this.#emit('DELETED', type, last, current);
    return last;
  }

  /** Called for every event, in order, at once. Returns the way to stop. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The events after `revision`, oldest first. Throws 410 where they are no longer kept. */
  since(revision: number): readonly StoreEvent[] {
    const oldest = this.#history[0]?.revision ?? this.#revision + 1;
    if (revision < oldest - 1 && oldest > 2) throw tooOld(revision, oldest - 1);
    return this.#history.filter((event) => event.revision > revision);
  }

  #emit(type: StoreEvent['type'], resource: ResourceType, object: ApiObject, previous: ApiObject | undefined): void {
    this.#revision += 1;
    const event = { type, resource, object, previous, revision: this.#revision };
    this.#history.push(event);
    if (this.#history.length > HISTORY_MAX) this.#history.splice(0, HISTORY_MAX / 4);
    // A listener may change the store: its event waits, so that every listener sees all events in the order of their revisions.
    this.#pending.push(event);
    if (this.#delivering) return;
    this.#delivering = true;
    try {
      for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
        for (const listener of this.#listeners) listener(next);
      }
    } finally {
      this.#delivering = false;
    }
  }
}
