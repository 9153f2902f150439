// Deployments → ReplicaSets → pods. A change of the template makes a new ReplicaSet; the old one goes when the new one is ready
// (`Recreate`: before it starts). Simpler than the real one: no surge arithmetic, no rollback, no pausing.
import type { Objects } from '../api/objects.ts';
import { apiVersionOf, DEPLOYMENTS, PODS, REPLICA_SETS } from '../api/resources.ts';
import { matchesLabels } from '../api/selector.ts';
import type { Store } from '../store.ts';
import type { Condition, Pod, Workload } from '../types.ts';
import { ControllerLoop } from './loop.ts';
import { isActive, isReady, ownedBy, ownerOf, PodFactory, templateHash } from './pod-factory.ts';

/** Of one ReplicaSet in one round: a mistyped number of replicas shall not start a thousand processes. */
const CREATE_MAX = 20;

interface Counts {
  readonly replicas?: number;
  readonly readyReplicas?: number;
}

const counts = (set: Workload): Counts => set.status ?? {};

export class ReplicaSetController {
  readonly #store: Store;
  readonly #sets: PodFactory;
  readonly #deployments: PodFactory;
  readonly #loops: readonly ControllerLoop[];

  constructor(store: Store, objects: Objects) {
    this.#store = store;
    this.#sets = new PodFactory(store, objects, 'replicaset-controller');
    this.#deployments = new PodFactory(store, objects, 'deployment-controller');
    this.#loops = [
      new ControllerLoop(store, [DEPLOYMENTS, REPLICA_SETS], (namespace) => this.#reconcileDeployments(namespace)),
      new ControllerLoop(store, [REPLICA_SETS, PODS], (namespace) => this.#reconcileSets(namespace)),
    ];
  }

  close(): void {
    for (const loop of this.#loops) loop.close();
  }

  #reconcileDeployments(namespace: string): boolean {
    for (const deployment of this.#store.list(DEPLOYMENTS, namespace)) this.#rollOut(deployment);
    return true;
  }

  #rollOut(deployment: Workload): void {
    const { namespace, name } = deployment.metadata;
    const hash = templateHash(deployment.spec.template);
    const wanted = deployment.spec.replicas ?? 1;
    const sets = this.#store.list(REPLICA_SETS, namespace).filter((set) => ownedBy(deployment, set));
    const old = sets.filter((set) => set.metadata.name !== `${name}-${hash}`);
    const recreate = deployment.spec.strategy?.type === 'Recreate';
    const oldPods = old.reduce((sum, set) => sum + (counts(set).replicas ?? 0), 0);
    const current = sets.find((set) => set.metadata.name === `${name}-${hash}`);
    if (current === undefined) {
      if (!recreate || oldPods === 0) this.#createSet(deployment, hash, wanted);
    } else if (current.spec.replicas !== wanted) this.#scale(deployment, current, wanted);
    const replaced = current !== undefined && (counts(current).readyReplicas ?? 0) >= wanted;
    if (replaced || recreate) for (const set of old) if (set.spec.replicas !== 0) this.#scale(deployment, set, 0);
    this.#writeDeploymentStatus(deployment, sets, current);
  }

  #createSet(deployment: Workload, hash: string, replicas: number): void {
    const { namespace, name, labels } = deployment.metadata;
    const { template, selector } = deployment.spec;
    const own = { 'pod-template-hash': hash };
    this.#store.create(REPLICA_SETS, {
      apiVersion: apiVersionOf(REPLICA_SETS),
      kind: 'ReplicaSet',
      metadata: {
        name: `${name}-${hash}`,
        namespace: namespace ?? '',
        labels: { ...labels, ...template.metadata?.labels, ...own },
        generation: 1,
        ownerReferences: [ownerOf(deployment)],
      },
      spec: {
        replicas,
        selector: { matchLabels: { ...selector.matchLabels, ...own } },
        template: { ...template, metadata: { ...template.metadata, labels: { ...template.metadata?.labels, ...own } } },
      },
      status: { replicas: 0 },
    });
    this.#deployments.event(
      deployment,
      'Normal',
      'ScalingReplicaSet',
      `Scaled up replica set ${name}-${hash} from 0 to ${replicas}`,
    );
  }

  #scale(deployment: Workload, set: Workload, replicas: number): void {
    const before = set.spec.replicas ?? 0;
    const { namespace, name } = set.metadata;
    this.#store.change(REPLICA_SETS, namespace, name, (now) => ({ ...now, spec: { ...now.spec, replicas } }));
    const way = replicas > before ? 'up' : 'down';
    this.#deployments.event(
      deployment,
      'Normal',
      'ScalingReplicaSet',
      `Scaled ${way} replica set ${name} from ${before} to ${replicas}`,
    );
  }

  #writeDeploymentStatus(deployment: Workload, sets: readonly Workload[], current: Workload | undefined): void {
    const { namespace, name, generation } = deployment.metadata;
    const sum = (field: keyof Counts): number => sets.reduce((total, set) => total + (counts(set)[field] ?? 0), 0);
    const ready = sum('readyReplicas');
    const available = ready >= (deployment.spec.replicas ?? 1);
    const before = ((deployment.status ?? {}) as { conditions?: readonly Condition[] }).conditions?.[0];
    const status = available ? 'True' : 'False';
    const time = new Date().toISOString().replace(/\.\d+/, '');
    const condition: Condition = {
      type: 'Available',
      status,
      lastTransitionTime: before?.status === status ? before.lastTransitionTime : time,
      reason: available ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
      message: `Deployment ${available ? 'has' : 'does not have'} minimum availability.`,
    };
    const number = (field: string, value: number): object => (value === 0 ? {} : { [field]: value });
    this.#store.change(DEPLOYMENTS, namespace, name, (now) => ({
      ...now,
      status: {
        observedGeneration: generation ?? 1,
        ...number('replicas', sum('replicas')),
        ...number('updatedReplicas', current === undefined ? 0 : (counts(current).replicas ?? 0)),
        ...number('readyReplicas', ready),
        ...number('availableReplicas', ready),
        conditions: [condition],
      },
    }));
  }

  #reconcileSets(namespace: string): boolean {
    let complete = true;
    for (const set of this.#store.list(REPLICA_SETS, namespace)) {
      this.#claim(set);
      const pods = this.#sets.podsOf(set).filter(isActive);
      const missing = (set.spec.replicas ?? 1) - pods.length;
      for (let made = 0; made < Math.min(missing, CREATE_MAX); made += 1) {
        if (this.#sets.create(set, set.spec.template, `${set.metadata.name}-`, {})) continue;
        complete = false;
        break;
      }
      // Those that are not ready first, then the newest.
      const made = (pod: Pod): string => pod.metadata.creationTimestamp ?? '';
      const surplus = pods
        .toSorted((a, b) => Number(isReady(a)) - Number(isReady(b)) || made(b).localeCompare(made(a)))
        .slice(0, Math.max(0, -missing));
      for (const pod of surplus) this.#sets.remove(set, pod);
      this.#writeSetStatus(set);
    }
    return complete;
  }

  /** Pods whose labels were changed leave their set; those of nobody that fit come to it. */
  #claim(set: Workload): void {
    for (const pod of this.#store.list(PODS, set.metadata.namespace)) {
      if (!isActive(pod)) continue;
      const { name, namespace, labels, ownerReferences = [] } = pod.metadata;
      const fits = matchesLabels(set.spec.selector.matchLabels, labels);
      const owned = ownedBy(set, pod);
      if (fits === owned || (fits && ownerReferences.some(({ controller }) => controller === true))) continue;
      const others = ownerReferences.filter(({ uid }) => uid !== set.metadata.uid);
      const owners = fits ? [...others, ownerOf(set)] : others;
      this.#store.change(PODS, namespace, name, (now) => ({
        ...now,
        metadata: { ...now.metadata, ownerReferences: owners },
      }));
    }
  }

  #writeSetStatus(set: Workload): void {
    const pods = this.#sets.podsOf(set).filter(isActive);
    const ready = pods.filter(isReady).length;
    this.#store.change(REPLICA_SETS, set.metadata.namespace, set.metadata.name, (now) => ({
      ...now,
      status: {
        replicas: pods.length,
        fullyLabeledReplicas: pods.length,
        observedGeneration: now.metadata.generation ?? 1,
        ...(ready === 0 ? {} : { readyReplicas: ready, availableReplicas: ready }),
      },
    }));
  }
}
