// What the API server fills in and refuses per kind before it stores an object: names, ports, a ClusterIP, the defaults that clients
// rely on to read. A small part of the real validation, in its words. Used by the API handlers and for the playground's manifests.
import { randomInt } from 'node:crypto';
import type { Container, Manifest, PodSpec, ServiceSpec } from '../types.ts';
import {
  apiVersionOf,
  DEPLOYMENTS,
  PODS,
  REPLICA_SETS,
  type ResourceType,
  SERVICES,
  STATEFUL_SETS,
} from './resources.ts';
import { invalid } from './status.ts';

interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

const LABEL_1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN_1123 = String.raw`[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*`;

const required = (field: string, more = ''): Cause => ({
  reason: 'FieldValueRequired',
  message: `Required value${more}`,
  field,
});
const invalidValue = (field: string, value: unknown, why: string): Cause => ({
  reason: 'FieldValueInvalid',
  message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
  field,
});

function nameCauses(type: ResourceType, name: string): Cause[] {
  if (name === '') return [required('metadata.name', ': name or generateName is required')];
  if (type === SERVICES) {
    if (name.length <= 63 && new RegExp(`^${LABEL_1035}$`).test(name)) return [];
    const why = `a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '${LABEL_1035}')`;
    return [invalidValue('metadata.name', name, why)];
  }
  if (name.length <= 253 && new RegExp(`^${SUBDOMAIN_1123}$`).test(name)) return [];
  const why = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${SUBDOMAIN_1123}')`;
  return [invalidValue('metadata.name', name, why)];
}

function containerCauses(spec: Partial<PodSpec> | undefined, at: string): Cause[] {
  const containers = spec?.containers;
  if (!Array.isArray(containers) || containers.length === 0) return [required(`${at}.containers`)];
  return (containers as readonly Partial<Container>[]).flatMap((container, index) => [
    ...(container.name ? [] : [required(`${at}.containers[${index}].name`)]),
    ...(container.image ? [] : [required(`${at}.containers[${index}].image`)]),
  ]);
}

function serviceCauses(spec: Partial<ServiceSpec>): Cause[] {
  if (spec.type === 'ExternalName') return spec.externalName ? [] : [required('spec.externalName')];
  const ports = spec.ports ?? [];
  if (ports.length === 0 && spec.clusterIP !== 'None') return [required('spec.ports')];
  return ports.flatMap((port, index) => {
    const at = `spec.ports[${index}]`;
    const missing = ports.length > 1 && !port.name ? [required(`${at}.name`)] : [];
    const valid = Number.isInteger(port.port) && port.port >= 1 && port.port <= 65_535;
    const range = 'must be between 1 and 65535, inclusive';
    return valid ? missing : [...missing, invalidValue(`${at}.port`, port.port, range)];
  });
}

function workloadCauses(manifest: Manifest): Cause[] {
  const spec = manifest['spec'] as
    | { selector?: { matchLabels?: object }; template?: { metadata?: { labels?: object }; spec?: PodSpec } }
    | undefined;
  const selector = Object.entries(spec?.selector?.matchLabels ?? {});
  const labels = (spec?.template?.metadata?.labels ?? {}) as Record<string, string>;
  const causes = selector.length === 0 ? [required('spec.selector')] : [];
  if (!selector.every(([key, value]) => labels[key] === value))
    causes.push(invalidValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'));
  return [...causes, ...containerCauses(spec?.template?.spec, 'spec.template.spec')];
}

const WORKLOADS: readonly ResourceType[] = [DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS];

/** Throws 422 with every cause that was found. */
export function validate(type: ResourceType, manifest: Manifest): void {
  const name = manifest.metadata.name ?? '';
  const causes = nameCauses(type, name);
  if (type === PODS) causes.push(...containerCauses(manifest['spec'] ?? {}, 'spec'));
  if (type === SERVICES) causes.push(...serviceCauses(manifest['spec'] ?? {}));
  if (WORKLOADS.includes(type)) causes.push(...workloadCauses(manifest));
  if (causes.length > 0) throw invalid(type, name, causes);
}

/** The alphabet of Kubernetes' own suffixes: no vowels and nothing that looks like another. */
const SUFFIX = 'bcdfghjklmnpqrstvwxz2456789';

export function randomSuffix(length = 5): string {
  return Array.from({ length }, () => SUFFIX[randomInt(SUFFIX.length)]).join('');
}

function withContainerDefaults(container: Container): Container {
  return {
    ...container,
    ...(container.ports === undefined
      ? {}
      : { ports: container.ports.map((port) => ({ ...port, protocol: port.protocol ?? 'TCP' })) }),
    resources: container.resources ?? {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: (container as { imagePullPolicy?: string }).imagePullPolicy ?? 'IfNotPresent',
  } as Container;
}

export function podSpecDefaults(spec: PodSpec): PodSpec {
  return {
    ...spec,
    containers: spec.containers.map(withContainerDefaults),
    restartPolicy: spec.restartPolicy ?? 'Always',
    terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds ?? 30,
    dnsPolicy: spec['dnsPolicy'] ?? 'ClusterFirst',
    securityContext: spec.securityContext ?? {},
    schedulerName: spec['schedulerName'] ?? 'default-scheduler',
  };
}

function serviceDefaults(spec: ServiceSpec, allocate: () => string): ServiceSpec {
  const type = spec.type ?? 'ClusterIP';
  const ports = spec.ports?.map((port) => ({
    ...port,
    protocol: port.protocol ?? 'TCP',
    targetPort: port.targetPort ?? port.port,
  }));
  const common = {
    ...spec,
    ...(ports === undefined ? {} : { ports }),
    type,
    sessionAffinity: spec['sessionAffinity'] ?? 'None',
  };
  if (type === 'ExternalName') return common;
  const clusterIP = spec.clusterIP === undefined || spec.clusterIP === '' ? allocate() : spec.clusterIP;
  return {
    ...common,
    clusterIP,
    clusterIPs: [clusterIP],
    ipFamilies: spec['ipFamilies'] ?? ['IPv4'],
    ipFamilyPolicy: spec['ipFamilyPolicy'] ?? 'SingleStack',
    internalTrafficPolicy: spec['internalTrafficPolicy'] ?? 'Cluster',
  };
}

/** The object as it will be stored: apiVersion and kind in order, name from generateName, the kind's defaults. `allocate` gives a ClusterIP. */
export function withDefaults(type: ResourceType, manifest: Manifest, allocate: () => string): Manifest {
  const { name, generateName } = manifest.metadata;
  const metadata =
    name || !generateName ? manifest.metadata : { ...manifest.metadata, name: generateName + randomSuffix() };
  const object: Manifest = { ...manifest, apiVersion: apiVersionOf(type), kind: type.kind, metadata };
  if (type === SERVICES)
    return {
      ...object,
      spec: serviceDefaults(object['spec'] as ServiceSpec, allocate),
      status: object['status'] ?? { loadBalancer: {} },
    };
  if (type === PODS) {
    const status = { phase: 'Pending', qosClass: 'BestEffort' };
    return {
      ...object,
      metadata: { ...metadata, generation: 1 },
      spec: { enableServiceLinks: true, serviceAccountName: 'default', ...podSpecDefaults(object['spec'] as PodSpec) },
      status,
    };
  }
  if (WORKLOADS.includes(type)) {
    const spec = object['spec'] as { replicas?: number; template: { spec: PodSpec } };
    const template = { ...spec.template, spec: podSpecDefaults(spec.template.spec) };
    return {
      ...object,
      metadata: { ...metadata, generation: 1 },
      spec: { ...spec, replicas: spec.replicas ?? 1, template },
      status: {},
    };
  }
  return object;
}
