// Requests and port-forwards through a company's proxy, as loadClusterConfig finds it.
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { loadClusterConfig } from '../../src/cluster/config.ts';
import { ClusterApi } from '../../src/cluster/rest.ts';
import { openPortForward } from '../../src/cluster/upgrade.ts';
import { failure, startFakeApi } from './support/fake-api.ts';
import { folder, kubeconfig } from './support/kubeconfig-files.ts';
import { base64, pem } from './support/tls.ts';

/** Asks for worker:secret and leads everything to `port`, whatever name was asked for. */
async function startProxy(port: number): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer();
  server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    asked.push(request.url ?? '');
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    if (request.headers['proxy-authorization'] !== `Basic ${base64('worker:secret')}`)
      return socket.end('HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n');
    const line = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 x\r\n\r\n');
      line.pipe(socket).pipe(line);
    });
    return line.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, asked };
}

const apiFor = async (env: NodeJS.ProcessEnv, more = ''): Promise<ClusterApi> => {
  const cluster = `server: "https://api.test:6443", certificate-authority-data: ${base64(pem('ca.pem'))}${more}`;
  const api = new ClusterApi(await loadClusterConfig({ kubeconfig: folder()('config', kubeconfig({ cluster })), env }));
  onTestFinished(() => api.close());
  return api;
};

describe('through the proxy', () => {
  test('requests share a tunnel, and TLS is with the API server', async () => {
    const server = await startFakeApi((_, response) => response.end('{"through":true}'));
    const proxy = await startProxy(server.port);
    const api = await apiFor({ HTTPS_PROXY: `http://worker:secret@127.0.0.1:${proxy.port}` });
    expect([await api.request('GET', '/a'), await api.request('GET', '/b')]).toEqual([
      { through: true },
      { through: true },
    ]);
    expect(proxy.asked).toEqual(['api.test:6443']);
  });

  test('proxy-url of the kubeconfig', async () => {
    const server = await startFakeApi((_, response) => response.end('{}'));
    const proxy = await startProxy(server.port);
    const api = await apiFor({}, `, proxy-url: "http://worker:secret@127.0.0.1:${proxy.port}"`);
    expect(await api.request('GET', '/')).toEqual({});
  });

  test('port-forwards', async () => {
    const websockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'v4.channel.k8s.io' });
    const server = await startFakeApi(() => undefined, {
      upgrade: (request, socket, head) =>
        websockets.handleUpgrade(request, socket, head, (peer) => peer.send(Buffer.from([0, 1, 2, 0x61]))),
    });
    const proxy = await startProxy(server.port);
    const api = await apiFor({ HTTPS_PROXY: `http://worker:secret@127.0.0.1:${proxy.port}` });
    const stream = await openPortForward(api, { namespace: 'shop', pod: 'x', port: 513 });
    expect(((await once(stream, 'data')) as [Buffer])[0].toString()).toBe('a');
    stream.destroy();
  });
});

describe('refusals', () => {
  test('a wrong password is API_PROXY, with neither password nor name', async () => {
    const proxy = await startProxy(1);
    const refused = await failure(
      (await apiFor({ HTTPS_PROXY: `http://w0rker:s3cret@127.0.0.1:${proxy.port}` })).request('GET', '/'),
    );
    expect(refused).toMatchObject({
      code: 'API_PROXY',
      message: `the proxy http://127.0.0.1:${proxy.port} does not accept the name and password of its URL`,
    });
    expect(JSON.stringify(refused)).not.toMatch(/s3cret|w0rker/);
  });

  test('an API server that does not answer behind the proxy names both', async () => {
    const silent = await startFakeApi(() => undefined);
    const proxy = await startProxy(silent.port);
    const api = await apiFor({ HTTPS_PROXY: `http://worker:secret@127.0.0.1:${proxy.port}` });
    const { code, message } = await failure(api.request('GET', '/', { timeoutMs: 300 }));
    expect([code, message]).toEqual([
      'API_UNREACHABLE',
      `can't reach the API server https://api.test:6443 through the proxy http://127.0.0.1:${proxy.port}: no answer in time`,
    ]);
  });
});
