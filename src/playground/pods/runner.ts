// One pod on this machine, from its creation to its removal: address, containers, readiness, deadline, grace period. Writes the pod's
// status to the store, as a kubelet does. Made by pods/kubelet.ts.
import { rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { PODS } from '../api/resources.ts';
import type { Store } from '../store.ts';
import type { Container, Pod } from '../types.ts';
import type { AddressPool } from './addresses.ts';
import { NODE_NAME } from './addresses.ts';
import type { PodChannel } from './channel.ts';
import { commandOf, isNodeImage } from './command.ts';
import { ContainerProcess } from './container.ts';
import { recordEvent } from './events.ts';
import type { LogBuffer } from './log-buffer.ts';
import type { PodNetwork } from './network.ts';
import { podStatus } from './pod-status.ts';
import { PERIOD_DEFAULT_S, passes } from './probe.ts';
import { mountsOf } from './volumes.ts';

export interface Machine {
  readonly store: Store;
  readonly network: PodNetwork;
  readonly channel: PodChannel;
  readonly channelPort: number;
  readonly dnsPort: number;
  readonly addresses: AddressPool;
  readonly directory: string;
  readonly preload: string;
}

const SOURCE = { component: 'kubelet', host: NODE_NAME };
/** How long ErrImagePull shows before it is ImagePullBackOff. */
const PULL_BACKOFF_MS = 1_000;

interface Part {
  readonly spec: Container;
  readonly process: ContainerProcess;
  ready: boolean;
}

export class PodRunner {
  readonly ip: string;
  readonly #machine: Machine;
  readonly #pod: Pod;
  readonly #token: string;
  readonly #directory: string;
  readonly #init: Part[];
  readonly #parts: Part[];
  readonly #startTime = new Date().toISOString().replace(/\.\d+/, '');
  readonly #timers = new Set<NodeJS.Timeout>();
  #initDone = false;
  #deadline = false;
  #stopping = false;
  #gone = false;
  #changing = false;
  #whenGone: (() => void)[] = [];

  constructor(machine: Machine, pod: Pod) {
    this.#machine = machine;
    this.#pod = pod;
    this.ip = machine.addresses.take();
    machine.network.addPod(this.ip);
    this.#token = machine.channel.admit({ ip: this.ip, namespace: pod.metadata.namespace ?? '' });
    this.#directory = join(machine.directory, 'pods', pod.metadata.uid);
    this.#init = (pod.spec.initContainers ?? []).map((spec) => this.#part(spec, true));
    this.#parts = pod.spec.containers.map((spec) => this.#part(spec, false));
  }

  start(): void {
    const { namespace, name } = this.#pod.metadata;
    this.#machine.store.change(PODS, namespace, name, (pod) => ({
      ...pod,
      spec: { ...pod.spec, nodeName: NODE_NAME },
    }));
    recordEvent(
      this.#machine.store,
      this.#pod,
      { component: 'default-scheduler' },
      'Normal',
      'Scheduled',
      `Successfully assigned ${namespace ?? ''}/${name} to ${NODE_NAME}`,
    );
    this.#initDone = this.#init.length === 0;
    const seconds = this.#pod.spec.activeDeadlineSeconds;
    if (seconds !== undefined) this.#after(seconds * 1000, () => this.#exceed());
    this.#writeStatus();
    if (this.#initDone) this.#startAll();
    else {
      for (const part of this.#parts) part.process.wait('PodInitializing');
      this.#startInit(0);
    }
  }

  logOf(container: string, previous: boolean): LogBuffer | undefined {
    const part = [...this.#parts, ...this.#init].find((one) => one.spec.name === container);
    return previous ? part?.process.previousLog : part?.process.log;
  }

  /** Ends the containers; the pod leaves the store when the last has gone. A second call may shorten the time. */
  stop(graceSeconds: number): void {
    if (!this.#stopping) this.#event('Normal', 'Killing', `Stopping container ${this.#parts[0]?.spec.name ?? ''}`);
    this.#stopping = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const part of [...this.#init, ...this.#parts]) part.process.stop(graceSeconds * 1000);
    this.#finishIfIdle();
  }

  /** Resolves when no process is left. */
  async gone(): Promise<void> {
    if (this.#gone) return;
    await new Promise<void>((resolve) => this.#whenGone.push(resolve));
  }

  /** A listener came or went, or time has passed. */
  checkReadiness(): void {
    for (const part of this.#parts) {
      if (part.spec.readinessProbe === undefined || part.process.state.running === undefined) continue;
      passes(part.spec.readinessProbe, part.spec, this.#machine.network, this.ip).then(
        (ready) => {
          if (part.ready === ready) return;
          part.ready = ready;
          this.#changed();
        },
        () => {},
      );
    }
  }

  #part(spec: Container, init: boolean): Part {
    const pod = this.#pod;
    const directory = join(this.#directory, basename(spec.name));
    const policy = pod.spec.restartPolicy ?? 'Always';
    const process = new ContainerProcess(
      spec,
      {
        channel: this.#machine.channel,
        channelPort: this.#machine.channelPort,
        dnsPort: this.#machine.dnsPort,
        token: this.#token,
        ip: this.ip,
        hostname: pod.spec.hostname ?? pod.metadata.name,
        namespace: pod.metadata.namespace ?? '',
        directory,
        preload: this.#machine.preload,
      },
      {
        command: () =>
          commandOf(this.#machine.store, pod, spec, this.ip, mountsOf(this.#machine.store, pod, spec, this.#directory)),
        restarts: (code) => !this.#deadline && (code === 0 ? policy === 'Always' && !init : policy !== 'Never'),
        changed: () => this.#changed(),
        event: (type, reason, message) => this.#event(type, reason, message),
      },
    );
    return { spec, process, ready: false };
  }

  #startInit(index: number): void {
    const part = this.#init[index];
    if (part !== undefined) this.#launch(part);
  }

  #startAll(): void {
    for (const part of this.#parts) {
      this.#launch(part);
      const probe = part.spec.readinessProbe;
      if (probe === undefined) continue;
      const timer = setInterval(() => this.checkReadiness(), (probe.periodSeconds ?? PERIOD_DEFAULT_S) * 1000);
      this.#timers.add(timer);
    }
  }

  #launch(part: Part): void {
    const image = part.spec.image;
    if (isNodeImage(image)) {
      this.#event('Normal', 'Pulled', `Container image "${image}" already present on machine`);
      part.process.start();
      return;
    }
    const why = `failed to pull and unpack image "${image}": failed to resolve reference "${image}": not found (the playground has images of Node only)`;
    this.#event('Normal', 'Pulling', `Pulling image "${image}"`);
    this.#event('Warning', 'Failed', `Failed to pull image "${image}": ${why}`);
    this.#event('Warning', 'Failed', 'Error: ErrImagePull');
    part.process.wait('ErrImagePull', why);
    this.#after(PULL_BACKOFF_MS, () => {
      this.#event('Normal', 'BackOff', `Back-off pulling image "${image}"`);
      this.#event('Warning', 'Failed', 'Error: ImagePullBackOff');
      part.process.wait('ImagePullBackOff', `Back-off pulling image "${image}": ErrImagePull: ${why}`);
    });
  }

  #exceed(): void {
    this.#deadline = true;
    this.#event('Normal', 'DeadlineExceeded', 'Pod was active on the node longer than the specified deadline');
    for (const part of [...this.#init, ...this.#parts])
      part.process.stop((this.#pod.spec.terminationGracePeriodSeconds ?? 30) * 1000);
    this.#changed();
  }

  #after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }

  #event(type: 'Normal' | 'Warning', reason: string, message: string): void {
    if (!this.#gone) recordEvent(this.#machine.store, this.#pod, SOURCE, type, reason, message);
  }

  /** Several changes of one turn are one status. */
  #changed(): void {
    if (this.#changing) return;
    this.#changing = true;
    setImmediate(() => {
      this.#changing = false;
      this.#advance();
      this.#writeStatus();
      this.#finishIfIdle();
    });
  }

  #advance(): void {
    for (const part of this.#parts) {
      const running = part.process.state.running !== undefined;
      if (!running) part.ready = false;
      else if (part.spec.readinessProbe === undefined) part.ready = true;
    }
    if (this.#initDone || this.#stopping || this.#deadline) return;
    const open = this.#init.findIndex((part) => part.process.state.terminated?.exitCode !== 0);
    if (open < 0) {
      this.#initDone = true;
      this.#startAll();
    } else if (open > 0 && this.#init[open]?.process.state.waiting?.reason === 'ContainerCreating')
      this.#startInit(open);
  }

  #writeStatus(): void {
    if (this.#gone) return;
    const { namespace, name, uid } = this.#pod.metadata;
    this.#machine.store.change(PODS, namespace, name, (pod) => {
      if (pod.metadata.uid !== uid) return pod;
      const status = podStatus(
        pod,
        {
          ip: this.ip,
          startTime: this.#startTime,
          initDone: this.#initDone,
          init: this.#init.map((part) => part.process.status(part.process.state.terminated?.exitCode === 0)),
          containers: this.#parts.map((part) => part.process.status(part.ready)),
          deadline: this.#deadline,
        },
        new Date().toISOString().replace(/\.\d+/, ''),
      );
      return { ...pod, status };
    });
  }

  #finishIfIdle(): void {
    const alive = [...this.#init, ...this.#parts].some((part) => part.process.alive);
    if (!this.#stopping || this.#gone || alive) return;
    this.#gone = true;
    this.#machine.network.removePod(this.ip);
    this.#machine.addresses.free(this.ip);
    this.#machine.channel.dismiss(this.#token);
    removeFolder(this.#directory);
    const { namespace, name, uid } = this.#pod.metadata;
    if (this.#machine.store.get(PODS, namespace, name)?.metadata.uid === uid)
      this.#machine.store.remove(PODS, namespace, name);
    for (const resolve of this.#whenGone.splice(0)) resolve();
  }
}

/** Windows keeps a folder for a moment after its process; what is left goes with the playground's folder. */
function removeFolder(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  } catch {
    // Gone later.
  }
}
