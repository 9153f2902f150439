// What the laptop's listeners (SOCKS, HTTP proxy, mixed port, forwarded ports) tell about their clients: one entry for each connection that opened,
// failed or was turned away. The session decides what to show; nothing here is needed for the bytes to flow.
import type { ErrorCode } from '../errors.ts';
import type { Target } from './dialer.ts';
import { formatAuthority } from './target.codec.ts';

export interface ProxyLogEntry {
  readonly door: 'socks5' | 'socks4' | 'udp' | 'http' | 'connect' | 'upgrade' | 'forward' | 'listener';
  /** `rejected`: turned away before a destination was known. `failed`: the destination could not be reached. */
  readonly event: 'opened' | 'failed' | 'rejected' | 'ended';
  readonly target?: Target | undefined;
  readonly code?: ErrorCode | undefined;
  readonly reason?: string | undefined;
}

export type ProxyLog = (entry: ProxyLogEntry) => void;

/** One line: `connect gateway:80 failed (DIAL_REFUSED): …`. Bytes of a stranger's that it quotes are made printable. */
export function formatLogEntry({ door, event, target, code, reason }: ProxyLogEntry): string {
  const where = target === undefined ? '' : ` ${formatAuthority(target)}`;
  const why = reason === undefined ? '' : `: ${reason.replaceAll(/[^\P{Cc}]+/gu, ' ')}`;
  return `${door}${where} ${event}${code === undefined ? '' : ` (${code})`}${why}`;
}
