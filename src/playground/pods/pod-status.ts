// The status of a pod from the states of its containers: phase, conditions, containerStatuses. Pure; used by pods/runner.ts.
import type { Condition, ContainerState, ContainerStatus, Pod, PodStatus } from '../types.ts';

export interface PodFacts {
  readonly ip: string;
  readonly startTime: string;
  readonly initDone: boolean;
  readonly init: readonly ContainerStatus[];
  readonly containers: readonly ContainerStatus[];
  /** activeDeadlineSeconds has passed. */
  readonly deadline: boolean;
}

function phaseOf(facts: PodFacts): PodStatus['phase'] {
  if (facts.deadline) return 'Failed';
  const states: readonly ContainerState[] = facts.containers.map((one) => one.state);
  const failedInit = facts.init.some((one) => (one.state.terminated?.exitCode ?? 0) !== 0);
  if (failedInit) return 'Failed';
  if (!facts.initDone) return 'Pending';
  if (states.every((state) => state.terminated !== undefined))
    return states.every((state) => state.terminated?.exitCode === 0) ? 'Succeeded' : 'Failed';
  const neverStarted = facts.containers.some((one) => one.state.waiting !== undefined && one.restartCount === 0);
  return neverStarted ? 'Pending' : 'Running';
}

/** `previous` keeps the times of conditions that have not changed. */
export function podStatus(pod: Pod, facts: PodFacts, now: string): PodStatus {
  const phase = phaseOf(facts);
  const unready = facts.containers.filter((one) => !one.ready).map((one) => one.name);
  const done = phase === 'Succeeded' || phase === 'Failed';
  const condition = (type: string, holds: boolean, why?: { reason: string; message?: string }): Condition => {
    const status = holds ? 'True' : 'False';
    const before = pod.status.conditions?.find((one) => one.type === type);
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : now;
    return { type, status, lastProbeTime: null, lastTransitionTime, ...(holds || why === undefined ? {} : why) };
  };
  const notReady = done
    ? { reason: phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed' }
    : { reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` };
  const ready = unready.length === 0 && !done;
  return {
    phase,
    ...(facts.deadline
      ? { reason: 'DeadlineExceeded', message: 'Pod was active on the node longer than the specified deadline' }
      : {}),
    conditions: [
      condition('PodReadyToStartContainers', true),
      condition('Initialized', facts.initDone, { reason: 'ContainersNotInitialized' }),
      condition('Ready', ready, notReady),
      condition('ContainersReady', ready, notReady),
      condition('PodScheduled', true),
    ],
    hostIP: '127.0.0.1',
    hostIPs: [{ ip: '127.0.0.1' }],
    podIP: facts.ip,
    podIPs: [{ ip: facts.ip }],
    startTime: facts.startTime,
    ...(facts.init.length === 0 ? {} : { initContainerStatuses: facts.init }),
    containerStatuses: facts.containers,
    qosClass: pod.status['qosClass'] ?? 'BestEffort',
  };
}
