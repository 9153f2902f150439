// The mode `forward`: local ports that lead to Services, or to any address that the cluster reaches. The ports are opened first (one that
// is taken is told before anything is made in the cluster), then a private session. A lost link is made again by the session, and what is
// dialled meanwhile waits. Words are netstack/forward/rules.codec.ts. Called by cli/commands/forward.ts.
import { loadClusterConfig } from '../cluster/config.ts';
import { ClusterApi } from '../cluster/rest.ts';
import { find, servicePath } from '../cluster/takeover/objects.ts';
import type { ServiceObject } from '../cluster/takeover/types.ts';
import { KtError } from '../errors.ts';
import type { Dialer } from '../netstack/dialer.ts';
import {
  type ForwardRequest,
  ownAddress,
  type PortWish,
  type Protocol,
  parseForwards,
} from '../netstack/forward/rules.codec.ts';
import { forwardTcp } from '../netstack/forward/tcp-forwarder.ts';
import { forwardUdp } from '../netstack/forward/udp-forwarder.ts';
import type { EventSink } from '../session/events.ts';
import type { ListenContext, OwnListeners } from '../session/session.ts';
import { Session, type SessionOptions } from '../session/session.ts';
import { choosePort } from './forward-ports.ts';

interface Forward {
  readonly host: string;
  readonly port: number;
  /** 0: any free one. */
  readonly local: number;
  readonly protocol: Protocol;
}

export interface Forwarding {
  readonly ended: Promise<string>;
  close(reason: string): Promise<void>;
}

/** Opens everything or nothing. `ownIp`: each target's ports are on a loopback address of its own (Linux). */
export async function forward(
  words: readonly string[],
  ownIp: boolean,
  options: SessionOptions,
  emit: EventSink,
  signal: AbortSignal,
): Promise<Forwarding> {
  const forwards = await resolveForwards(parseForwards(words), options);
  const opened: { readonly port: number; close(): Promise<void> }[] = [];
  const closePorts = async (): Promise<void> => void (await Promise.all(opened.map((one) => one.close())));
  const { dialer, give } = lateDialer();
  try {
    for (const { host: name, port, local, protocol } of forwards) {
      const host = ownIp ? ownAddress(name) : '127.0.0.1';
      const target = { host: name, port };
      const open = protocol === 'UDP' ? forwardUdp : forwardTcp;
      opened.push(await open({ host, port: local, target, dialer, setting: 'LOCAL:REMOTE' }));
    }
    const session = await Session.open(options, emit, signal);
    give(session.dialer);
    forwards.forEach(({ host: name, port, protocol }, index) => {
      const host = ownIp ? ownAddress(name) : '127.0.0.1';
      emit({ type: 'forwarding', local: `${host}:${opened[index]?.port ?? 0}`, remote: `${name}:${port}`, protocol });
    });
    return {
      ended: session.ended,
      close: async (reason) => {
        await closePorts();
        await session.close(reason);
      },
    };
  } catch (error) {
    await closePorts();
    throw error;
  }
}

/** A dialer that is there before its session is: who connects early waits. */
function lateDialer(): { readonly dialer: Dialer; readonly give: (dialer: Dialer) => void } {
  let give: (dialer: Dialer) => void = () => undefined;
  const later = new Promise<Dialer>((resolve) => {
    give = resolve;
  });
  const dialer: Dialer = {
    dial: async (target, options) => (await later).dial(target, options),
    resolve: async (name, type, options) => (await later).resolve(name, type, options),
    datagrams: async (target, options) => (await later).datagrams(target, options),
  };
  return { dialer, give: (found) => give(found) };
}

async function resolveForwards(requests: readonly ForwardRequest[], options: SessionOptions): Promise<Forward[]> {
  const { kubeconfig, context, namespace } = options;
  const config = await loadClusterConfig({
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
    ...(namespace === undefined ? {} : { namespace }),
  });
  const api = new ClusterApi(config);
  try {
    const forwards: Forward[] = [];
    for (const request of requests) {
      const service = await serviceOf(api, config.namespace, request);
      forwards.push(...portsOf(request, service));
    }
    return forwards;
  } finally {
    api.close();
  }
}

/** The Service of this name; undefined where it is an address, or where the Service may not be asked for. */
async function serviceOf(
  api: ClusterApi,
  namespace: string,
  { host, isService }: ForwardRequest,
): Promise<ServiceObject | undefined> {
  if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(host)) return undefined;
  const service = await find<ServiceObject>(api, servicePath(namespace, host)).catch((error: unknown) => {
    if (isService) throw error;
    return undefined;
  });
  if (isService && !service)
    throw new KtError('SERVICE_NOT_FOUND', `there is no service '${host}' in the namespace '${namespace}'`);
  return service;
}

/** kt-connect's rules: no port is the Service's only one, a single number means both sides. Throws USAGE naming what there is. */
function portsOf(request: ForwardRequest, service: ServiceObject | undefined): Forward[] {
  const { host, ports: wishes } = request;
  if (!service) {
    if (wishes.length === 0) throw new KtError('USAGE', `which port of ${host}?`, { hint: `kt forward ${host} 5432` });
    return wishes.map((wish) => plainPort(host, wish));
  }
  return (wishes.length === 0 ? [undefined] : wishes).map((wish) => {
    const { port, protocol, local } = choosePort(service, wish, false);
    if (typeof port !== 'number')
      throw new KtError(
        'UNSUPPORTED',
        `${host} is headless and only its pods know the number of '${String(port.portOf.targetPort)}'`,
        {
          hint: 'name the pod and its port by number',
        },
      );
    return { host, port, local, protocol };
  });
}

/** A port of something that is no Service of the namespace: a number. */
function plainPort(host: string, { text, local, remote, protocol = 'TCP' }: PortWish): Forward {
  const port = Number(remote ?? local);
  if (!Number.isInteger(port))
    throw new KtError('USAGE', `${host} is no Service of the namespace: '${text}' has to be a number`);
  return { host, port, local: local ?? port, protocol };
}
