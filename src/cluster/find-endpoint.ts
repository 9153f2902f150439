// Finds the pod and port behind a host as the cluster's DNS and kube-proxy would, from lists of Services and pods. Pure.
// Called by agentless-dialer.ts, which has no agent to ask.
import { KtError } from '../errors.ts';
import type { Service } from './services.ts';

export interface EndpointPod {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly spec?: {
    readonly hostname?: string;
    readonly subdomain?: string;
    readonly containers?: readonly {
      readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
    }[];
  };
  readonly status?: {
    readonly podIP?: string;
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

export interface NamespaceObjects {
  readonly services: readonly Service[];
  readonly pods: readonly EndpointPod[];
}

/** What a cluster name says: a Service, or one pod behind a headless one. */
export type HostName = { readonly namespace: string; readonly service: string; readonly pod?: string };

/** Splits a name by the search list of a pod in `namespace`; every reading that makes sense, best first. */
export function readHostName(host: string, namespace: string, clusterDomain: string): HostName[] {
  const suffix = `.svc.${clusterDomain}`;
  const short = host.endsWith(suffix)
    ? host.slice(0, -suffix.length)
    : host.endsWith('.svc')
      ? host.slice(0, -4)
      : undefined;
  const labels = (short ?? host).split('.');
  const [first, second, third, ...rest] = labels;
  if (first === undefined || first === '' || rest.length > 0) return [];
  if (third !== undefined && second !== undefined) return [{ pod: first, service: second, namespace: third }];
  if (second === undefined) return short === undefined ? [{ service: first, namespace }] : [];
  const readings: HostName[] = [{ service: first, namespace: second }];
  if (short === undefined) readings.push({ pod: first, service: second, namespace });
  return readings;
}

const ready = (pod: EndpointPod): boolean =>
  pod.status?.phase === 'Running' &&
  !pod.metadata.deletionTimestamp &&
  (pod.status.conditions ?? []).some((one) => one.type === 'Ready' && one.status === 'True');

/** The ready pods of a Service, by its selector. */
export function podsOf(service: Service, pods: readonly EndpointPod[]): EndpointPod[] {
  const selector = Object.entries(service.spec?.selector ?? {});
  if (selector.length === 0) return [];
  return pods.filter((pod) => ready(pod) && selector.every(([key, value]) => pod.metadata.labels?.[key] === value));
}

/**
 * A pod and its port for `port` of a Service. `turn` spreads calls over the pods.
 * Throws DIAL_REFUSED (port not served, as kube-proxy rejects it), DIAL_UNREACHABLE (no selector), UNSUPPORTED (ExternalName).
 */
export function endpointOf(
  service: Service,
  port: number,
  pods: readonly EndpointPod[],
  turn: number,
): { pod: string; port: number } {
  const { name } = service.metadata;
  if (service.spec?.type === 'ExternalName') {
    throw new KtError(
      'UNSUPPORTED',
      `${name} is an ExternalName (${service.spec.externalName ?? ''}); without an agent only pods can be reached`,
    );
  }
  if (Object.keys(service.spec?.selector ?? {}).length === 0) {
    throw new KtError('DIAL_UNREACHABLE', `Service ${name} has no selector; without an agent only pods can be reached`);
  }
  const headless = service.spec?.clusterIP === 'None';
  const declared = service.spec?.ports?.find((one) => one.port === port && (one.protocol ?? 'TCP') === 'TCP');
  if (!declared && !headless) throw new KtError('DIAL_REFUSED', `Service ${name} has no TCP port ${port}`);
  const candidates = podsOf(service, pods);
  const pod = candidates[turn % Math.max(1, candidates.length)];
  if (!pod) throw new KtError('DIAL_REFUSED', `no pod behind Service ${name} is ready`);
  // A headless name is the pod's own address: the port is used as it is.
  const target = headless ? port : (declared?.targetPort ?? port);
  if (typeof target === 'number') return { pod: pod.metadata.name, port: target };
  const named = pod.spec?.containers?.flatMap((container) => container.ports ?? []).find((one) => one.name === target);
  if (!named) throw new KtError('DIAL_REFUSED', `no container of ${pod.metadata.name} declares the port '${target}'`);
  return { pod: pod.metadata.name, port: named.containerPort };
}

/** The pod that a StatefulSet gave a name behind a headless Service (`db-0.db`). */
export function namedPod(service: Service, hostname: string, pods: readonly EndpointPod[]): EndpointPod | undefined {
  return podsOf(service, pods).find(
    (pod) =>
      (pod.spec?.hostname ?? pod.metadata.name) === hostname &&
      (pod.spec?.subdomain ?? service.metadata.name) === service.metadata.name,
  );
}
