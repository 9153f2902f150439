// Makes and removes the pods of a workload, through the same admission as everybody's, and says so in events.
// Used by controllers/replica-sets.ts and controllers/stateful-sets.ts.
import { createHash } from 'node:crypto';
import type { Objects } from '../api/objects.ts';
import { PODS } from '../api/resources.ts';
import { ApiError } from '../api/status.ts';
import { recordEvent } from '../pods/events.ts';
import type { Store } from '../store.ts';
import type { ApiObject, Labels, OwnerReference, Pod, PodTemplate } from '../types.ts';

const HASH_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

/** A stable name part for a pod template: 10 characters of Kubernetes' safe alphabet. */
export function templateHash(template: PodTemplate): string {
  const digest = createHash('sha256').update(JSON.stringify(template)).digest();
  return [...digest.subarray(0, 10)].map((byte) => HASH_ALPHABET[byte % HASH_ALPHABET.length]).join('');
}

export function ownerOf(object: ApiObject): OwnerReference {
  const { apiVersion, kind, metadata } = object;
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true, blockOwnerDeletion: true };
}

export function ownedBy(owner: ApiObject, object: ApiObject): boolean {
  return object.metadata.ownerReferences?.some((reference) => reference.uid === owner.metadata.uid) ?? false;
}

export function isReady(pod: Pod): boolean {
  const ready = pod.status.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;
  return ready && pod.metadata.deletionTimestamp === undefined;
}

/** Counts for its workload: neither ended nor on its way out. */
export function isActive(pod: Pod): boolean {
  return (
    pod.metadata.deletionTimestamp === undefined && pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed'
  );
}

export class PodFactory {
  readonly #store: Store;
  readonly #objects: Objects;
  readonly #component: string;

  constructor(store: Store, objects: Objects, component: string) {
    this.#store = store;
    this.#objects = objects;
    this.#component = component;
  }

  podsOf(owner: ApiObject): Pod[] {
    return this.#store.list(PODS, owner.metadata.namespace).filter((pod) => ownedBy(owner, pod));
  }

  /** False where admission refused it; the event has the reason. `named` is a name, or a prefix that ends in a dash. */
  create(owner: ApiObject, template: PodTemplate, named: string, labels: Labels, spec: object = {}): boolean {
    const naming = named.endsWith('-') ? { generateName: named } : { name: named };
    try {
      const pod = this.#objects.create(PODS, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          ...naming,
          namespace: owner.metadata.namespace ?? '',
          labels: { ...template.metadata?.labels, ...labels },
          ...(template.metadata?.annotations === undefined ? {} : { annotations: template.metadata.annotations }),
          ownerReferences: [ownerOf(owner)],
        },
        spec: { ...template.spec, ...spec },
      });
      this.event(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.event(owner, 'Warning', 'FailedCreate', `Error creating: ${error.message}`);
      return false;
    }
  }

  remove(owner: ApiObject, pod: Pod): void {
    this.#objects.delete(PODS, pod.metadata.namespace, pod.metadata.name, new URLSearchParams(), {});
    this.event(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`);
  }

  event(about: ApiObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    recordEvent(this.#store, about, { component: this.#component }, type, reason, message);
  }
}
