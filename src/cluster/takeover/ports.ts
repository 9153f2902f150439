// Which ports of a Service come to the laptop, and where the agent has to listen for each. Pure.
// Users may say a port by the Service's number or name, or by the target port's. Called by plan.ts.
import { KtError } from '../../errors.ts';
import { AGENT_LINK_PORT } from '../agent-pod.ts';
import type { ListenPort, ServicePort, TakenPort, WantedPort } from './types.ts';

/** Named ports of the pods' containers: name → number. */
export type NamedPorts = ReadonlyMap<string, number>;

/** `8080`, `9000:80`, `9000:http`, `5353:53/udp`, lists with commas. Throws USAGE. */
export function parseExpose(texts: readonly string[]): WantedPort[] {
  return texts
    .flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .map((text) => {
      const [ports = '', word, ...more] = text.split('/');
      const protocol = word === undefined ? undefined : PROTOCOLS[word.toLowerCase()];
      const parts = ports.split(':');
      const [first = '', second] = parts;
      const remote = second ?? first;
      const local = Number(first);
      const badProtocol = more.length > 0 || (word !== undefined && protocol === undefined);
      if (badProtocol || parts.length > 2 || remote === '' || (second !== undefined && !isPort(local)))
        throw new KtError('USAGE', `--expose takes LOCAL:REMOTE or one port for both and got '${text}'`, {
          hint: '--expose 8080  or  --expose 9000:80  or  --expose 8080:http  or  --expose 5353:53/udp',
        });
      return { remote, ...(isPort(local) ? { local } : {}), ...(protocol ? { protocol } : {}) };
    });
}

const PROTOCOLS: Readonly<Record<string, 'TCP' | 'UDP'>> = { tcp: 'TCP', udp: 'UDP' };

const isPort = (value: number): boolean => Number.isInteger(value) && value > 0 && value < 65_536;

/** Where the agent listens for each port of the Service. Throws SERVICE_REFUSED where a target port's name is in no pod. */
export function listenPorts(service: string, ports: readonly ServicePort[], named: NamedPorts): ListenPort[] {
  return ports.map(({ name, protocol = 'TCP', port, targetPort = port }) => {
    if (protocol !== 'TCP' && protocol !== 'UDP')
      throw new KtError('SERVICE_REFUSED', `port ${port} of ${service} is ${protocol}, which kt does not carry`);
    const listen = typeof targetPort === 'number' ? targetPort : named.get(targetPort);
    if (listen === undefined)
      throw new KtError('SERVICE_REFUSED', `no pod of ${service} has a container port named '${targetPort}'`, {
        hint: 'its port number is not known without one: start a pod of the Service, or use `kt preview`',
      });
    return {
      servicePort: port,
      ...(name === undefined ? {} : { name }),
      protocol,
      listen,
      ...(typeof targetPort === 'string' ? { targetName: targetPort } : {}),
    };
  });
}

/** Does an agent with these listeners serve each of these ports? A redeploy may have changed them. */
export const servesAll = (listens: readonly ListenPort[], ports: readonly ServicePort[]): boolean =>
  ports.every(({ port, targetPort = port, protocol = 'TCP' }) =>
    listens.some(
      (one) =>
        one.protocol === protocol && (typeof targetPort === 'number' ? one.listen : one.targetName) === targetPort,
    ),
  );

/** Those that the user wants; all TCP ports where nothing was said. Throws USAGE naming the ports that there are. */
export function takenPorts(
  service: string,
  listens: readonly ListenPort[],
  wanted: readonly WantedPort[],
): TakenPort[] {
  if (wanted.length === 0) {
    const all = listens.filter(({ protocol }) => protocol === 'TCP');
    return (all.length > 0 ? all : listens).map((port) => ({ ...port, local: port.listen }));
  }
  const taken = wanted.map((one) => {
    const found = findPort(listens, one);
    if (!found)
      throw new KtError(
        'USAGE',
        `${service} has no port '${wantedText(one)}': it has ${listens.map(portText).join(', ')}`,
      );
    return { ...found, local: one.local ?? found.listen };
  });
  for (const port of taken) {
    const other = taken.find(
      ({ listen, protocol, local }) => listen === port.listen && protocol === port.protocol && local !== port.local,
    );
    // The pods can't tell them apart, and no more can the agent.
    if (other)
      throw new KtError(
        'USAGE',
        `the ports ${port.servicePort} and ${other.servicePort} of ${service} have the same target port ${port.listen}: they come to one local port`,
      );
  }
  return taken;
}

const wantedText = ({ remote, protocol }: WantedPort): string => (protocol === 'UDP' ? `${remote}/udp` : remote);

/** By the Service's port or its name, else by the target port's; TCP first where one number is both. */
function findPort(listens: readonly ListenPort[], { remote, protocol }: WantedPort): ListenPort | undefined {
  const number = Number(remote);
  const fits = (['TCP', 'UDP'] as const)
    .filter((one) => protocol === undefined || one === protocol)
    .flatMap((one) => listens.filter((port) => port.protocol === one));
  return (
    fits.find(({ servicePort, name }) => servicePort === number || name === remote) ??
    fits.find(({ listen, targetName }) => listen === number || targetName === remote)
  );
}

/** For the link and for the health probe: the usual ones, unless the Service has them. */
export function freePorts(listens: readonly ListenPort[]): { readonly linkPort: number; readonly healthPort: number } {
  const taken = new Set(listens.map(({ listen }) => listen));
  const [linkPort = AGENT_LINK_PORT, healthPort = AGENT_LINK_PORT + 1] = Array.from(
    { length: taken.size + 2 },
    (_, index) => AGENT_LINK_PORT + index,
  ).filter((port) => !taken.has(port));
  return { linkPort, healthPort };
}

export function portText({ servicePort, name, listen, protocol }: ListenPort): string {
  const target = listen === servicePort ? '' : ` → ${listen}`;
  return `${servicePort}${name ? ` (${name})` : ''}${target}${protocol === 'UDP' ? ' UDP' : ''}`;
}
