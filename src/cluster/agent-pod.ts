// The agent's pod as a manifest: a stock Node image with our code in its spec, within Pod Security "restricted".
// Pure: creating, waiting and deleting is agent-lifecycle.ts. No ConfigMap and no image of ours (DESIGN §5).
import { createHash } from 'node:crypto';
import { brotliCompressSync, constants } from 'node:zlib';
import { type AgentPlacement, placementOf, resourcesOf } from './agent-placement.ts';

/** The port the agent listens on, on the loopback of its pod only; reached by port-forward. */
export const AGENT_LINK_PORT = 7_070;
/** The port on the pod's address for links that come by the API server's proxy, where that is the only way. */
export const AGENT_PROXY_PORT = 7_072;
export const DEFAULT_IMAGE = 'node:24-slim';
/** One string of a process's arguments or environment is at most 131,072 bytes with its end (Linux MAX_ARG_STRLEN). */
const STRING_BYTES_MAX = 131_071;
/** Seconds after which Kubernetes ends the pod whatever happens: the last resort behind the agent's own 2 minutes. */
const ACTIVE_DEADLINE_S = 3 * 24 * 3600;
/** Seconds between SIGTERM and SIGKILL: the agent drains for 8 s. */
const GRACE_S = 10;

export const LABEL_ROLE = 'kt/role';
export const LABEL_SESSION = 'kt/session';

// Builtins only; the code is removed from the environment so that nothing inherits or prints it.
const BOOTSTRAP =
  "const c=process.env.KT_AGENT_CODE;delete process.env.KT_AGENT_CODE;import('data:text/javascript;base64,'+require('zlib').brotliDecompressSync(Buffer.from(c,'base64')).toString('base64')).catch(e=>{console.error(e);process.exit(1)})";

/** Sidecars would catch the agent's traffic and keep its pod alive: Istio reads the label (older ones the annotation), Linkerd the annotation. */
export const NO_SIDECAR = {
  labels: { 'sidecar.istio.io/inject': 'false' },
  annotations: { 'sidecar.istio.io/inject': 'false', 'linkerd.io/inject': 'disabled' },
} as const;

export interface AgentPodOptions extends AgentPlacement {
  readonly name: string;
  readonly session: string;
  /** Text of dist/agent.mjs. */
  readonly code: string;
  readonly token: string;
  /** Listen on this port of the pod's address too, for links that come by the API server's proxy. */
  readonly proxyPort?: number | undefined;
  readonly version: string;
  /** Who started it, for those who find it: user name and host name of the laptop. */
  readonly user: string;
  readonly host: string;
}

/** The manifest. Throws RangeError where the code does not fit into one environment string. */
export function agentPod(options: AgentPodOptions): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: options.name,
      labels: {
        ...options.labels,
        'app.kubernetes.io/name': 'kt-agent',
        'app.kubernetes.io/managed-by': 'kt',
        [LABEL_ROLE]: 'egress',
        [LABEL_SESSION]: options.session,
        ...NO_SIDECAR.labels,
      },
      annotations: {
        ...options.annotations,
        'kt/user': options.user,
        'kt/host': options.host,
        'kt/version': options.version,
        ...NO_SIDECAR.annotations,
      },
    },
    spec: agentPodSpec({
      ...options,
      restartPolicy: 'Never',
      activeDeadlineSeconds: ACTIVE_DEADLINE_S,
      graceSeconds: GRACE_S,
      // Only the digest: whoever may read pods must not be able to use the agent.
      env: {
        KT_TOKEN_SHA256: createHash('sha256').update(options.token).digest('hex'),
        KT_LINK_PORT: String(AGENT_LINK_PORT),
        ...(options.proxyPort === undefined ? {} : { KT_PROXY_PORT: String(options.proxyPort) }),
      },
    }),
  };
}

export interface AgentPodSpecOptions extends AgentPlacement {
  readonly code: string;
  readonly env: Readonly<Record<string, string>>;
  readonly restartPolicy: 'Never' | 'Always';
  readonly graceSeconds: number;
  readonly activeDeadlineSeconds?: number;
  readonly ports?: readonly object[];
  readonly readinessProbe?: object;
  readonly startupProbe?: object;
  readonly sysctls?: readonly object[];
}

/** The pod's spec, of egress and ingress agents alike. Throws RangeError where the code does not fit into one environment string. */
export function agentPodSpec(options: AgentPodSpecOptions): Record<string, unknown> {
  const code = brotliCompressSync(options.code, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }).toString('base64');
  if (code.length + 'KT_AGENT_CODE='.length > STRING_BYTES_MAX)
    throw new RangeError(`the agent's code is ${code.length} bytes, too long for the pod spec`);
  const { activeDeadlineSeconds, sysctls, ports, readinessProbe, startupProbe } = options;
  return {
    restartPolicy: options.restartPolicy,
    ...(activeDeadlineSeconds === undefined ? {} : { activeDeadlineSeconds }),
    terminationGracePeriodSeconds: options.graceSeconds,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...placementOf(options),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 1000,
      runAsGroup: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
      ...(sysctls ? { sysctls } : {}),
    },
    containers: [
      {
        name: 'agent',
        image: options.image ?? DEFAULT_IMAGE,
        imagePullPolicy: options.alwaysPull ? 'Always' : 'IfNotPresent',
        command: ['node', '-e', BOOTSTRAP],
        env: [
          { name: 'KT_AGENT_CODE', value: code },
          ...Object.entries(options.env).map(([name, value]) => ({ name, value })),
          // getaddrinfo is the fallback for names; four threads would be a queue.
          { name: 'UV_THREADPOOL_SIZE', value: '16' },
        ],
        ...(ports ? { ports } : {}),
        ...(readinessProbe ? { readinessProbe } : {}),
        ...(startupProbe ? { startupProbe } : {}),
        resources: resourcesOf(options),
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
      },
    ],
  };
}

/** A pod name from who and which: `kt-agent-anna-x7f3q`. Always a valid DNS label (RFC 1123), at most 40 characters. */
export function agentPodName(user: string, random: string): string {
  const who = user
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 20)
    .replace(/-+$/, '');
  return `kt-agent-${who === '' ? 'user' : who}-${random}`;
}
