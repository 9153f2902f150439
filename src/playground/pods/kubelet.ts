// Starts a runner for every pod that appears in the store and stops it when the pod goes: scheduler and kubelet of the playground's
// one node. Also the way in for logs and port-forwards. Started by playground.ts.
import type { LogSource } from '../api/log.ts';
import type { PodPorts } from '../api/portforward.ts';
import { PODS } from '../api/resources.ts';
import type { StoreEvent } from '../store.ts';
import type { Condition, Pod } from '../types.ts';
import type { LogBuffer } from './log-buffer.ts';
import type { Way } from './network.ts';
import { type Machine, PodRunner } from './runner.ts';

/** Each is a Node process of some 40 MB on the visitor's machine. */
const PODS_MAX = 40;
/** SIGKILL has been sent by then; a process that is still there is not waited for. */
const CLOSE_MS = 5_000;

export class Kubelet implements LogSource, PodPorts {
  readonly #machine: Machine;
  readonly #runners = new Map<string, PodRunner>();
  readonly #stopListening: () => void;
  #closed = false;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#stopListening = machine.store.listen((event) => this.#onEvent(event));
    machine.network.onListenersChanged = (ip) => {
      for (const runner of this.#runners.values()) if (runner.ip === ip) runner.checkReadiness();
    };
  }

  logOf(podUid: string, container: string, previous: boolean): LogBuffer | undefined {
    return this.#runners.get(podUid)?.logOf(container, previous);
  }

  routeTo(podUid: string, port: number): Way | undefined {
    const runner = this.#runners.get(podUid);
    return runner === undefined ? undefined : this.#machine.network.routeLoopback(runner.ip, port);
  }

  /** Kills all processes and waits until they have gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopListening();
    const all = [...this.#runners.values()];
    for (const runner of all) runner.stop(0);
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([Promise.all(all.map((runner) => runner.gone())), limit]);
    clearTimeout(timer);
  }

  #onEvent(event: StoreEvent): void {
    if (event.resource !== PODS || this.#closed) return;
    const pod = event.object as Pod;
    const runner = this.#runners.get(pod.metadata.uid);
    if (event.type === 'DELETED') {
      runner?.stop(0);
      runner?.gone().then(
        () => this.#forget(pod.metadata.uid),
        () => {},
      );
    } else if (pod.metadata.deletionTimestamp !== undefined) {
      if (runner !== undefined) runner.stop(pod.metadata.deletionGracePeriodSeconds ?? 30);
      else this.#machine.store.remove(PODS, pod.metadata.namespace, pod.metadata.name);
    } else if (event.type === 'ADDED') this.#admit(pod);
  }

  #admit(pod: Pod): void {
    if (this.#runners.size >= PODS_MAX) {
      this.#unschedulable(pod, '0/1 nodes are available: 1 Too many pods.');
      return;
    }
    try {
      const runner = new PodRunner(this.#machine, pod);
      this.#runners.set(pod.metadata.uid, runner);
      runner.start();
    } catch (error) {
      // No address is left, no folder can be made: said in the pod's status, and the others go on.
      this.#unschedulable(pod, error instanceof Error ? error.message : String(error));
    }
  }

  #unschedulable(pod: Pod, message: string): void {
    const condition: Condition = {
      type: 'PodScheduled',
      status: 'False',
      lastTransitionTime: pod.metadata.creationTimestamp,
      reason: 'Unschedulable',
      message,
    };
    const { namespace, name } = pod.metadata;
    this.#machine.store.change(PODS, namespace, name, (now) => ({
      ...now,
      status: { ...now.status, conditions: [condition] },
    }));
  }

  /** A place is free: the oldest pod that waits for one takes it. */
  #forget(uid: string): void {
    this.#runners.delete(uid);
    if (this.#closed) return;
    const waiting = this.#machine.store
      .list(PODS)
      .find(
        (pod) =>
          pod.spec.nodeName === undefined &&
          pod.metadata.deletionTimestamp === undefined &&
          !this.#runners.has(pod.metadata.uid),
      );
    if (waiting !== undefined) this.#admit(waiting);
  }
}
