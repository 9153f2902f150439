// kt doctor names seeded faults: each test plants one and looks for the line that says so, with a next step. Those that only a real cluster
// has (quota, policies, images, leftovers) are in test/e2e/doctor.test.ts.
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { CheckId, Verdict } from '../../../src/session/findings.ts';
import { folder } from '../../cluster/support/kubeconfig-files.ts';
import { apiServer, examine, kubeconfigOf, of, type Seed } from './support.ts';

const jwt = (exp: number): string => `e30.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.c2lnbmF0dXJl`;
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

/** A port on which something listens already. */
async function takenPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A proxy that answers every CONNECT with this status. */
async function proxyThatAnswers(status: number): Promise<string> {
  const server = createServer().on('connect', (_, socket) =>
    socket.end(`HTTP/1.1 ${status} No\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n`),
  );
  server.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const FAR = 'https://api.example.test:6443';

interface Fault {
  readonly name: string;
  readonly seed: () => Promise<Seed> | Seed;
  readonly check: CheckId;
  readonly verdict: Verdict;
  readonly says: RegExp;
}

const withApi = async (user?: string, more: Omit<Seed, 'config'> = {}): Promise<Seed> => ({
  config: kubeconfigOf((await apiServer()).url, user),
  ...more,
});

const FAULTS: readonly Fault[] = [
  {
    name: 'no kubeconfig',
    seed: () => ({ env: { KUBECONFIG: '/nowhere/config' } }),
    check: 'kubeconfig',
    verdict: 'failed',
    says: /\/nowhere\/config does not exist/,
  },
  {
    name: 'a kubeconfig that is no YAML',
    seed: () => ({ config: 'contexts: [\nusers: }' }),
    check: 'kubeconfig',
    verdict: 'failed',
    says: /config:2: not YAML/,
  },
  {
    name: 'a context that is not there',
    seed: () => ({ config: kubeconfigOf(FAR), options: { context: 'prod' } }),
    check: 'kubeconfig',
    verdict: 'failed',
    says: /no context 'prod'/,
  },
  {
    name: 'one file of KUBECONFIG is mistyped',
    seed: async () => {
      const file = folder()('config', kubeconfigOf((await apiServer()).url));
      return { env: { KUBECONFIG: `${file}:/home/anna/.kube/confg` } };
    },
    check: 'kubeconfig',
    verdict: 'warning',
    says: /\/home\/anna\/\.kube\/confg of KUBECONFIG is not there/,
  },
  {
    name: 'a kubeconfig that others can read',
    seed: async () => {
      const file = folder()('config', kubeconfigOf((await apiServer()).url));
      chmodSync(file, 0o644);
      return { options: { kubeconfig: file } };
    },
    check: 'kubeconfig',
    verdict: 'warning',
    says: /can be read by other users/,
  },
  {
    name: 'TLS that is not checked',
    seed: async () => ({
      config: kubeconfigOf((await apiServer()).url, undefined, 'insecure-skip-tls-verify: true'),
    }),
    check: 'kubeconfig',
    verdict: 'warning',
    says: /insecure-skip-tls-verify/,
  },
  {
    name: 'a user without credentials',
    seed: () => withApi('as: x'),
    check: 'credentials',
    verdict: 'failed',
    says: /has no credentials/,
  },
  {
    name: 'a token that expired',
    seed: () => withApi(`token: ${jwt(inSeconds(-60))}`),
    check: 'credentials',
    verdict: 'failed',
    says: /the token expired at/,
  },
  {
    name: 'a token that ends soon',
    seed: () => withApi(`token: ${jwt(inSeconds(600))}`),
    check: 'credentials',
    verdict: 'warning',
    says: /token, until .*: in 10 minutes/,
  },
  {
    name: 'a credentials plugin that is not installed',
    seed: () =>
      withApi('exec: {apiVersion: client.authentication.k8s.io/v1, command: kt-no-such-login, interactiveMode: Never}'),
    check: 'credentials',
    verdict: 'failed',
    says: /kt-no-such-login/,
  },
  {
    name: 'a proxy that is not there',
    seed: () => ({ config: kubeconfigOf(FAR), env: { HTTPS_PROXY: 'http://127.0.0.1:1' } }),
    check: 'proxy',
    verdict: 'failed',
    says: /the proxy http:\/\/127\.0\.0\.1:1 can't be used: ECONNREFUSED/,
  },
  {
    name: 'a proxy that wants a password',
    seed: async () => ({ config: kubeconfigOf(FAR), env: { HTTPS_PROXY: await proxyThatAnswers(407) } }),
    check: 'proxy',
    verdict: 'failed',
    says: /asks for a name and a password/,
  },
  {
    name: 'a proxy that does not allow the host',
    seed: async () => ({ config: kubeconfigOf(FAR), env: { HTTPS_PROXY: await proxyThatAnswers(403) } }),
    check: 'proxy',
    verdict: 'failed',
    says: /does not connect to api\.example\.test:6443: it answered 403/,
  },
  {
    name: 'only ALL_PROXY is set',
    seed: () => withApi(undefined, { env: { ALL_PROXY: 'socks5://127.0.0.1:1' } }),
    check: 'laptop',
    verdict: 'warning',
    says: /ALL_PROXY is set and HTTPS_PROXY is not/,
  },
  {
    name: 'an API server that does not listen',
    seed: () => ({ config: kubeconfigOf('https://127.0.0.1:1') }),
    check: 'api-server',
    verdict: 'failed',
    says: /can't reach the API server .*: the connection was refused/,
  },
  {
    name: 'an API server whose name nobody knows',
    seed: () => ({ config: kubeconfigOf('https://api.kt.invalid:6443') }),
    check: 'api-server',
    verdict: 'failed',
    says: /can't reach the API server .*: (its name is not known|the resolver does not answer)/,
  },
  {
    name: 'a certificate authority that is not in the kubeconfig',
    seed: async () => ({ config: kubeconfigOf((await apiServer()).url, undefined, 'tls-server-name: ""') }),
    check: 'api-server',
    verdict: 'failed',
    says: /the certificate of the API server .* is not trusted/,
  },
  {
    name: 'a clock that is wrong',
    seed: async () => ({ config: kubeconfigOf((await apiServer({ skewMs: 600_000 })).url) }),
    check: 'api-server',
    verdict: 'failed',
    says: /the clock of this laptop is (599|600) s behind/,
  },
  {
    name: 'a Kubernetes of long ago',
    seed: async () => ({ config: kubeconfigOf((await apiServer({ minor: '24' })).url) }),
    check: 'version',
    verdict: 'warning',
    says: /Kubernetes v1\.24\.0 is older/,
  },
  {
    name: 'no right to port-forward',
    seed: async () => ({
      config: kubeconfigOf((await apiServer({ rights: ['create pods', 'get pods', 'delete pods'] })).url),
    }),
    check: 'rights',
    verdict: 'failed',
    says: /you may not get pods\/portforward in 'default'/,
  },
  {
    name: 'Kubernetes 1.35 without the new verb',
    seed: async () => {
      const rights = ['create pods', 'get pods', 'delete pods', 'get pods/portforward'];
      return { config: kubeconfigOf((await apiServer({ minor: '35', rights })).url) };
    },
    check: 'rights',
    verdict: 'failed',
    says: /you may not create pods\/portforward in/,
  },
  {
    name: 'a shared agent of another version',
    seed: async () => {
      const rights = ['list pods', 'get pods', 'get pods/portforward'];
      const metadata = { name: 'kt-shared-agent-1', annotations: { 'kt/version': '0.0.0-old' } };
      const pods = [{ metadata, status: { conditions: [{ type: 'Ready', status: 'True' }] } }];
      return { config: kubeconfigOf((await apiServer({ rights, pods })).url) };
    },
    check: 'rights',
    verdict: 'warning',
    says: /its version is 0\.0\.0-old, and this is 0\.0\.0$/,
  },
  {
    name: 'a proxy port that is taken',
    seed: async () => withApi(undefined, { options: { proxyPort: await takenPort() } }),
    check: 'ports',
    verdict: 'failed',
    says: /proxy: 127\.0\.0\.1:\d+ can't be used \(EADDRINUSE\)/,
  },
  {
    name: 'a DNS port that is taken',
    seed: async () => withApi(undefined, { options: { dnsPort: await takenPort() } }),
    check: 'ports',
    verdict: 'failed',
    says: /DNS: 127\.0\.0\.1:\d+ can't be used \(EADDRINUSE\)/,
  },
  {
    name: 'NODE_OPTIONS of a file that is gone',
    seed: () => withApi(undefined, { env: { NODE_OPTIONS: '--require /nowhere/tracer.js' } }),
    check: 'shims',
    verdict: 'failed',
    says: /Node does not start here/,
  },
  {
    name: 'a runtime folder of somebody else',
    seed: () => withApi(undefined, { env: { KT_RUNTIME_DIR: '/dev/null/kt' } }),
    check: 'laptop',
    verdict: 'failed',
    says: /\/dev\/null\/kt/,
  },
];

test.each(FAULTS)('$name', async ({ seed, check, verdict, says }) => {
  const diagnosis = await examine(await seed());
  const line = of(diagnosis, check).find((one) => one.verdict === verdict && says.test(one.text));
  expect(line, JSON.stringify(diagnosis.findings, undefined, 1)).toBeDefined();
  expect(line?.hint ?? '').not.toBe('');
  // Every failed line has a next step and a code, which gives the exit code.
  for (const one of diagnosis.findings.filter((finding) => finding.verdict === 'failed')) {
    expect(one).toMatchObject({
      hint: expect.stringMatching(/./) as string,
      code: expect.stringMatching(/^[A-Z_]+$/) as string,
    });
  }
});

test('nothing is wrong: nothing but ok, and what was not looked at', async () => {
  const file = folder()('config', kubeconfigOf((await apiServer()).url));
  chmodSync(file, 0o600);
  const { findings } = await examine({ options: { kubeconfig: file } });
  expect(findings.filter(({ verdict }) => verdict === 'failed' || verdict === 'warning')).toEqual([]);
  expect(of({ findings } as never, 'user')[0]?.text).toBe("the API server knows you as 'anna', groups dev");
});
