// The protocol that a link changes to where it comes by the API server's proxy: both ends say the same name, and after the change the bytes are
// the link's own. The laptop's half; the agent's is agent/proxy-port.ts. Called by cluster/pod-socket.ts.
import type { Socket } from 'node:net';
import { askUpgrade } from '../http/ask-upgrade.ts';
import type { UpgradeRequest } from '../websocket/client.ts';
import { POD_PROXY_PROTOCOL } from './pod-proxy-protocol.ts';

/** As upgradeToWebSocket: gives the bytes that came with the answer. */
export function upgradeToLink(socket: Socket, { path, host, headers, signal }: UpgradeRequest): Promise<Buffer> {
  return askUpgrade(socket, {
    method: 'GET',
    path,
    host,
    headers: { ...headers, Connection: 'Upgrade', Upgrade: POD_PROXY_PROTOCOL },
    signal,
    faultOf: ({ headers: answered }) =>
      answered.upgrade === POD_PROXY_PROTOCOL ? undefined : "the connection was switched, but not to kt's protocol",
  });
}
