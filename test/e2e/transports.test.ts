// Must: every way into a pod passes one compliance suite on the real cluster; kt takes the first that is open, says why others are not, and
// remembers; --transport takes one and no other; rights for any one of them are enough.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadClusterConfig } from '../../src/cluster/config.ts';
import { ClusterApi } from '../../src/cluster/rest.ts';
import { openPortForward } from '../../src/cluster/upgrade.ts';
import { openExec } from '../../src/cluster/ways/exec.ts';
import { openPodProxy } from '../../src/cluster/ways/pod-proxy.ts';
import { openSpdy } from '../../src/cluster/ways/spdy.ts';
import type { OpenWay } from '../../src/cluster/ways/types.ts';
import { transportCompliance } from '../compliance/transport.ts';
import { gateway } from './support/gateway.ts';
import { curl, kubectl, Laptop, type Running } from './support/kt.ts';
import { freshUser, tokenKubeconfig } from './support/users.ts';

const NAMESPACE = 'kt-e2e-transports';
const POD = 'far-end';
const laptop = new Laptop();

const PORTS = { echo: 7000, banner: 7001, sink: 7002, flood: 7003, close: 7004, reset: 7005, nobody: 7006, open: 7007 };
/** Its ports, and for the API server's proxy the same ports behind a change of protocol at 8000 + n, as the agent does it. */
const PROGRAM = `
const net=require('net'),http=require('http');const sockets=new Set();
const serve={
 7000:s=>s.pipe(s),7001:s=>s.write('220 hello\\r\\n'),7002:s=>s.pause(),
 7003:s=>{const b=Buffer.alloc(65536);const f=()=>{while(!s.destroyed&&s.write(b));};s.on('drain',f);f()},
 7004:s=>s.end('bye'),7005:s=>s.on('data',()=>s.resetAndDestroy()),7007:s=>s.end(String(sockets.size))};
for(const [port,f] of Object.entries(serve)){
 const accept=s=>{if(port==='7000'){sockets.add(s);s.on('close',()=>sockets.delete(s))}s.on('error',()=>{});f(s)};
 net.createServer({allowHalfOpen:false,noDelay:true},accept).listen(port,'127.0.0.1');
 http.createServer((q,r)=>r.end()).on('upgrade',(q,s,head)=>{s.allowHalfOpen=false;s.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: kt-link\\r\\n\\r\\n');if(head.length)s.unshift(head);accept(s)}).listen(+port+1000);
}
console.log('ready')`;

let api: ClusterApi;

beforeAll(async () => {
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found'], 'admin');
  const items = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: POD, namespace: NAMESPACE, labels: { app: POD } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: 'agent',
            image: 'node:24-slim',
            command: ['node', '-e', PROGRAM],
            readinessProbe: { tcpSocket: { port: 8000 }, periodSeconds: 1 },
          },
        ],
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: POD, namespace: NAMESPACE },
      spec: { selector: { app: POD }, ports: [{ port: 80, targetPort: 8000 }] },
    },
  ];
  await kubectl(['apply', '-f', '-'], 'admin', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await kubectl(['-n', NAMESPACE, 'wait', '--for=condition=Ready', `pod/${POD}`, '--timeout=60s'], 'admin');
  const kubeconfigs = process.env['KT_E2E_KUBECONFIGS'] ?? '/var/lib/kcluster/kubeconfigs';
  api = new ClusterApi(await loadClusterConfig({ kubeconfig: join(kubeconfigs, 'admin'), env: {} }));
});

afterAll(async () => {
  api.close();
  await laptop.close();
  await kubectl(['delete', 'namespace', NAMESPACE, '--wait=false', '--ignore-not-found'], 'admin');
});

const fixture = (open: OpenWay) => () => ({
  open: (port: keyof typeof PORTS, options = {}) =>
    open(api, { namespace: NAMESPACE, pod: POD, port: PORTS[port], proxyPort: PORTS[port] + 1000 }, options),
  openGone: () => open(api, { namespace: NAMESPACE, pod: 'gone', port: 80, proxyPort: 80 }),
});

const withTunnel =
  (tunnel: boolean): OpenWay =>
  (to, target, { signal } = {}) =>
    openPortForward(to, target, { tunnel, ...(signal ? { signal } : {}) });

transportCompliance('port-forward over a websocket', fixture(withTunnel(false)));
transportCompliance('port-forward in a tunnel', fixture(withTunnel(true)));
transportCompliance('exec over a websocket', fixture(openExec));
transportCompliance("the API server's proxy", fixture(openPodProxy), { reset: false });
transportCompliance('port-forward over SPDY', fixture(openSpdy));

const BASE = [
  { apiGroups: [''], resources: ['pods'], verbs: ['get', 'create', 'delete', 'list', 'watch'] },
  { apiGroups: [''], resources: ['services', 'events'], verbs: ['get', 'list', 'watch'] },
];

/** A user with an agent's rights and these. */
async function user(name: string, rules: readonly object[]): Promise<string> {
  const file = await freshUser(laptop, NAMESPACE, name);
  const items = [
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name, namespace: NAMESPACE }, rules },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name, namespace: NAMESPACE },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: NAMESPACE }],
    },
  ];
  await kubectl(['apply', '-f', '-'], 'admin', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  return file;
}

const connect = (kubeconfig: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Running =>
  laptop.start(
    ['connect', '--output', 'json', '--proxyPort', '0', '--dnsPort', '0', '--kubeconfig', kubeconfig, ...args],
    { env },
  );

async function works(kt: Running): Promise<void> {
  const ready = await kt.event('ready');
  const { stdout, stderr } = await curl(
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    '-x',
    `socks5h://${ready.proxy ?? ''}`,
    `http://${POD}/`,
  );
  expect(`${stdout}${stderr}`).toBe('200');
  expect((await kt.stop()).code).toBe(0);
}

const rule = (subresource: string, ...verbs: string[]): object => ({
  apiGroups: [''],
  resources: [`pods/${subresource}`],
  verbs,
});

describe('rights for one way are enough', () => {
  test.each([
    { way: 'portforward', rights: [rule('portforward', 'get')] },
    { way: 'exec', rights: [rule('exec', 'get')] },
    { way: 'podproxy', rights: [rule('proxy', 'get')] },
    { way: 'spdy', rights: [rule('portforward', 'create')] },
  ])('$way', async ({ way, rights }) => {
    const file = await user(`kt-${way}`, [...BASE, ...rights]);
    const kt = connect(file);
    await works(kt);
    expect(kt.events.find(({ type }) => type === 'ready')).toMatchObject({ mode: 'agent' });
    // Named, it is taken; another one is refused by name before anything is made.
    await works(connect(file, ['--transport', way]));
    const other = way === 'exec' ? 'portforward' : 'exec';
    const refused = connect(file, ['--transport', other]);
    expect((await refused.event('error')).message).toContain(`pods/${other}`);
    expect((await refused.exited).code).toBe(4);
  });

  test('without any: the first one is what to ask for', async () => {
    const kt = connect(await user('kt-none', BASE));
    expect((await kt.event('error')).message).toContain('may not get pods/portforward');
    expect((await kt.exited).code).toBe(4);
  });
});

test('a way that is closed though the rights are there: told, and the next one taken and remembered', async () => {
  await user('kt-both', [...BASE, rule('portforward', 'get', 'create'), rule('exec', 'get')]);
  const cache = laptop.own('cache');
  const env = { XDG_CACHE_HOME: cache };
  // An API server behind a gateway that passes no websockets.
  const door = await gateway({ refuse: (headers) => headers.upgrade === 'websocket' });
  try {
    const far = await tokenKubeconfig(laptop, NAMESPACE, 'kt-both', { server: door.url, ca: door.ca });
    const kt = connect(far, [], env);
    await works(kt);
    const told = kt.events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
    expect(told).toEqual([expect.stringMatching(/^port-forward over a websocket is not open: /)]);
    expect(existsSync(join(cache, 'kt')) && readdirSync(join(cache, 'kt')).length).toBe(1);
    const again = connect(far, [], env);
    await works(again);
    expect(again.events.filter(({ type }) => type === 'warning')).toEqual([]);
    // Named, the closed one is refused with its reason.
    const named = connect(far, ['--transport', 'portforward'], env);
    expect(await named.event('error')).toMatchObject({
      code: expect.stringMatching(/UPGRADE_REFUSED|API_STATUS/) as string,
    });
    await named.exited;
  } finally {
    await door.close();
  }
});
