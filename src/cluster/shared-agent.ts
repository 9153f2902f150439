// An agent that the platform team runs for all who may forward ports in a namespace but create nothing there: its Deployment as a manifest, and
// how such users find it. What they may do in it is what any port-forward gives them. Not a session's own agent (agent-pod.ts).
// Called by session/shared-agent.ts and by `kt doctor --shared-agent`.
import { stringify } from 'yaml';
import { agentDeployment } from './agent-deployment.ts';
import type { AgentPlacement } from './agent-placement.ts';
import { AGENT_LINK_PORT, agentPodSpec, LABEL_ROLE } from './agent-pod.ts';
import type { ClusterApi } from './rest.ts';
import type { Right } from './rights.ts';
import { isReady, podsOf } from './takeover/objects.ts';

const NAME = 'kt-shared-agent';
const LABELS = { 'app.kubernetes.io/name': 'kt-agent', [LABEL_ROLE]: 'shared' };
/** Seconds between SIGTERM and SIGKILL: the agent drains for 8 s. */
const GRACE_S = 10;

/** What a session asks for, besides a way into pods. */
export const SHARED_RIGHTS: readonly Right[] = [
  { verb: 'list', resource: 'pods' },
  { verb: 'get', resource: 'pods' },
];

export interface SharedAgentOptions extends AgentPlacement {
  readonly namespace: string;
  /** Text of dist/agent.mjs. */
  readonly code: string;
  readonly version: string;
}

/** The Deployment as YAML, with a note for who applies it. */
export function sharedAgentYaml({ namespace, version, ...options }: SharedAgentOptions): string {
  const pod = agentPodSpec({
    ...options,
    restartPolicy: 'Always',
    graceSeconds: GRACE_S,
    env: { KT_SHARED: '1', KT_LINK_PORT: String(AGENT_LINK_PORT) },
  });
  const notes = { ...options.annotations, 'kt/version': version };
  const labels = options.labels ?? {};
  const deployment = agentDeployment({
    metadata: { name: NAME, namespace, labels: { ...labels, ...LABELS }, annotations: notes },
    selector: LABELS,
    labels,
    annotations: notes,
    pod,
  });
  const note = [
    `For the platform team: an agent of kt ${version} in the namespace '${namespace}', for users who may forward ports to its pods and create nothing.`,
    'It listens on the loopback of its pod only, so the right to port-forward is what guards it; it sees what any pod of the namespace sees.',
    'It passes Pod Security "restricted" and has no service account token. Its program is in its environment: nothing of kt is in an image.',
    'Apply with: kubectl apply -f FILE. What the users need: kt doctor --rbac shared.',
  ];
  return `${note.map((line) => `# ${line}\n`).join('')}${stringify(deployment, { lineWidth: 0 })}`;
}

export interface SharedAgentPod {
  readonly name: string;
  readonly ip: string | undefined;
  /** Of the kt that printed its manifest. */
  readonly version: string | undefined;
}

/** The newest one that is ready; undefined where there is none. */
export async function findSharedAgent(
  api: ClusterApi,
  namespace: string,
  signal?: AbortSignal,
): Promise<SharedAgentPod | undefined> {
  const pod = (await podsOf(api, namespace, LABELS, signal)).find(isReady);
  const { name, annotations } = pod?.metadata ?? {};
  return name === undefined ? undefined : { name, ip: pod?.status?.podIP, version: annotations?.['kt/version'] };
}
