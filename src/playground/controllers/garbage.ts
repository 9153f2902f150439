// What goes with its owner: objects whose ownerReferences name a deleted object, the Endpoints of a deleted Service, everything in a
// deleted namespace. Pods go through their grace period.
import type { Objects } from '../api/objects.ts';
import { ENDPOINTS, NAMESPACES, RESOURCES, SERVICES } from '../api/resources.ts';
import type { Store, StoreEvent } from '../store.ts';

export class GarbageController {
  readonly #store: Store;
  readonly #objects: Objects;
  readonly #stopListening: () => void;

  constructor(store: Store, objects: Objects) {
    this.#store = store;
    this.#objects = objects;
    this.#stopListening = store.listen((event) => this.#onEvent(event));
  }

  close(): void {
    this.#stopListening();
  }

  #onEvent(event: StoreEvent): void {
    if (event.type !== 'DELETED') return;
    const { uid, name, namespace } = event.object.metadata;
    if (event.resource === SERVICES) this.#store.remove(ENDPOINTS, namespace, name);
    for (const type of RESOURCES) {
      if (!type.namespaced) continue;
      const inside = this.#store.list(type, event.resource === NAMESPACES ? name : namespace);
      for (const object of inside) {
        const owned = object.metadata.ownerReferences?.some((reference) => reference.uid === uid) ?? false;
        if (event.resource !== NAMESPACES && !owned) continue;
        this.#objects.delete(type, object.metadata.namespace, object.metadata.name, new URLSearchParams(), {});
      }
    }
  }
}
