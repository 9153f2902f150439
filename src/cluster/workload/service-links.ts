// The variables that the kubelet makes of every Service in a pod's namespace: ORDERS_SERVICE_HOST and its like ("service links").
// Pure. Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
import type { Service } from '../services.ts';

/** Headless Services and those without ports have none. */
export function serviceLinks(services: readonly Service[]): Map<string, string> {
  const links = new Map<string, string>();
  for (const { metadata, spec } of services) {
    const address = spec?.clusterIP;
    const ports = spec?.ports ?? [];
    const [first] = ports;
    if (!address || address === 'None' || !first) continue;
    const name = metadata.name.toUpperCase().replaceAll('-', '_');
    links.set(`${name}_SERVICE_HOST`, address);
    links.set(`${name}_SERVICE_PORT`, String(first.port));
    for (const port of ports) {
      if (port.name)
        links.set(`${name}_SERVICE_PORT_${port.name.toUpperCase().replaceAll('-', '_')}`, String(port.port));
    }
    const host = address.includes(':') ? `[${address}]` : address;
    for (const { protocol = 'TCP', port } of ports) {
      const url = `${protocol.toLowerCase()}://${host}:${port}`;
      const prefix = `${name}_PORT_${port}_${protocol}`;
      if (port === first.port && protocol === (first.protocol ?? 'TCP')) links.set(`${name}_PORT`, url);
      links.set(prefix, url);
      links.set(`${prefix}_PROTO`, protocol.toLowerCase());
      links.set(`${prefix}_PORT`, String(port));
      links.set(`${prefix}_ADDR`, address);
    }
  }
  return links;
}
