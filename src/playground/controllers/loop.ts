// The loop that all controllers share: a change of an interesting resource marks its namespace, and soon after the namespace is
// reconciled as a whole. Nothing is remembered between rounds, so a round may come at any time. Used by controllers/*.ts.
import type { ResourceType } from '../api/resources.ts';
import type { Store } from '../store.ts';

/** After a round that could not do all it wanted (a pod was refused): again in this time, doubled up to the limit. */
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 15_000;

/** Returns false where something is left to do later. */
export type Reconcile = (namespace: string) => boolean;

export class ControllerLoop {
  readonly #reconcile: Reconcile;
  readonly #marked = new Set<string>();
  readonly #retries = new Map<string, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #stopListening: () => void;
  #planned: NodeJS.Immediate | undefined;

  constructor(store: Store, interests: readonly ResourceType[], reconcile: Reconcile) {
    this.#reconcile = reconcile;
    this.#stopListening = store.listen((event) => {
      const namespace = event.object.metadata.namespace;
      if (namespace !== undefined && interests.includes(event.resource)) this.#mark(namespace);
    });
  }

  close(): void {
    this.#stopListening();
    if (this.#planned !== undefined) clearImmediate(this.#planned);
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #mark(namespace: string): void {
    this.#marked.add(namespace);
    this.#planned ??= setImmediate(() => this.#run());
  }

  #run(): void {
    this.#planned = undefined;
    for (const namespace of this.#marked) {
      this.#marked.delete(namespace);
      let complete = false;
      try {
        complete = this.#reconcile(namespace);
      } catch (error) {
        // A defect of ours, or an object that no schema foresaw: the others shall go on.
        process.emitWarning(error instanceof Error ? error : String(error));
      }
      if (complete) this.#retries.delete(namespace);
      else this.#retry(namespace);
    }
  }

  #retry(namespace: string): void {
    const tries = this.#retries.get(namespace) ?? 0;
    this.#retries.set(namespace, tries + 1);
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        this.#mark(namespace);
      },
      Math.min(RETRY_FIRST_MS * 2 ** tries, RETRY_MAX_MS),
    );
    this.#timers.add(timer);
  }
}
