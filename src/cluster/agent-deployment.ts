// The Deployment around an agent that has to outlive its pod: of a take-over (takeover/manifests.ts) and of a shared agent (shared-agent.ts), which call it. Pure.
// One pod, and while it is replaced never none. A session's own agent is a bare pod (agent-pod.ts).
import { NO_SIDECAR } from './agent-pod.ts';

type Texts = Readonly<Record<string, string>>;

export interface AgentDeploymentOptions {
  readonly metadata: object;
  /** What only its pods have. */
  readonly selector: Texts;
  /** Of its pods, besides the selector's. */
  readonly labels: Texts;
  readonly annotations: Texts;
  /** Of agentPodSpec. */
  readonly pod: object;
}

export const agentDeployment = ({ metadata, selector, labels, annotations, pod }: AgentDeploymentOptions): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata,
  spec: {
    replicas: 1,
    revisionHistoryLimit: 0,
    selector: { matchLabels: selector },
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
    template: {
      metadata: {
        labels: { ...labels, ...NO_SIDECAR.labels, ...selector },
        annotations: { ...annotations, ...NO_SIDECAR.annotations },
      },
      spec: pod,
    },
  },
});
