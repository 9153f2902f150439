// What the user may choose of an agent's pod: image, node, size, labels that a policy of the company asks for. Not what the pod is (agent-pod.ts).
// Read from flags by cli/placement-options.ts; used by the manifests of egress and ingress agents alike.

/** Where the pod runs and with what. */
export interface AgentPlacement {
  readonly image?: string | undefined;
  readonly imagePullSecret?: string | undefined;
  /** Ask the registry although the node has the image. */
  readonly alwaysPull?: boolean | undefined;
  /** Named in the spec for policies and pull secrets only: its token is not mounted. */
  readonly serviceAccount?: string | undefined;
  readonly nodeSelector?: Readonly<Record<string, string>> | undefined;
  /** Requests and limits alike, as Kubernetes writes quantities. */
  readonly resources?: { readonly cpu?: string; readonly memory?: string } | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

const REQUESTS = { cpu: '10m', memory: '64Mi' };
const LIMITS = { cpu: '1', memory: '256Mi' };

/** Of the container. What the user gives is request and limit in one, so that a quota counts what it says. */
export const resourcesOf = ({ resources = {} }: AgentPlacement): object => ({
  requests: { ...REQUESTS, ...resources },
  limits: { ...LIMITS, ...resources },
});

/** Of the pod's spec. */
export const placementOf = ({ imagePullSecret, serviceAccount, nodeSelector }: AgentPlacement): object => ({
  ...(imagePullSecret ? { imagePullSecrets: [{ name: imagePullSecret }] } : {}),
  ...(serviceAccount ? { serviceAccountName: serviceAccount } : {}),
  ...(nodeSelector ? { nodeSelector } : {}),
});
