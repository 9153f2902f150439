// The proxy on the way to the API server: proxy-url of the kubeconfig's cluster, else HTTPS_PROXY or HTTP_PROXY with NO_PROXY, as
// kubectl has it. Not a PAC file's answer (pac/). Pure. Called by config.ts and api-connection.ts.
import type { Target } from '../netstack/dialer.ts';
import { parseProxyUrl } from '../netstack/http/proxy-url.ts';
import { environmentProxy } from '../netstack/route/no-proxy.ts';
import { invalid, type Sourced } from './kubeconfig.ts';
import type { Cluster } from './kubeconfig-schema.ts';

/** Host and port of a server's URL. */
export function serverTarget(server: string): Target {
  const url = new URL(server);
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port };
}

/** Throws KUBECONFIG_INVALID where proxy-url is no proxy. NO_PROXY does not count for proxy-url. */
export function apiProxy(server: string, cluster: Sourced<Cluster>, env: NodeJS.ProcessEnv): URL | undefined {
  const { host, port } = serverTarget(server);
  const own = cluster.value['proxy-url'];
  if (!own) return environmentProxy(host, port, server.startsWith('https:') ? 'https' : 'http', env);
  try {
    return parseProxyUrl(own, `proxy-url of the cluster '${cluster.name}'`);
  } catch (error) {
    throw invalid(`${cluster.file}: ${(error as Error).message}`, error);
  }
}
