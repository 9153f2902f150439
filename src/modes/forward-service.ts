// Which destination a target of `kt forward` is: a Service (here or in another namespace) with its port, or any address as it is written.
// Asks the API server, changes nothing. Called by forward.ts.
import { readHostName } from '../cluster/find-endpoint.ts';
import { endpointSlicesPath, servicePath } from '../cluster/paths.ts';
import type { ClusterApi } from '../cluster/rest.ts';
import { find, list } from '../cluster/takeover/objects.ts';
import type { ServicePort } from '../cluster/takeover/types.ts';
import { asKtError, KtError } from '../errors.ts';
import type { Target } from '../netstack/dialer.ts';
import type { ForwardRequest, PortWish, Protocol } from '../netstack/forward/rules.codec.ts';
import { parseAddress } from '../netstack/route/cidr.ts';
import { choosePort, type ForwardService } from './forward-ports.ts';

export interface Place {
  readonly api: ClusterApi;
  readonly namespace: string;
  readonly clusterDomain: string;
}

export interface Forward {
  readonly target: Target;
  readonly protocol: Protocol;
  readonly address: string;
  /** 0: any free one. */
  readonly local: number;
  readonly localNamed: boolean;
}

/** `udp`: words without /tcp or /udp mean UDP. Rejects with USAGE, SERVICE_NOT_FOUND, RIGHTS_MISSING or UNSUPPORTED. */
export async function forwardTargets(
  place: Place,
  request: ForwardRequest,
  udp: boolean,
): Promise<Omit<Forward, 'address'>[]> {
  const { host } = request;
  const wishes = request.ports.length > 0 ? request.ports : [undefined];
  const found = await findService(place, request);
  if (!found) return wishes.map((wish) => addressPort(host, wish, udp));
  const { service, namespace } = found;
  return Promise.all(
    wishes.map(async (wish) => {
      const { port, ...rest } = choosePort(service, wish, udp);
      const number = typeof port === 'number' ? port : await podPort(place.api, namespace, service, port.portOf);
      return { target: { host, port: number }, ...rest };
    }),
  );
}

/** The port of something that is no Service, or may not be asked for. */
function addressPort(host: string, wish: PortWish | undefined, udp: boolean): Omit<Forward, 'address'> {
  const remote = wish?.remote ?? (wish?.local === undefined ? undefined : String(wish.local));
  if (remote === undefined || !/^\d+$/.test(remote))
    throw new KtError('USAGE', `name the port of ${host} as a number`, { hint: `kt forward ${host} 5432` });
  const port = Number(remote);
  return {
    target: { host, port },
    protocol: wish?.protocol ?? (udp ? 'UDP' : 'TCP'),
    local: wish?.local ?? port,
    localNamed: wish?.local !== undefined,
  };
}

/** The Service that the host names; undefined where it is an address, or can't be known. */
async function findService(
  { api, namespace, clusterDomain }: Place,
  { host, isService, ports }: ForwardRequest,
): Promise<{ readonly service: ForwardService; readonly namespace: string } | undefined> {
  if (parseAddress(host) !== undefined) return undefined;
  const short = !host.includes('.');
  const readings = readHostName(host, namespace, clusterDomain).filter(({ pod }) => pod === undefined);
  for (const reading of readings) {
    try {
      const service = await find<ForwardService>(api, servicePath(reading.namespace, reading.service));
      if (service) return { service, namespace: reading.namespace };
    } catch (error) {
      // Another namespace that may not be looked at may still be reached; here a number is taken as it is.
      const numbers = ports.length > 0 && ports.every(({ remote }) => remote === undefined || /^\d+$/.test(remote));
      if (asKtError(error).code !== 'RIGHTS_MISSING' || (short && !numbers)) throw error;
      return undefined;
    }
  }
  if (!short && !isService) return undefined;
  throw new KtError('SERVICE_NOT_FOUND', `there is no service '${host}' in the namespace '${namespace}'`, {
    hint: `kubectl -n ${namespace} get services shows what there is; -n chooses another namespace`,
  });
}

interface EndpointSlice {
  readonly ports?: readonly { readonly name?: string; readonly port?: number }[];
}

/** A headless Service with a named target port: its endpoints carry the number under the name of the Service's port. */
async function podPort(
  api: ClusterApi,
  namespace: string,
  { metadata: { name } }: ForwardService,
  wanted: ServicePort,
): Promise<number> {
  const slices = await list<EndpointSlice>(api, endpointSlicesPath(namespace), `kubernetes.io/service-name=${name}`);
  const found = slices.flatMap(({ ports = [] }) => ports).find((port) => (port.name ?? '') === (wanted.name ?? ''));
  if (found?.port !== undefined) return found.port;
  throw new KtError('DIAL_REFUSED', `no pod of ${name} has a port named '${wanted.targetPort ?? ''}'`, {
    hint: `name its number: kt forward ${name} LOCAL:NUMBER`,
  });
}
