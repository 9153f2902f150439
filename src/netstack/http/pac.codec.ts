// The PAC file that the local proxy serves at /proxy.pac: what may be the cluster's goes to kt, everything else goes as before. Pure.
// Generous with names, because kt's own router decides in the end and knows the way out too. Called by session/listeners.ts.
// https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/Proxy_servers_and_tunneling/Proxy_Auto-Configuration_PAC_file

export interface PacOptions {
  /** `127.0.0.1:2223`. */
  readonly proxy: string;
  /** It asks for a name and a password. */
  readonly login?: boolean;
  readonly namespace: string;
  /** `svc`, `cluster.local` and what the user has added; with or without a leading dot. */
  readonly suffixes: readonly string[];
  /** IPv4 networks and addresses count; PAC has no test for IPv6 that all browsers have. */
  readonly cidrs: readonly string[];
  /** The laptop has a company proxy, to which kt's leads: then nothing goes direct but the laptop's own. */
  readonly companyProxy: boolean;
}

export const PAC_PATH = '/proxy.pac';
export const PAC_TYPE = 'application/x-ns-proxy-autoconfig';

export function pacFile({ proxy, login = false, namespace, suffixes, cidrs, companyProxy }: PacOptions): string {
  const dotted = [...new Set([...suffixes, namespace].map((one) => `.${one.replace(/^\./, '').toLowerCase()}`))];
  const networks = cidrs.filter((cidr) => !cidr.includes(':')).map(network);
  // SOCKS5: the name is looked up in the cluster, and every protocol of a browser passes. Browsers have no password for it; for HTTP they ask.
  const kt = `${login ? 'PROXY' : 'SOCKS5'} ${proxy}`;
  return `function FindProxyForURL(url, host) {
  var suffixes = ${JSON.stringify(dotted)};
  var networks = ${JSON.stringify(networks)};
  host = host.toLowerCase();
  if (host === "localhost" || /\\.localhost$/.test(host) || /^127\\./.test(host) || host === "::1" || host === "[::1]") return "DIRECT";
  if (isPlainHostName(host)) return "${kt}";
  for (var i = 0; i < suffixes.length; i++) {
    if (host.slice(-suffixes[i].length) === suffixes[i] || host.indexOf(".svc.") >= 0) return "${kt}";
  }
  if (/^\\d+\\.\\d+\\.\\d+\\.\\d+$/.test(host)) {
    for (var j = 0; j < networks.length; j++) {
      if (isInNet(host, networks[j][0], networks[j][1])) return "${kt}";
    }
  }
  return ${JSON.stringify(companyProxy ? `PROXY ${proxy}` : 'DIRECT')};
}
`;
}

/** `10.96.0.0/12` → its address and mask. */
function network(cidr: string): [string, string] {
  const [address = '', prefix = '32'] = cidr.split('/');
  const bits = Number(prefix);
  const mask = bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
  return [address, [24, 16, 8, 0].map((shift) => (mask >>> shift) & 0xff).join('.')];
}
