// The types of the fields that the playground reads, so that nothing behind the API meets an object of another shape. Fields that it
// does not read are kept as they are. The values' own rules are in defaults.ts; what a user may do is not judged here.
// Pure; used by api/defaults.ts for every create, update and patch.
import * as v from 'valibot';
import type { Manifest } from '../types.ts';
import {
  CONFIG_MAPS,
  DEPLOYMENTS,
  ENDPOINT_SLICES,
  EVENTS,
  PODS,
  QUOTAS,
  REPLICA_SETS,
  type ResourceType,
  SECRETS,
  SERVICES,
  STATEFUL_SETS,
} from './resources.ts';
import { badRequest } from './status.ts';

// A field may be null: Go reads that as not given.
const text = v.nullish(v.string());
const number = v.nullish(v.pipe(v.number(), v.integer()));
const flag = v.nullish(v.boolean());
const texts = v.nullish(v.array(v.string()));
const labels = v.nullish(v.record(v.string(), v.string()));
const portName = v.nullish(v.union([v.string(), v.pipe(v.number(), v.integer())]));
const key = v.nullish(v.looseObject({ name: v.string(), key: v.string() }));
const source = v.nullish(v.looseObject({ name: v.string() }));

const metadata = v.looseObject({
  name: text,
  generateName: text,
  namespace: text,
  uid: text,
  resourceVersion: text,
  labels,
  annotations: labels,
  ownerReferences: v.nullish(
    v.array(v.looseObject({ apiVersion: v.string(), kind: v.string(), name: v.string(), uid: v.string() })),
  ),
});

const securityContext = v.nullish(
  v.looseObject({
    privileged: flag,
    allowPrivilegeEscalation: flag,
    runAsNonRoot: flag,
    runAsUser: number,
    capabilities: v.nullish(v.looseObject({ add: texts, drop: texts })),
    seccompProfile: v.nullish(v.looseObject({ type: text })),
    sysctls: v.nullish(v.array(v.looseObject({ name: v.string() }))),
  }),
);

const container = v.looseObject({
  name: text,
  image: text,
  command: texts,
  args: texts,
  env: v.nullish(
    v.array(
      v.looseObject({
        name: v.string(),
        value: text,
        valueFrom: v.nullish(
          v.looseObject({
            fieldRef: v.nullish(v.looseObject({ fieldPath: v.string() })),
            configMapKeyRef: key,
            secretKeyRef: key,
          }),
        ),
      }),
    ),
  ),
  envFrom: v.nullish(v.array(v.looseObject({ prefix: text, configMapRef: source, secretRef: source }))),
  ports: v.nullish(v.array(v.looseObject({ name: text, containerPort: v.number(), protocol: text, hostPort: number }))),
  readinessProbe: v.nullish(
    v.looseObject({
      httpGet: v.nullish(v.looseObject({ path: text, port: v.union([v.string(), v.number()]) })),
      tcpSocket: v.nullish(v.looseObject({ port: v.union([v.string(), v.number()]) })),
      periodSeconds: number,
    }),
  ),
  volumeMounts: v.nullish(v.array(v.looseObject({ name: v.string(), mountPath: v.string() }))),
  securityContext,
});

const podSpec = v.looseObject({
  containers: v.nullish(v.array(container)),
  initContainers: v.nullish(v.array(container)),
  volumes: v.nullish(
    v.array(
      v.looseObject({
        name: v.string(),
        configMap: v.nullish(v.looseObject({ name: text })),
        secret: v.nullish(v.looseObject({ secretName: text })),
      }),
    ),
  ),
  hostname: text,
  subdomain: text,
  restartPolicy: v.nullish(v.picklist(['Always', 'OnFailure', 'Never'])),
  terminationGracePeriodSeconds: number,
  activeDeadlineSeconds: number,
  securityContext,
});

const workload = v.looseObject({
  metadata,
  spec: v.nullish(
    v.looseObject({
      replicas: number,
      selector: v.nullish(v.looseObject({ matchLabels: labels })),
      template: v.nullish(
        v.looseObject({
          metadata: v.nullish(v.looseObject({ labels, annotations: labels })),
          spec: v.nullish(podSpec),
        }),
      ),
      serviceName: text,
      strategy: v.nullish(v.looseObject({ type: text })),
    }),
  ),
});

const config = v.looseObject({ metadata, data: labels, binaryData: labels });
const anything = v.looseObject({ metadata });

const SCHEMAS = new Map<ResourceType, v.GenericSchema>([
  [PODS, v.looseObject({ metadata, spec: v.nullish(podSpec) })],
  [DEPLOYMENTS, workload],
  [REPLICA_SETS, workload],
  [STATEFUL_SETS, workload],
  [CONFIG_MAPS, config],
  [SECRETS, config],
  [EVENTS, v.looseObject({ metadata, involvedObject: v.looseObject({ uid: text }), reason: text, message: text })],
  [
    QUOTAS,
    v.looseObject({
      metadata,
      spec: v.nullish(v.looseObject({ hard: v.nullish(v.record(v.string(), v.union([v.string(), v.number()]))) })),
    }),
  ],
  [
    SERVICES,
    v.looseObject({
      metadata,
      spec: v.nullish(
        v.looseObject({
          type: text,
          clusterIP: text,
          externalName: text,
          selector: labels,
          ports: v.nullish(
            v.array(v.looseObject({ name: text, port: v.number(), protocol: text, targetPort: portName })),
          ),
          publishNotReadyAddresses: flag,
        }),
      ),
    }),
  ],
  [
    ENDPOINT_SLICES,
    v.looseObject({
      metadata,
      endpoints: v.nullish(
        v.array(
          v.looseObject({
            addresses: v.array(v.string()),
            conditions: v.nullish(v.looseObject({ ready: flag })),
            hostname: text,
            targetRef: v.nullish(v.looseObject({ name: text })),
          }),
        ),
      ),
      ports: v.nullish(v.array(v.looseObject({ name: text, port: number, protocol: text }))),
    }),
  ],
]);

/** Fields that are null, at any depth, are taken away. Bounded: no object of Kubernetes is nested so deep. */
function withoutNulls(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > 64) throw badRequest('the object is nested too deep');
  if (Array.isArray(value)) return value.map((item) => withoutNulls(item, depth + 1));
  const entries = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(entries.map(([name, field]) => [name, withoutNulls(field, depth + 1)]));
}

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;

/** `omitempty` of Go: maps and lists of the metadata, and a Service's selector, are not there when nothing is in them. */
function withoutEmpties(type: ResourceType, manifest: Manifest): Manifest {
  const filled = <T extends object>(part: T, names: readonly string[]): T =>
    Object.fromEntries(Object.entries(part).filter(([name, value]) => !names.includes(name) || !isEmpty(value))) as T;
  const metadata = filled(manifest.metadata, ['labels', 'annotations', 'ownerReferences', 'finalizers']);
  const { spec } = manifest as { spec?: object };
  return { ...manifest, metadata, ...(type === SERVICES && spec ? { spec: filled(spec, ['selector']) } : {}) };
}

/** The object without its null fields. Throws 400 where a field has another type than Kubernetes gives it. */
export function shaped(type: ResourceType, manifest: Manifest): Manifest {
  const result = v.safeParse(SCHEMAS.get(type) ?? anything, manifest);
  if (result.success) return type === EVENTS ? manifest : withoutEmpties(type, withoutNulls(manifest) as Manifest);
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? '';
  throw badRequest(
    `${type.kind} in version "${type.version}" cannot be handled as a ${type.kind}: json: cannot unmarshal ${issue.received} into field ${path} of type ${issue.expected ?? 'object'}`,
  );
}
