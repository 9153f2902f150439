// How a caller's address is written: in X-Forwarded-For, and in the header of an inbound stream. Called by everything that serves a caller.

/** IPv4 as it is known to people, although the listening socket is of IPv6 (RFC 4291 §2.5.5.2). */
export const plainAddress = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/, '');

/** address:port, with IPv6 in brackets (RFC 3986 §3.2.2). */
export function peerOf({ address, port }: { readonly address: string; readonly port: number }): string {
  const plain = plainAddress(address);
  return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`;
}

/** Of a TCP caller; a socket that is gone already has no address. */
export const peerOfSocket = (socket: {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}): string => peerOf({ address: socket.remoteAddress ?? 'unknown', port: socket.remotePort ?? 0 });
