// The kernel's table of TCP connections, as a pod's /proc/net/tcp and /proc/net/tcp6 have it. Sans-io; used by kept-callers.ts.
// Source: kernel.org Documentation/networking/proc_net_tcp: addresses are hexadecimal words of 32 bits as the machine has them in memory;
// read here as those of little-endian machines (amd64, arm64), the only ones that images of kt's agent are for.

export interface TcpEnd {
  /** IPv4 in dotted form (also where it came mapped into IPv6), IPv6 as eight groups. */
  readonly address: string;
  readonly port: number;
}

export interface TcpEntry {
  readonly local: TcpEnd;
  readonly remote: TcpEnd;
  /** As the kernel counts them: 1 is ESTABLISHED. */
  readonly state: number;
}

export const ESTABLISHED = 1;

const LINE =
  /^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) ([0-9A-F]{2})\s/;
/** ::ffff:0:0/96, RFC 4291 §2.5.5.2. */
const MAPPED = '0:0:0:0:0:ffff:';

/** The entries of one or several tables; what is no entry (headings, a line that was cut) is left out. Never throws. */
export function parseProcNetTcp(text: string): TcpEntry[] {
  const entries: TcpEntry[] = [];
  for (const line of text.split('\n')) {
    const [, localAddress, localPort, remoteAddress, remotePort, state] = LINE.exec(line) ?? [];
    if (localAddress === undefined || remoteAddress === undefined) continue;
    entries.push({
      local: { address: addressOf(localAddress), port: Number.parseInt(localPort ?? '', 16) },
      remote: { address: addressOf(remoteAddress), port: Number.parseInt(remotePort ?? '', 16) },
      state: Number.parseInt(state ?? '', 16),
    });
  }
  return entries;
}

function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex').swap32();
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':');
  return groups.startsWith(MAPPED) ? bytes.subarray(12).join('.') : groups;
}
