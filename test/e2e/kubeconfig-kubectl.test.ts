// Must: what kt makes of a kubeconfig is what kubectl makes of it. Each oddity is read by both: where kubectl sends its request (server, proxy,
// token, impersonation, namespace), and what it refuses. The server is one of the test's own, so that it can be seen.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadClusterConfig } from '../../src/cluster/config.ts';
import { ClusterApi } from '../../src/cluster/rest.ts';
import { base64, pem } from '../cluster/support/tls.ts';
import { execute } from './support/kt.ts';

interface Seen {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

let server: SecureServer;
let plain: Server;
let proxy: Server;
let at: string;
let plainAt: string;
let proxyAt: string;
let folder: string;
let seen: Seen[] = [];
let connects = 0;

const portOf = (one: Server | SecureServer): number => (one.address() as AddressInfo).port;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kt-e2e-kubeconfig-'));
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    seen.push({ url: request.url ?? '', headers: request.headers });
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: [] }));
  };
  server = createSecureServer({ cert: pem('server.pem'), key: pem('server.key') }, answer);
  plain = createServer(answer);
  proxy = createServer((_, response) => response.writeHead(405).end());
  proxy.on('connect', (_, socket) => {
    connects += 1;
    const far = connect(portOf(server), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(far).pipe(socket);
    });
    far.on('error', () => socket.destroy());
    socket.on('error', () => far.destroy());
  });
  for (const one of [server, plain, proxy]) {
    one.listen(0, '127.0.0.1');
    await once(one, 'listening');
  }
  at = `https://127.0.0.1:${portOf(server)}`;
  plainAt = `http://127.0.0.1:${portOf(plain)}`;
  proxyAt = `http://127.0.0.1:${portOf(proxy)}`;
});

beforeEach(() => {
  seen = [];
  connects = 0;
});

afterAll(() => {
  for (const one of [server, plain, proxy]) {
    one.closeAllConnections();
    one.close();
  }
  rmSync(folder, { recursive: true, force: true });
});

const write = (name: string, text: string): string => {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
};

const config = (cluster: string, user: string, context = 'cluster: c, user: u, namespace: shop'): string =>
  [
    'apiVersion: v1',
    'kind: Config',
    'current-context: dev',
    `contexts: [{name: dev, context: {${context}}}]`,
    `clusters: [{name: c, cluster: {${cluster}}}]`,
    `users: [{name: u, user: {${user}}}]`,
    '',
  ].join('\n');

/** The test's own server, directly, and by a name that only the proxy knows. */
const here = (): string => `server: ${at}, certificate-authority-data: ${base64(pem('ca.pem'))}`;
const FAR = 'server: https://api.kt.test, insecure-skip-tls-verify: true';

interface Facts {
  readonly namespace: string;
  readonly authorization: string | undefined;
  readonly impersonation: Record<string, unknown>;
  readonly proxied: boolean;
}

const factsOf = (one: Seen | undefined): Facts => ({
  namespace: /namespaces\/([^/]+)\/pods/.exec(one?.url ?? '')?.[1] ?? 'none',
  authorization: one?.headers.authorization,
  impersonation: Object.fromEntries(
    Object.entries(one?.headers ?? {}).filter(([name]) => name.startsWith('impersonate-')),
  ),
  proxied: connects > 0,
});

interface Asked {
  readonly kubeconfig: string;
  readonly env?: NodeJS.ProcessEnv;
}

async function byKubectl({ kubeconfig, env = {} }: Asked): Promise<Facts | 'refused'> {
  const { code } = await execute(
    'kubectl',
    ['get', '--raw', '/api/v1/namespaces/from-path/pods', '--request-timeout=5s'],
    {
      env: { PATH: process.env['PATH'], HOME: folder, KUBECONFIG: kubeconfig, ...env },
    },
  );
  if (code !== 0) return 'refused';
  const { stdout } = await execute('kubectl', ['config', 'view', '--minify', '-o', 'jsonpath={..namespace}'], {
    env: { PATH: process.env['PATH'], HOME: folder, KUBECONFIG: kubeconfig },
  });
  return { ...factsOf(seen.at(-1)), namespace: stdout.trim() || 'default' };
}

async function byKt({ kubeconfig, env = {} }: Asked): Promise<Facts | 'refused'> {
  try {
    const loaded = await loadClusterConfig({
      env: { PATH: process.env['PATH'], HOME: folder, KUBECONFIG: kubeconfig, ...env },
      terminal: false,
    });
    const api = new ClusterApi(loaded);
    try {
      await api.request('GET', `/api/v1/namespaces/${loaded.namespace}/pods`);
    } finally {
      api.close();
    }
    return factsOf(seen.at(-1));
  } catch {
    return 'refused';
  }
}

const plugin = (): string =>
  write(
    'plugin.sh',
    '#!/bin/sh\nprintf \'{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"from-plugin-%s"}}\' "$([ -n "$KUBERNETES_EXEC_INFO" ] && echo info)"\n',
  );

const CASES: readonly {
  readonly name: string;
  readonly asked: () => Asked;
  readonly facts?: Partial<Facts> | 'refused';
}[] = [
  {
    name: 'a token',
    asked: () => ({ kubeconfig: write('a', config(here(), 'token: abc')) }),
    facts: { authorization: 'Bearer abc', namespace: 'shop' },
  },
  {
    name: 'plain HTTP: no credentials are sent',
    asked: () => ({ kubeconfig: write('a', config(`server: ${plainAt}`, 'token: abc')) }),
    facts: { authorization: undefined },
  },
  {
    name: 'a number as a token',
    asked: () => ({ kubeconfig: write('a', config(here(), 'token: "12345"')) }),
    facts: { authorization: 'Bearer 12345' },
  },
  {
    name: 'tokenFile',
    asked: () => ({ kubeconfig: write('a', config(here(), `tokenFile: ${write('t', 'in-file\n')}`)) }),
    facts: { authorization: 'Bearer in-file' },
  },
  {
    name: 'tokenFile beside token',
    asked: () => ({
      kubeconfig: write('a', config(here(), `token: inline, tokenFile: ${write('t', 'in-file\n')}`)),
    }),
    facts: { authorization: 'Bearer in-file' },
  },
  {
    name: 'name and password',
    asked: () => ({ kubeconfig: write('a', config(here(), 'username: anna, password: "p:w"')) }),
  },
  {
    name: 'impersonation with groups, uid and extra fields',
    asked: () => ({
      kubeconfig: write(
        'a',
        config(here(), 'token: abc, as: bob, as-uid: "7", as-groups: [ops, dev], as-user-extra: {reason: [z]}'),
      ),
    }),
  },
  {
    name: 'an exec plugin with KUBERNETES_EXEC_INFO',
    asked: () => ({
      kubeconfig: write(
        'a',
        config(
          here(),
          `exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: [${plugin()}], interactiveMode: Never, provideClusterInfo: true}`,
        ),
      ),
    }),
    facts: { authorization: 'Bearer from-plugin-info' },
  },
  {
    name: 'several files: the first that names something wins',
    asked: () => ({
      kubeconfig: [
        write('a', config(here(), 'token: first')),
        write('b', config('server: http://127.0.0.1:1', 'token: second')),
      ].join(delimiter),
    }),
    facts: { authorization: 'Bearer first' },
  },
  {
    name: 'several files: one is missing',
    asked: () => ({
      kubeconfig: [join(folder, 'nowhere'), write('a', config(here(), 'token: abc'))].join(delimiter),
    }),
    facts: { authorization: 'Bearer abc' },
  },
  {
    name: 'several files: an empty one, and empty entries',
    asked: () => ({
      kubeconfig: `${delimiter}${write('empty', '')}${delimiter}${delimiter}${write('a', config(here(), 'token: abc'))}`,
    }),
    facts: { authorization: 'Bearer abc' },
  },
  {
    name: 'a namespace that is not said',
    asked: () => ({ kubeconfig: write('a', config(here(), 'token: abc', 'cluster: c, user: u')) }),
    facts: { namespace: 'default' },
  },
  {
    name: 'proxy-url',
    asked: () => ({
      kubeconfig: write('a', config(`${FAR}, proxy-url: "${proxyAt}"`, 'token: abc')),
    }),
    facts: { proxied: true },
  },
  {
    name: 'HTTPS_PROXY',
    asked: () => ({
      kubeconfig: write('a', config(FAR, 'token: abc')),
      env: { HTTPS_PROXY: proxyAt },
    }),
    facts: { proxied: true },
  },
  {
    name: 'https_proxy in lower case',
    asked: () => ({
      kubeconfig: write('a', config(FAR, 'token: abc')),
      env: { https_proxy: proxyAt },
    }),
    facts: { proxied: true },
  },
  {
    name: 'this machine never has a proxy',
    asked: () => ({
      kubeconfig: write('a', config(here(), 'token: abc')),
      env: { HTTPS_PROXY: 'http://127.0.0.1:1' },
    }),
    facts: { proxied: false },
  },
  {
    name: 'NO_PROXY with a network',
    asked: () => ({
      kubeconfig: write('a', config('server: https://10.255.255.1:1', 'token: abc')),
      env: { HTTPS_PROXY: proxyAt, NO_PROXY: '10.0.0.0/8' },
    }),
    facts: 'refused',
  },
  {
    name: 'NO_PROXY does not touch proxy-url',
    asked: () => ({
      kubeconfig: write('a', config(`${FAR}, proxy-url: "${proxyAt}"`, 'token: abc')),
      env: { NO_PROXY: '*' },
    }),
    facts: { proxied: true },
  },
  {
    name: 'a token and a password',
    asked: () => ({ kubeconfig: write('a', config(here(), 'token: abc, username: anna, password: x')) }),
    facts: 'refused',
  },
  {
    name: 'as-groups without as',
    asked: () => ({ kubeconfig: write('a', config(here(), 'token: abc, as-groups: [x]')) }),
    facts: 'refused',
  },
  {
    name: 'a certificate authority and insecure-skip-tls-verify',
    asked: () => ({
      kubeconfig: write(
        'a',
        config(`server: ${at}, insecure-skip-tls-verify: true, certificate-authority-data: eA==`, 'token: abc'),
      ),
    }),
    facts: 'refused',
  },
  {
    name: 'an interactiveMode that is missing',
    asked: () => ({
      kubeconfig: write('a', config(here(), 'exec: {apiVersion: client.authentication.k8s.io/v1, command: "true"}')),
    }),
    facts: 'refused',
  },
  {
    name: 'a plugin that is not there',
    asked: () => ({
      kubeconfig: write(
        'a',
        config(
          here(),
          'exec: {apiVersion: client.authentication.k8s.io/v1, command: kt-no-such, interactiveMode: Never}',
        ),
      ),
    }),
    facts: 'refused',
  },
  {
    name: 'base64 that is none',
    asked: () => ({ kubeconfig: write('a', config(here(), 'token: abc, client-certificate-data: "%%%"')) }),
    facts: 'refused',
  },
];

describe('kt and kubectl agree', () => {
  test.each(CASES)('$name', async ({ asked, facts }) => {
    const one = asked();
    const kubectl = await byKubectl(one);
    seen = [];
    connects = 0;
    const kt = await byKt(one);
    expect(kt).toEqual(kubectl);
    if (facts === 'refused') expect(kt).toBe('refused');
    else if (facts) expect(kt).toMatchObject(facts);
    else expect(kt).not.toBe('refused');
  });
});

test('kt is kinder: a server without a scheme is https where the kubeconfig has a certificate authority; kubectl speaks plain HTTP to it', async () => {
  const asked = { kubeconfig: write('a', config(here().replace('https://', ''), 'token: abc')) };
  expect(await byKubectl(asked)).toBe('refused');
  expect(await byKt(asked)).toMatchObject({ authorization: 'Bearer abc' });
});
