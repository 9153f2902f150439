// Which ports of a Service come to the laptop, and where the agent has to listen for each. Pure.
// Users may say a port by the Service's number or name, or by the target port's. Called by plan.ts.
import { KtError } from '../../errors.ts';
import type { ListenPort, ServicePort, TakenPort, WantedPort } from './types.ts';

/** Named ports of the pods' containers: name → number. */
export type NamedPorts = ReadonlyMap<string, number>;

/** `8080`, `8080:80`, `local:http`, lists with commas. Throws USAGE. */
export function parseExpose(texts: readonly string[]): WantedPort[] {
  return texts
    .flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .map((text) => {
      const parts = text.split(':');
      const [first = '', second] = parts;
      const remote = second ?? first;
      const local = Number(first);
      if (parts.length > 2 || remote === '' || (second !== undefined && !isPort(local)))
        throw new KtError('USAGE', `--expose takes LOCAL:REMOTE or one port for both and got '${text}'`, {
          hint: '--expose 8080  or  --expose 9000:80  or  --expose 8080:http',
        });
      return isPort(local) ? { remote, local } : { remote };
    });
}

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
  return wanted.map(({ remote, local }) => {
    const number = Number(remote);
    const found =
      listens.find(({ servicePort, name }) => servicePort === number || name === remote) ??
      listens.find(({ listen, targetName }) => listen === number || targetName === remote);
    if (!found)
      throw new KtError('USAGE', `${service} has no port '${remote}': it has ${listens.map(portText).join(', ')}`);
    return { ...found, local: local ?? found.listen };
  });
}

export function portText({ servicePort, name, listen, protocol }: ListenPort): string {
  const target = listen === servicePort ? '' : ` → ${listen}`;
  return `${servicePort}${name ? ` (${name})` : ''}${target}${protocol === 'UDP' ? ' UDP' : ''}`;
}
