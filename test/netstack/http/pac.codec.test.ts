// The PAC file, run as a browser runs it: what goes to kt, and that everything else is as before. And that the proxy serves it.
import { request } from 'node:http';
import { createContext, runInContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type PacOptions, pacFile } from '../../../src/netstack/http/pac.codec.ts';
import { listenMixedPort } from '../../../src/netstack/mixed-port.ts';
import { LoopbackDialer } from '../../support/loopback-dialer.ts';

const number = (address: string): number => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
const HELPERS = {
  isPlainHostName: (host: string) => !host.includes('.'),
  isInNet: (host: string, network: string, mask: string) =>
    (number(host) & number(mask)) >>> 0 === (number(network) & number(mask)) >>> 0,
};

function find(options: Partial<PacOptions> = {}): (host: string) => string {
  const text = pacFile({
    proxy: '127.0.0.1:2223',
    namespace: 'shop',
    suffixes: ['svc', 'cluster.local', '.corp.internal'],
    cidrs: ['10.96.0.0/12', '198.18.0.7/32', 'fd00::/64'],
    companyProxy: false,
    ...options,
  });
  const context = createContext({ ...HELPERS });
  return (host) => runInContext(`${text}\nFindProxyForURL("", ${JSON.stringify(host)})`, context) as string;
}

describe('what is the cluster’s', () => {
  const proxy = find();
  test.each(['gateway', 'Orders.Shop', 'orders.shop.svc', 'db-0.db.shop.svc.cluster.local', 'x.svc.other.domain'])(
    '%s goes to kt',
    (host) => expect(proxy(host)).toBe('SOCKS5 127.0.0.1:2223'),
  );
  test.each(['10.96.0.1', '10.111.255.255', '198.18.0.7', 'wiki.corp.internal'])('%s goes to kt', (host) =>
    expect(proxy(host)).toBe('SOCKS5 127.0.0.1:2223'),
  );
  test.each(['localhost', 'app.localhost', '127.0.0.1', '[::1]', '10.112.0.1', '198.18.0.8', 'www.example.com'])(
    '%s goes as before',
    (host) => expect(proxy(host)).toBe('DIRECT'),
  );

  test('browsers have no password for SOCKS5, and ask for the one of an HTTP proxy', () => {
    expect(find({ login: true })('gateway')).toBe('PROXY 127.0.0.1:2223');
  });

  test('with a company proxy the rest goes to kt, which passes it on; the laptop’s own does not', () => {
    const company = find({ companyProxy: true });
    expect([company('www.example.com'), company('localhost')]).toEqual(['PROXY 127.0.0.1:2223', 'DIRECT']);
  });

  test('any host gives an answer, and names of public domains go as before', () => {
    const label = fc.stringMatching(/^[a-z0-9-]{1,10}$/);
    fc.assert(
      fc.property(label, label, (a, b) => {
        expect(proxy(`${a}.${b}.example.org`)).toBe(`${a}.${b}`.includes('.svc.') ? 'SOCKS5 127.0.0.1:2223' : 'DIRECT');
      }),
    );
  });
});

test('the proxy serves it as it is now, also where it asks for a password', async () => {
  let version = 1;
  const listener = await listenMixedPort({
    host: '127.0.0.1',
    port: 0,
    dialer: new LoopbackDialer({ names: {} }),
    auth: { username: 'a', password: 'b' },
    pac: () => `// ${version}`,
  });
  onTestFinished(() => listener.close());
  const get = (path: string): Promise<{ status: number | undefined; type: string | undefined; text: string }> =>
    new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port: listener.port, path }, (response) => {
        let text = '';
        response.on('data', (piece: Buffer) => (text += String(piece)));
        response.on('end', () =>
          resolve({ status: response.statusCode, type: response.headers['content-type'], text }),
        );
      })
        .on('error', reject)
        .end();
    });
  const type = 'application/x-ns-proxy-autoconfig';
  expect(await get('/proxy.pac')).toEqual({ status: 200, type, text: '// 1' });
  version = 2;
  expect((await get('/proxy.pac')).text).toBe('// 2');
  expect((await get('/other')).status).not.toBe(200);
});
