// Which kubeconfig counts, and what it says about server, trust, proxy and namespace: as kubectl reads it.
import { delimiter, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadClusterConfig } from '../../src/cluster/config.ts';
import { failure } from './support/fake-api.ts';
import { folder, kubeconfig } from './support/kubeconfig-files.ts';
import { base64, pem } from './support/tls.ts';

describe('which files', () => {
  test('--kubeconfig alone counts', async () => {
    const write = folder();
    const named = write('named', kubeconfig({ context: 'cluster: c, user: u, namespace: mine' }));
    const listed = write('listed', kubeconfig());
    const config = await loadClusterConfig({ kubeconfig: named, env: { KUBECONFIG: listed } });
    expect(config).toMatchObject({ namespace: 'mine', context: 'dev', user: 'u', server: 'https://127.0.0.1:1' });
  });

  test('KUBECONFIG may list several: the first wins, missing and empty entries are passed over', async () => {
    const write = folder();
    const first = write('1', 'contexts: [{name: dev, context: {cluster: c, user: u, namespace: one}}]\n');
    const second = write('2', kubeconfig({ context: 'cluster: c, user: u, namespace: two' }));
    const env = { KUBECONFIG: ['', join(dirname(first), 'gone'), first, second, ''].join(delimiter) };
    expect(await loadClusterConfig({ env })).toMatchObject({
      context: 'dev',
      namespace: 'one',
      server: 'https://127.0.0.1:1',
    });
  });

  test('~/.kube/config is the default', async () => {
    const write = folder();
    const file = write('.kube/config', kubeconfig());
    expect(await loadClusterConfig({ env: { HOME: dirname(dirname(file)) } })).toMatchObject({
      context: 'dev',
      namespace: 'default',
    });
  });

  test('none is there', async () => {
    const write = folder();
    const home = dirname(write('x', ''));
    const missing = await failure(loadClusterConfig({ env: { HOME: home } }));
    expect(missing).toMatchObject({
      code: 'KUBECONFIG_MISSING',
      message: `no kubeconfig: ${join(home, '.kube', 'config')} does not exist`,
    });
    expect(missing.hint).toContain('--kubeconfig');
    const named = await failure(loadClusterConfig({ kubeconfig: join(home, 'nope'), env: {} }));
    expect(named.code).toBe('KUBECONFIG_MISSING');
  });

  test('a folder in place of a file', async () => {
    const file = folder()('config', '');
    const { code, message } = await failure(loadClusterConfig({ kubeconfig: dirname(file), env: {} }));
    expect([code, message]).toEqual(['KUBECONFIG_INVALID', `${dirname(file)} can't be read (EISDIR)`]);
  });
});

describe('context and namespace', () => {
  test('both can be chosen', async () => {
    const file = folder()(
      'config',
      kubeconfig().replace('contexts: [', 'contexts: [{name: other, context: {cluster: c, user: u, namespace: its}},'),
    );
    expect(await loadClusterConfig({ kubeconfig: file, context: 'other', env: {} })).toMatchObject({
      context: 'other',
      namespace: 'its',
    });
    expect(await loadClusterConfig({ kubeconfig: file, context: 'other', namespace: 'x', env: {} })).toMatchObject({
      namespace: 'x',
    });
  });
});

describe('server', () => {
  test.each([
    ['server: "https://api.test:6443/"', 'https://api.test:6443'],
    ['server: "https://rancher.test/k8s/clusters/c-1/"', 'https://rancher.test/k8s/clusters/c-1'],
    ['server: "http://127.0.0.1:8001"', 'http://127.0.0.1:8001'],
    ['server: "https://[::1]:6443"', 'https://[::1]:6443'],
    ['server: "api.test:8080"', 'http://api.test:8080'],
    ['server: "api.test:6443", insecure-skip-tls-verify: true', 'https://api.test:6443'],
    ['server: "HTTPS://API.test"', 'https://api.test'],
  ])('%s', async (cluster, server) => {
    expect((await loadClusterConfig({ kubeconfig: folder()('c', kubeconfig({ cluster })), env: {} })).server).toBe(
      server,
    );
  });

  test.each([
    ['tls-server-name: x', "the cluster 'c' names no server"],
    ['server: "ftp://x"', "the server of the cluster 'c' is not an http(s) URL"],
    ['server: "https://"', 'is not an http(s) URL'],
  ])('%s is refused', async (cluster, message) => {
    const refused = await failure(loadClusterConfig({ kubeconfig: folder()('c', kubeconfig({ cluster })), env: {} }));
    expect(refused.code).toBe('KUBECONFIG_INVALID');
    expect(refused.message).toContain(message);
  });
});

describe('trust', () => {
  const load = (cluster: string, write = folder()) =>
    loadClusterConfig({
      kubeconfig: write('sub/config', kubeconfig({ cluster: `server: "https://x", ${cluster}` })),
      env: {},
    });

  test('certificate-authority-data, and more than the file', async () => {
    const config = await load(`certificate-authority: nowhere, certificate-authority-data: ${base64(pem('ca.pem'))}`);
    expect(config.tls).toEqual({ ca: pem('ca.pem'), serverName: undefined, insecure: false });
  });

  test('certificate-authority is relative to its file', async () => {
    const write = folder();
    write('sub/pki/ca.pem', pem('ca.pem'));
    expect((await load('certificate-authority: pki/ca.pem', write)).tls.ca).toBe(pem('ca.pem'));
  });

  test('each file of several resolves its own paths', async () => {
    const write = folder();
    write('a/ca.pem', pem('ca.pem'));
    write('b/ca.pem', pem('client.pem'));
    const a = write(
      'a/config',
      'clusters: [{name: c, cluster: {server: "https://a", certificate-authority: ca.pem}}]\n',
    );
    const b = write('b/config', kubeconfig({ cluster: 'server: "https://b", certificate-authority: ca.pem' }));
    const config = await loadClusterConfig({ env: { KUBECONFIG: [a, b].join(delimiter) } });
    expect([config.server, config.tls.ca]).toEqual(['https://a', pem('ca.pem')]);
  });

  test('tls-server-name and insecure-skip-tls-verify', async () => {
    expect((await load('tls-server-name: api.test')).tls).toEqual({
      ca: undefined,
      serverName: 'api.test',
      insecure: false,
    });
    expect((await load('insecure-skip-tls-verify: true')).tls.insecure).toBe(true);
  });

  test('an authority that is no certificate', async () => {
    const refused = await failure(load(`certificate-authority-data: ${base64('hello')}`));
    expect(refused.message).toMatch(/certificate-authority of the cluster 'c' is not a PEM certificate$/);
  });

  test('an authority that is not there, or contradicts', async () => {
    expect((await failure(load('certificate-authority: nowhere.pem'))).message).toMatch(
      /certificate-authority of the cluster 'c' can't be read: .*nowhere\.pem \(ENOENT\)/,
    );
    expect(
      (await failure(load(`insecure-skip-tls-verify: true, certificate-authority-data: ${base64('x')}`))).message,
    ).toMatch(/only one makes sense/);
  });
});

describe('proxy', () => {
  const load = async (server: string, env: NodeJS.ProcessEnv, more = '') =>
    (await loadClusterConfig({ kubeconfig: folder()('c', kubeconfig({ cluster: `server: "${server}"${more}` })), env }))
      .proxy?.href;

  test('HTTPS_PROXY for https, HTTP_PROXY for http, upper case first', async () => {
    const env = { HTTPS_PROXY: 'http://secure:1', https_proxy: 'http://lower:1', HTTP_PROXY: 'http://plain:2' };
    expect(await load('https://api.test', env)).toBe('http://secure:1/');
    expect(await load('http://api.test', env)).toBe('http://plain:2/');
    expect(await load('https://api.test', { https_proxy: 'http://lower:1' })).toBe('http://lower:1/');
    expect(await load('https://api.test', { HTTPS_PROXY: 'proxy.test:3128' })).toBe('http://proxy.test:3128/');
    expect(await load('https://api.test', { ALL_PROXY: 'http://all:1' })).toBeUndefined();
  });

  test('NO_PROXY and this machine', async () => {
    const env = { HTTPS_PROXY: 'http://p:1' };
    for (const server of [
      'https://localhost:6443',
      'https://127.0.0.1:6443',
      'https://127.8.0.1',
      'https://[::1]:6443',
    ])
      expect(await load(server, env)).toBeUndefined();
    for (const NO_PROXY of ['api.test', '.test', '*', 'x, api.test:443', '*.test'])
      expect(await load('https://api.test', { ...env, NO_PROXY })).toBeUndefined();
    for (const NO_PROXY of ['pi.test', 'api.test:6443', '.api.test', '10.0.0.0/8'])
      expect(await load('https://api.test', { ...env, NO_PROXY })).toBeDefined();
    expect(await load('https://10.1.2.3:6443', { ...env, no_proxy: '10.0.0.0/8' })).toBeUndefined();
  });

  test('proxy-url counts more, and NO_PROXY does not touch it', async () => {
    const env = { HTTPS_PROXY: 'http://env:1', NO_PROXY: '*' };
    expect(await load('https://api.test', env, ', proxy-url: "http://u:p@own:3128"')).toBe('http://u:p@own:3128/');
    expect(await load('https://127.0.0.1', env, ', proxy-url: "socks5://own"')).toBe('socks5://own');
  });

  test('a proxy-url that is none is refused without its password', async () => {
    const refused = await failure(load('https://api.test', {}, ', proxy-url: "ftp://u:s3cret@own"'));
    expect(refused.code).toBe('KUBECONFIG_INVALID');
    expect(refused.message).toContain("proxy-url of the cluster 'c'");
    expect(JSON.stringify(refused)).not.toContain('s3cret');
  });
});
