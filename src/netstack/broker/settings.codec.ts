// What a shim must know to ask a broker, as variables: in one form, so that shims need not know others. Pure. The shims read it from
// their environment (modes/run-env.ts), or from the session file when the broker is gone (session/session-file.ts).

export interface ShimSettings {
  readonly broker: { readonly address: string; readonly token: string };
  /** Networks of the cluster, `10.96.0.0/12`, and single addresses. */
  readonly cidrs: readonly string[];
  /** Suffixes and whole names that belong to the cluster beyond `.svc` and `.cluster.local`. */
  readonly suffixes: readonly string[];
  /** `127.0.0.1:port` of a DNS server that answers REFUSED to what is not the cluster's, where there is one. */
  readonly dns?: string | undefined;
}

export function shimVariables({ broker, cidrs, suffixes, dns }: ShimSettings): Record<string, string> {
  return {
    KT_BROKER: broker.address,
    // In the environment and never in an option: JVMs print their options.
    KT_TOKEN: broker.token,
    // With the prefix length; with a leading dot and in lower case.
    KT_CIDRS: cidrs.map(withPrefix).join(','),
    KT_SUFFIXES: suffixes.map(dotted).join(','),
    ...(dns === undefined ? {} : { KT_DNS: dns }),
  };
}

/** `198.18.0.7` is `198.18.0.7/32`. */
function withPrefix(cidr: string): string {
  if (cidr.includes('/')) return cidr;
  return `${cidr}/${cidr.includes(':') ? 128 : 32}`;
}

/** `Shop` is `.shop`. */
export function dotted(suffix: string): string {
  return (suffix.startsWith('.') ? suffix : `.${suffix}`).toLowerCase();
}
