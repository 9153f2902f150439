// Keeps what the router must know of the namespace: names and addresses of Services, addresses of pods behind them.
// By watch; by list now and then where watching is not allowed; not at all (and said so) where listing is not.
// Called by session.ts. Not for taking a Service over.
import { asKtError } from '../errors.ts';
import { endpointSlicesPath, servicePath } from './paths.ts';
import type { ClusterApi } from './rest.ts';
import { watchList } from './watch.ts';

/** Milliseconds between two lists where watching is not allowed. */
const POLL_MS = 15_000;

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

/** Fills `store` from a watch. Resolves after the first list: true, or false where it is not allowed. */
function follow<T extends { readonly metadata: { readonly name: string } }, V = T>(
  api: ClusterApi,
  path: string,
  signal: AbortSignal,
  store: Map<string, V>,
  take: (object: T) => V,
  tell: () => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    const poll = async (): Promise<void> => {
      while (!signal.aborted) {
        const list = await api.request<{ items: T[] }>('GET', path, { signal });
        store.clear();
        for (const object of list.items) store.set(object.metadata.name, take(object));
        tell();
        resolve(true);
        await pause(POLL_MS, signal);
      }
    };
    const watch = async (): Promise<void> => {
      let synced = false;
      for await (const change of watchList<T>(api, path, { signal })) {
        if (change.type === 'added' || change.type === 'modified')
          store.set(change.object.metadata.name, take(change.object));
        else if (change.type === 'deleted') store.delete(change.object.metadata.name);
        else synced = true;
        if (!synced) continue;
        tell();
        resolve(true);
      }
    };
    watch()
      .catch((error: unknown) => {
        if (signal.aborted || asKtError(error).code !== 'RIGHTS_MISSING') throw error;
        return poll();
      })
      .catch(() => resolve(false));
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
