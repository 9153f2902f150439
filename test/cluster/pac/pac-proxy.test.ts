// A PAC file as the way to the API server: what it may do, what it can't, and which of its answers is taken.
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadClusterConfig } from '../../../src/cluster/config.ts';
import { pacProxy } from '../../../src/cluster/pac/pac-proxy.ts';
import { failure } from '../support/fake-api.ts';
import { folder, kubeconfig } from '../support/kubeconfig-files.ts';

const SERVER = 'https://api.test:6443/prefix';
const file = (body: string): string => folder()('proxy.pac', `function FindProxyForURL(url, host) { ${body} }`);
const asked = async (body: string): Promise<string | undefined> => (await pacProxy(file(body), SERVER))?.href;

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

describe('the answer', () => {
  test('depends on the host and the URL without its path', async () => {
    expect(await asked("return 'PROXY ' + host + ':' + url.length")).toBe(
      `http://api.test:${'https://api.test:6443/'.length}/`,
    );
    expect(
      await asked("return dnsDomainIs(host, '.test') && shExpMatch(url, '*:6443/') ? 'SOCKS5 s:1080' : 'DIRECT'"),
    ).toBe('socks5://s:1080');
  });

  test('DIRECT, nothing, and null mean direct', async () => {
    for (const body of ["return 'DIRECT'", '', 'return null']) expect(await asked(body)).toBeUndefined();
  });

  test('may use what resolves names and what is the own address', async () => {
    expect(
      await asked("return isInNet('127.0.0.1', '127.0.0.0', '255.0.0.0') ? 'PROXY ' + dnsResolve('127.0.0.1') : ''"),
    ).toBe('http://127.0.0.1/');
    expect(await asked("return 'PROXY ' + myIpAddress()")).toMatch(/^http:\/\/[\d.]+\/$/);
  });

  test('of several the first that can be reached is taken', async () => {
    const port = await listening(createServer((socket) => socket.destroy()));
    expect(await asked(`return 'PROXY 127.0.0.1:1; PROXY 127.0.0.1:${port}; DIRECT'`)).toBe(
      `http://127.0.0.1:${port}/`,
    );
    expect(await asked("return 'PROXY 127.0.0.1:1; DIRECT'")).toBeUndefined();
    const none = await failure(pacProxy(file("return 'PROXY 127.0.0.1:1; SOCKS5 127.0.0.1:2'"), SERVER));
    expect(none).toMatchObject({ code: 'API_PROXY', message: expect.stringContaining('http://127.0.0.1:1') as string });
  });
});

describe('the sandbox', () => {
  test('has nothing of Node', async () => {
    const names = ['process', 'require', 'fetch', 'Buffer', 'setTimeout', 'WebAssembly', 'module'];
    const there = names.map((name) => `typeof ${name}`).join(" + ',' + ");
    expect(
      await asked(
        `var F = dnsResolve.constructor, g = new F('return typeof process'); var t = ${there} + ',' + g(); return t === '${names.map(() => 'undefined').join(',')},undefined' ? 'PROXY yes' : t`,
      ),
    ).toBe('http://yes/');
  });

  test('ends a file that goes on for ever, one that calls itself for ever, and one that needs too much memory', async () => {
    const endless = await failure(pacProxy(file('for (;;);'), SERVER));
    expect(endless).toMatchObject({ code: 'API_PROXY', message: expect.stringContaining('interrupted') as string });
    const deep = await failure(pacProxy(file('function again() { return again() + 1; } return again();'), SERVER));
    expect(deep.code).toBe('API_PROXY');
    const large = await failure(pacProxy(file("return 'x'.repeat(200 * 1024 * 1024)"), SERVER));
    expect(large).toMatchObject({ code: 'API_PROXY', message: expect.stringContaining('out of memory') as string });
  });
});

describe('a file that is wrong', () => {
  test.each([
    ['is no program', 'this is not JavaScript'],
    ['has no FindProxyForURL', 'var x = 1;'],
    ['throws', "function FindProxyForURL() { throw new Error('broken') }"],
    ['answers a number', 'function FindProxyForURL() { return 7 }'],
  ])('%s', async (_, content) => {
    const error = await failure(pacProxy(folder()('proxy.pac', content), SERVER));
    expect(error).toMatchObject({ code: 'API_PROXY', message: expect.stringContaining("can't be used: ") as string });
    expect(error.hint).toContain('--pac');
  });

  test('names only what kt does not speak to', async () => {
    const error = await failure(pacProxy(file("return 'SOCKS4 a:1'"), SERVER));
    expect(error.message).toContain('names no proxy that kt can speak to');
  });

  test('is not there, is no file, is too long', async () => {
    const path = folder()('long.pac', ' '.repeat(1024 * 1024 + 1));
    expect((await failure(pacProxy(path, SERVER))).message).toContain('longer than');
    expect((await failure(pacProxy(`${path}.gone`, SERVER))).message).toContain('ENOENT');
    expect((await failure(pacProxy('/dev/null', SERVER))).message).toContain('not a file');
  });
});

test('a wait for it ends when it is cancelled', async () => {
  const asked = Promise.withResolvers<void>();
  const port = await listening(
    createServer((socket) => void socket.on('error', () => undefined).once('data', asked.resolve)),
  );
  const cancel = new AbortController();
  const failed = failure(pacProxy(`http://127.0.0.1:${port}/never`, SERVER, cancel.signal));
  await asked.promise;
  cancel.abort();
  expect(await failed).toMatchObject({ code: 'CANCELLED' });
});

describe('by URL', () => {
  test('is fetched, and a refusal is told without the password', async () => {
    const port = await listening(
      createHttpServer((request, response) => {
        if (request.url === '/proxy.pac') return response.end("function FindProxyForURL() { return 'PROXY p:1' }");
        return response.writeHead(404).end();
      }),
    );
    expect((await pacProxy(`http://127.0.0.1:${port}/proxy.pac`, SERVER))?.href).toBe('http://p:1/');
    const error = await failure(pacProxy(`http://anna:secret@127.0.0.1:${port}/gone`, SERVER));
    expect(error.message).toContain('answered 404');
    expect(error.message).not.toContain('secret');
  });
});

test('proxy-url of the kubeconfig comes before it, HTTPS_PROXY after it', async () => {
  const pac = file("return 'PROXY pac:1'");
  const env = { HTTPS_PROXY: 'http://environment:1' };
  const proxyOf = async (more: string): Promise<string | undefined> => {
    const path = folder()('config', kubeconfig({ cluster: `server: "https://api.test:6443"${more}` }));
    return (await loadClusterConfig({ kubeconfig: path, env, pac })).proxy?.hostname;
  };
  expect(await proxyOf('')).toBe('pac');
  expect(await proxyOf(', proxy-url: "http://own:1"')).toBe('own');
});
