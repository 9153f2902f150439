// What the laptop's listeners (SOCKS, HTTP proxy, mixed port) tell about their clients: one entry for each connection that opened,
// failed or was turned away. Types only. The session decides what to show; nothing here is needed for the bytes to flow.
import type { ErrorCode } from '../errors.ts';
import type { Target } from './dialer.ts';

export interface ProxyLogEntry {
  readonly door: 'socks5' | 'socks4' | 'udp' | 'http' | 'connect' | 'upgrade' | 'listener';
  /** `rejected`: turned away before a destination was known. `failed`: the destination could not be reached. */
  readonly event: 'opened' | 'failed' | 'rejected' | 'ended';
  readonly target?: Target | undefined;
  readonly code?: ErrorCode | undefined;
  readonly reason?: string | undefined;
}

export type ProxyLog = (entry: ProxyLogEntry) => void;
