// Which port of a Service the words of `kt forward` mean. Pure: asks nobody. Called by forward.ts.
// A number may be the Service's port or its target port, a name either's; a single number that is neither is the local port of the only one.
import type { ServicePort } from '../cluster/takeover/types.ts';
import { KtError } from '../errors.ts';
import type { PortWish, Protocol } from '../netstack/forward/rules.codec.ts';

/** The part of a Kubernetes Service (v1) that counts here. */
export interface ForwardService {
  readonly metadata: { readonly name: string };
  readonly spec?: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly ports?: readonly ServicePort[];
  };
}

export interface ChosenPort {
  /** To be dialled at the Service's name; a name where only the pods know the number (headless, named target port). */
  readonly port: number | { readonly portOf: ServicePort };
  readonly protocol: Protocol;
  /** 0: any free one. */
  readonly local: number;
  /** The user named it. */
  readonly localNamed: boolean;
}

const protocolOf = ({ protocol = 'TCP' }: ServicePort): string => protocol;

/** `wish` undefined: the only port. `udp`: words without /tcp or /udp mean UDP. Throws USAGE with the ports that there are. */
export function choosePort(service: ForwardService, wish: PortWish | undefined, udp: boolean): ChosenPort {
  const { name } = service.metadata;
  const wanted = wish?.protocol ?? (udp ? 'UDP' : undefined);
  const all = service.spec?.ports ?? [];
  // TCP first: where both have one number, as DNS does, TCP is meant unless UDP was said.
  const ports = all
    .filter((port) => protocolOf(port) === (wanted ?? protocolOf(port)))
    .toSorted((one, other) => protocolOf(one).localeCompare(protocolOf(other)));
  const has = all.length === 0 ? 'it has none' : `it has ${all.map(portText).join(', ')}`;
  const no = (message: string): KtError =>
    new KtError('USAGE', `${message}: ${has}`, {
      hint: `kt forward ${name} LOCAL:PORT`,
    });
  const [only, ...others] = ports;
  const single = wish?.remote === undefined ? wish?.local : undefined;
  const meant = wish?.remote ?? (single === undefined ? undefined : String(single));
  let chosen = meant === undefined ? undefined : portNamed(ports, meant);
  if (meant === undefined || (chosen === undefined && single !== undefined)) {
    if (only === undefined && (service.spec?.type !== 'ExternalName' || all.length > 0))
      throw no(`${name} has no ${wanted ?? ''} port`.replace('  ', ' '));
    if (others.length > 0)
      throw no(single === undefined ? `name the port of ${name}` : `${name} has no port ${single}`);
    chosen = only;
  }
  // An ExternalName needs no list of ports: the other end has what it has.
  if (chosen === undefined && service.spec?.type === 'ExternalName' && all.length === 0) {
    if (meant === undefined || !/^\d+$/.test(meant)) throw no(`name the port of ${name} as a number`);
    const port = Number(meant);
    const local = wish?.local ?? port;
    return { port, protocol: wanted ?? 'TCP', local, localNamed: wish?.local !== undefined };
  }
  if (chosen === undefined) throw no(`${name} has no port ${wish?.text ?? ''}`.trimEnd());
  const protocol = protocolOf(chosen);
  if (protocol !== 'TCP' && protocol !== 'UDP')
    throw new KtError('UNSUPPORTED', `port ${chosen.port} of ${name} is ${protocol}, which kt does not carry`);
  const local = wish?.local ?? chosen.port;
  return { port: dialled(service, chosen), protocol, local, localNamed: wish?.local !== undefined };
}

/** The Service's own numbers and names count before those of its pods. */
function portNamed(ports: readonly ServicePort[], text: string): ServicePort | undefined {
  const is = (value: number | string | undefined): boolean =>
    value !== undefined && String(value).toLowerCase() === text.toLowerCase();
  return (
    ports.find(({ port }) => is(port)) ??
    ports.find(({ name }) => is(name)) ??
    ports.find(({ targetPort }) => is(targetPort))
  );
}

/** The name of a headless Service leads to its pods, which know target ports only. */
function dialled(service: ForwardService, chosen: ServicePort): ChosenPort['port'] {
  if (service.spec?.clusterIP !== 'None') return chosen.port;
  const { targetPort = chosen.port } = chosen;
  return typeof targetPort === 'number' ? targetPort : { portOf: chosen };
}

/** `80 (http) → 8080`, `53 UDP`. */
export function portText(service: ServicePort): string {
  const { port, name, targetPort = port } = service;
  const target = targetPort === port ? '' : ` → ${targetPort}`;
  const protocol = protocolOf(service);
  return `${port}${name ? ` (${name})` : ''}${target}${protocol === 'TCP' ? '' : ` ${protocol}`}`;
}
