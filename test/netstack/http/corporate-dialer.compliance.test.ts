import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { corporateDialer } from '../../../src/netstack/http/corporate-dialer.ts';
import { dialerCompliance } from '../../compliance/dialer.ts';
import { blackhole } from '../../support/blackhole.ts';
import { deadPort, type Peer, started, tcpServer } from '../../support/peers.ts';

// A proxy says 502 for whatever is wrong behind it; names are its own to resolve. A reset passes as it does through squid: as an end.
const some = {
  udp: false,
  resolve: false,
  halfClose: true,
  refused: false,
  reset: false,
  unknown: false,
  settles: true,
  blackhole: process.platform !== 'win32',
};

/** A company's proxy: CONNECT to anywhere, half-closes passed on. */
const companyProxy = (): Promise<Peer> =>
  started(
    createServer().on('connect', (request, client: Duplex, head: Buffer) => {
      const [host, port] = (request.url ?? '').split(':');
      const line: Socket = connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
      client.on('error', () => line.destroy()).on('close', () => line.destroy());
      line.on('close', () => client.destroy());
      line.once('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n'));
      line.once('connect', () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n');
        line.write(head);
        line.pipe(client).pipe(line);
      });
    }),
  );

dialerCompliance("the dialer through a company's proxy", some, async () => {
  const proxy = await companyProxy();
  const dialer = corporateDialer({ HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` });
  if (dialer === undefined) throw new Error('no dialer for a proxy that is named');
  const peers: Peer[] = [];
  const keep = (peer: Peer): { host: string; port: number } => {
    peers.push(peer);
    return { host: '127.0.0.1', port: peer.port };
  };
  return {
    dialer,
    serve: async (onSocket) => keep(await tcpServer(onSocket)),
    refusing: async () => ({ host: '127.0.0.1', port: await deadPort() }),
    unknown: { host: `${'x'.repeat(64)}.invalid`, port: 80 },
    blackhole: async () => keep(await blackhole()),
    close: async () => {
      await Promise.all([proxy, ...peers].map((peer) => peer.stop()));
    },
  };
});
