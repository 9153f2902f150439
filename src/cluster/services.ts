// Keeps what the router must know of the namespace: names and addresses of Services, addresses of pods behind them.
// By watch; by list now and then where watching is not allowed; not at all (and said so) where listing is not.
// Called by session.ts. Not for taking a Service over.
import { follow } from './follow.ts';
import { endpointSlicesPath, servicePath } from './paths.ts';
import type { ClusterApi } from './rest.ts';

export interface Service {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly externalName?: string;
    readonly selector?: Readonly<Record<string, string>>;
    readonly ports?: readonly {
      readonly name?: string;
      readonly protocol?: string;
      readonly port: number;
      readonly targetPort?: number | string;
    }[];
  };
}

interface EndpointSlice {
  readonly metadata: { readonly name: string };
  readonly endpoints?: readonly { readonly addresses?: readonly string[] }[];
}

export interface NamespaceView {
  readonly services: readonly Service[];
  /** ClusterIPs of the Services. */
  readonly serviceAddresses: readonly string[];
  /** Addresses of the pods behind them. */
  readonly podAddresses: readonly string[];
}

export interface ServicesWatch {
  /** Resolves when the Services were seen once; false where they may not be listed. Never rejects. */
  readonly first: Promise<boolean>;
}

/** Calls `onChange` with each new view until `signal` aborts. */
export function watchServices(
  api: ClusterApi,
  namespace: string,
  signal: AbortSignal,
  onChange: (view: NamespaceView) => void,
): ServicesWatch {
  const services = new Map<string, Service>();
  const slices = new Map<string, readonly string[]>();
  const tell = (): void => {
    const all = [...services.values()];
    const addresses = all.flatMap((service) => service.spec?.clusterIPs ?? [service.spec?.clusterIP ?? '']);
    onChange({
      services: all,
      serviceAddresses: addresses.filter((address) => address !== '' && address !== 'None'),
      podAddresses: [...slices.values()].flat(),
    });
  };
  const first = follow<Service>(api, servicePath(namespace), signal, services, (service) => service, tell);
  void follow<EndpointSlice, readonly string[]>(
    api,
    endpointSlicesPath(namespace),
    signal,
    slices,
    (slice) => (slice.endpoints ?? []).flatMap((endpoint) => endpoint.addresses ?? []),
    tell,
  );
  return { first };
}
