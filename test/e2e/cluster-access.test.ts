// The real API server, kubelet and container runtime: users with different rights, port-forwards, watches, a proxy with a password.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { checkAccess, type Right } from '../../src/cluster/access.ts';
import { loadClusterConfig } from '../../src/cluster/config.ts';
import { ClusterApi } from '../../src/cluster/rest.ts';
import { openPortForward } from '../../src/cluster/upgrade.ts';
import { watchList } from '../../src/cluster/watch.ts';
import { failure } from '../cluster/support/fake-api.ts';

const KUBECONFIGS = process.env['KT_E2E_KUBECONFIGS'] ?? '/var/lib/kcluster/kubeconfigs';
const CORP_PROXY = join(import.meta.dirname, '../../../shared/cluster/corp-proxy');
/** The API server's address that the proxy leads to; loopback addresses never use a proxy. */
const FAR_API = process.env['KT_E2E_API'] ?? '198.18.255.2:6443';

const apis: ClusterApi[] = [];
afterAll(() => apis.forEach((api) => api.close()));

async function apiOf(
  user: string,
  env: NodeJS.ProcessEnv = {},
  kubeconfig = join(KUBECONFIGS, user),
): Promise<ClusterApi> {
  const api = new ClusterApi(await loadClusterConfig({ kubeconfig, env }));
  apis.push(api);
  return api;
}

interface Pod {
  readonly metadata: { readonly name: string };
}

const PODS = '/api/v1/namespaces/shop/pods';

async function podOf(api: ClusterApi, app: string): Promise<string> {
  const { items } = await api.request<{ items: Pod[] }>('GET', PODS);
  const pod = items.find(({ metadata }) => metadata.name.startsWith(`${app}-`));
  if (!pod) throw new Error(`no pod of ${app}`);
  return pod.metadata.name;
}

async function forward(api: ClusterApi, app: string, port: number): Promise<Duplex> {
  return openPortForward(api, { namespace: 'shop', pod: await podOf(api, app), port });
}

async function readAll(stream: Duplex): Promise<string> {
  let text = '';
  for await (const chunk of stream as AsyncIterable<Buffer>) text += chunk.toString('latin1');
  return text;
}

describe('users', () => {
  const FORWARD: Right = { verb: 'get', resource: 'pods', subresource: 'portforward' };
  const CREATE: Right = { verb: 'create', resource: 'pods' };
  const LIST: Right = { verb: 'list', resource: 'pods' };

  test.each([
    ['dev', []],
    ['reader', [FORWARD, CREATE]],
    ['forwarder', [CREATE]],
  ])('%s lacks %j', async (user, missing) => {
    const api = await apiOf(user);
    expect(api.config).toMatchObject({ namespace: 'shop', user });
    expect(await checkAccess(api, 'shop', [FORWARD, CREATE, LIST])).toEqual(missing);
  });

  test('expired: when', async () => {
    const { code, message } = await failure((await apiOf('expired')).request('GET', PODS));
    expect(code).toBe('CREDENTIALS_REJECTED');
    expect(message).toMatch(/'expired': the client certificate expired at 20\d\d-/);
  });

  test('reader may not port-forward, nobody may list nodes', async () => {
    const api = await apiOf('reader');
    expect(await failure(forward(api, 'orders', 8080))).toMatchObject({
      code: 'RIGHTS_MISSING',
      message: "the user 'reader' may not get pods/portforward in the namespace 'shop'",
    });
    expect((await failure(api.request('GET', '/api/v1/nodes'))).message).toBe(
      "the user 'reader' may not list nodes in the cluster",
    );
  });
});

describe('port-forwards', () => {
  test('a request and its answer', async () => {
    const stream = await forward(await apiOf('forwarder'), 'orders', 8080);
    stream.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(await readAll(stream)).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  test('a pod that speaks first', async () => {
    const stream = await forward(await apiOf('dev'), 'echo', 7004);
    expect(((await once(stream, 'data')) as [Buffer])[0].toString()).toBe('220 hello\r\n');
    stream.destroy();
  });

  test('many bytes come back as they were, in both directions at once', async () => {
    const stream = await forward(await apiOf('dev'), 'echo', 7000);
    const total = 32 * 1024 * 1024;
    const got = { bytes: 0, wrong: 0 };
    stream.on('data', (chunk: Buffer) => {
      for (const byte of chunk) {
        if (byte !== got.bytes % 251) got.wrong += 1;
        got.bytes += 1;
      }
    });
    const block = Buffer.from(Array.from({ length: 251 * 256 }, (_, index) => index % 251));
    let sent = 0;
    while (sent < total) {
      if (!stream.write(block)) await once(stream, 'drain');
      sent += block.length;
    }
    while (got.bytes < sent) await once(stream, 'data');
    expect(got).toEqual({ bytes: sent, wrong: 0 });
    stream.destroy();
  });

  test('a port that nobody listens on, a pod that is gone, a pod that resets', async () => {
    const api = await apiOf('dev');
    const refused = await forward(api, 'orders', 9);
    expect((await once(refused, 'error'))[0]).toMatchObject({
      code: 'DIAL_REFUSED',
      message: expect.stringMatching(/^nothing listens on .* shop\/orders-.*:9$/) as string,
    });
    expect(await failure(openPortForward(api, { namespace: 'shop', pod: 'gone', port: 80 }))).toMatchObject({
      code: 'API_STATUS',
      cause: { code: 404 },
    });
    const reset = await forward(api, 'echo', 7001);
    reset.write('x');
    expect((await once(reset, 'error'))[0]).toMatchObject({ code: 'STREAM_RESET' });
  });
});

test('a watch sees what others do', async () => {
  const api = await apiOf('dev');
  const path = '/api/v1/namespaces/shop/configmaps';
  const name = `kt-e2e-watch-${process.pid}`;
  const seen: string[] = [];
  for await (const change of watchList<Pod>(api, path, { query: { fieldSelector: `metadata.name=${name}` } })) {
    seen.push(change.type);
    if (change.type === 'synced')
      await api.request('POST', path, { body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } } });
    if (change.type === 'added')
      await api.request('PATCH', `${path}/${name}`, {
        body: { data: { a: 'b' } },
        contentType: 'application/merge-patch+json',
      });
    if (change.type === 'modified') await api.request('DELETE', `${path}/${name}`);
    if (change.type === 'deleted') break;
  }
  expect(seen).toEqual(['synced', 'added', 'modified', 'deleted']);
});

describe("through the company's proxy", () => {
  test('with its password everything works, without it the reason is said', async () => {
    await promisify(execFile)(CORP_PROXY, ['start']);
    const folder = mkdtempSync(join(tmpdir(), 'kt-e2e-'));
    try {
      const far = join(folder, 'config');
      writeFileSync(
        far,
        readFileSync(join(KUBECONFIGS, 'dev'), 'utf8').replace(/server: .*/, `server: https://${FAR_API}`),
      );
      const api = await apiOf('dev', { HTTPS_PROXY: 'http://worker:secret@127.0.0.1:3128' }, far);
      const stream = await forward(api, 'orders', 8080);
      stream.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      expect(await readAll(stream)).toMatch(/^HTTP\/1\.1 200 OK/);
      for (const user of ['', 'worker:wrong@']) {
        const refused = await failure(
          (await apiOf('dev', { HTTPS_PROXY: `http://${user}127.0.0.1:3128` }, far)).request('GET', PODS),
        );
        expect(refused.code).toBe('API_PROXY');
        expect(refused.message).toMatch(
          /the proxy http:\/\/127\.0\.0\.1:3128 (asks for a name and a password|does not accept)/,
        );
      }
    } finally {
      rmSync(folder, { recursive: true });
      await promisify(execFile)(CORP_PROXY, ['stop']);
    }
  });
});
