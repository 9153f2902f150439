// The hosts of a namespace's Ingresses, kept true. Source: networking.k8s.io/v1. Called by session/cluster.ts where `--ingressIp` is given.
import { follow } from './follow.ts';
import { ingressesPath } from './paths.ts';
import type { ClusterApi } from './rest.ts';

interface Ingress {
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly rules?: readonly { readonly host?: string }[] };
}

/** Calls `onChange` with all of them, wildcards too, until `signal` aborts. Resolves after the first list; false where it is not allowed. */
export function watchIngressHosts(
  api: ClusterApi,
  namespace: string,
  signal: AbortSignal,
  onChange: (hosts: readonly string[]) => void,
): Promise<boolean> {
  const hosts = new Map<string, readonly string[]>();
  const take = ({ spec }: Ingress): string[] => (spec?.rules ?? []).flatMap(({ host }) => (host ? [host] : []));
  const tell = (): void => onChange([...hosts.values()].flat());
  return follow<Ingress, readonly string[]>(api, ingressesPath(namespace), signal, hosts, take, tell);
}
