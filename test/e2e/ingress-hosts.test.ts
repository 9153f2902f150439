// Must (C7): with `--ingressIp`, hosts of the namespace's Ingresses lead to the ingress controller, exact ones and wildcards, by proxy, by DNS and
// in a program; a Service of the shop stands for the controller. Without the right to list them kt says so.
import { Resolver } from 'node:dns/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { curl, kubectl, Laptop } from './support/kt.ts';

const NAME = 'kt-t-ingress';
/** What curl makes of the reply "host unreachable" (RFC 1928, section 6). */
const UNKNOWN = '(4)';
const laptop = new Laptop();
const ingress = (...hosts: string[]): string =>
  JSON.stringify({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name: NAME, namespace: 'shop' },
    spec: {
      rules: hosts.map((host) => ({
        host,
        http: {
          paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'gateway', port: { number: 80 } } } }],
        },
      })),
    },
  });
const remove = async (): Promise<void> => {
  await kubectl(['-n', 'shop', 'delete', 'ingress,role,rolebinding', NAME, '--ignore-not-found'], 'admin');
};

beforeAll(async () => {
  await remove();
  await kubectl(['apply', '-f', '-'], 'admin', ingress('shop.kt.example', '*.lanes.kt.example'));
});
afterEach(() => laptop.stopAll());
afterAll(async () => {
  await laptop.close();
  await remove();
});

describe('--ingressIp', { timeout: 90_000 }, () => {
  test('without the right to list Ingresses: says which to ask for, and goes on', async () => {
    const kt = await laptop.connect(['--ingressIp', 'gateway']);
    const warning = await kt.event('warning', ({ message }) => message.includes('Ingresses'));
    expect(warning.hint).toContain('get, list, watch on ingresses');
  });

  test('hosts lead to the controller, those made later too, and others go as without kt', async () => {
    const role = [
      'create',
      'role',
      NAME,
      '-n',
      'shop',
      '--verb=get,list,watch',
      '--resource=ingresses.networking.k8s.io',
    ];
    await kubectl(role, 'admin');
    await kubectl(['create', 'rolebinding', NAME, '-n', 'shop', '--role', NAME, '--group', 'developers'], 'admin');
    const kt = await laptop.connect(['--ingressIp', 'gateway']);
    const ask = async (host: string): Promise<unknown> => {
      const { stdout, stderr } = await curl('-x', `socks5h://${kt.ready.proxy}`, `http://${host}/`);
      try {
        return JSON.parse(stdout);
      } catch {
        return stderr;
      }
    };
    await expect.poll(() => ask('shop.kt.example'), { timeout: 20_000 }).toMatchObject({ service: 'gateway' });
    expect(await ask('anna.lanes.kt.example')).toMatchObject({ service: 'gateway' });
    expect(await ask('lanes.kt.example')).toContain(UNKNOWN);
    const resolver = new Resolver();
    resolver.setServers([kt.ready.dns]);
    const address = await kubectl(['get', 'service', 'gateway', '-o', 'jsonpath={.spec.clusterIP}']);
    expect(await resolver.resolve4('anna.lanes.kt.example')).toEqual([address.trim()]);
    const script = "fetch('http://shop.kt.example/').then(r=>r.json()).then(a=>console.log(a.service))";
    const run = laptop.start(['run', '--', laptop.node, '-e', script]);
    expect([(await run.exited).code, run.stdout.trim()], run.stderr).toEqual([0, 'gateway']);
    await kubectl(['apply', '-f', '-'], 'admin', ingress('later.kt.example'));
    await expect.poll(() => ask('later.kt.example'), { timeout: 20_000 }).toMatchObject({ service: 'gateway' });
    expect(await ask('shop.kt.example')).toContain(UNKNOWN);
  });
});
