// StatefulSets → pods NAME-0, NAME-1, … with a host name of their own under the headless Service. One after the other, each when the
// one before is ready; from the top when there are too many or the template has changed.
import type { Objects } from '../api/objects.ts';
import { PODS, STATEFUL_SETS } from '../api/resources.ts';
import type { Store } from '../store.ts';
import type { Pod, Workload } from '../types.ts';
import { ControllerLoop } from './loop.ts';
import { isReady, PodFactory, templateHash } from './pod-factory.ts';

const REVISION = 'controller-revision-hash';

function ordinalOf(pod: Pod): number {
  return Number(pod.metadata.labels?.['apps.kubernetes.io/pod-index']);
}

export class StatefulSetController {
  readonly #store: Store;
  readonly #factory: PodFactory;
  readonly #loop: ControllerLoop;

  constructor(store: Store, objects: Objects) {
    this.#store = store;
    this.#factory = new PodFactory(store, objects, 'statefulset-controller');
    this.#loop = new ControllerLoop(store, [STATEFUL_SETS, PODS], (namespace) => this.#reconcile(namespace));
  }

  close(): void {
    this.#loop.close();
  }

  #reconcile(namespace: string): boolean {
    return this.#store.list(STATEFUL_SETS, namespace).every((set) => this.#reconcileSet(set));
  }

  #reconcileSet(set: Workload): boolean {
    const revision = `${set.metadata.name}-${templateHash(set.spec.template)}`;
    const pods = this.#factory.podsOf(set).sort((a, b) => ordinalOf(a) - ordinalOf(b));
    const complete = this.#step(set, pods, revision);
    this.#writeStatus(set, revision);
    return complete;
  }

  /** One change a round; the event that it causes brings the next round. */
  #step(set: Workload, pods: readonly Pod[], revision: string): boolean {
    const wanted = set.spec.replicas ?? 1;
    const ended = pods.find((pod) => pod.status.phase === 'Failed' || pod.status.phase === 'Succeeded');
    const extra = pods.findLast((pod) => ordinalOf(pod) >= wanted);
    if (pods.some((pod) => pod.metadata.deletionTimestamp !== undefined)) return true;
    if (ended !== undefined || extra !== undefined) {
      this.#factory.remove(set, (ended ?? extra) as Pod);
      return true;
    }
    for (let ordinal = 0; ordinal < wanted; ordinal += 1) {
      const pod = pods.find((one) => ordinalOf(one) === ordinal);
      if (pod === undefined) return this.#create(set, ordinal, revision);
      if (!isReady(pod)) return true;
    }
    const stale = pods.findLast((pod) => pod.metadata.labels?.[REVISION] !== revision);
    if (stale !== undefined) this.#factory.remove(set, stale);
    return true;
  }

  #create(set: Workload, ordinal: number, revision: string): boolean {
    const name = `${set.metadata.name}-${ordinal}`;
    const labels = {
      'apps.kubernetes.io/pod-index': String(ordinal),
      'statefulset.kubernetes.io/pod-name': name,
      [REVISION]: revision,
    };
    return this.#factory.create(set, set.spec.template, name, labels, {
      hostname: name,
      subdomain: set.spec.serviceName ?? '',
    });
  }

  #writeStatus(set: Workload, revision: string): void {
    const pods = this.#factory.podsOf(set);
    const ready = pods.filter(isReady).length;
    this.#store.change(STATEFUL_SETS, set.metadata.namespace, set.metadata.name, (now) => ({
      ...now,
      status: {
        observedGeneration: now.metadata.generation ?? 1,
        replicas: pods.length,
        currentRevision: revision,
        updateRevision: revision,
        ...(ready === 0 ? {} : { readyReplicas: ready, availableReplicas: ready }),
      },
    }));
  }
}
