// The switch to SPDY/3.1 as Kubernetes does it: a POST that names the version of the streams. Called by src/cluster/pod-socket.ts.
import type { Socket } from 'node:net';
import { askUpgrade } from '../http/ask-upgrade.ts';
import type { UpgradeRequest } from '../websocket/client.ts';

const UPGRADE = 'SPDY/3.1';

/** As upgradeToWebSocket: gives the bytes that came with the answer. */
export function upgradeToSpdy(socket: Socket, request: UpgradeRequest): Promise<Buffer> {
  const { protocol, headers, ...where } = request;
  return askUpgrade(socket, {
    ...where,
    method: 'POST',
    headers: {
      ...headers,
      Connection: 'Upgrade',
      Upgrade: UPGRADE,
      'Content-Length': '0',
      'X-Stream-Protocol-Version': protocol,
    },
    faultOf: ({ headers: answered }) => {
      if (answered.upgrade?.toUpperCase() !== UPGRADE) return 'the connection was switched, but not to SPDY';
      const agreed = answered['x-stream-protocol-version'];
      return agreed === undefined || agreed === protocol ? undefined : `the other side does not agree to ${protocol}`;
    },
  });
}
