// Must (line 6 of the checklist for exchange and mesh): each kind of Service that is not plain works, or is refused before any change with its
// reason. One workload with several ports behind Services of the test's own, in `shop`.
import { createSocket } from 'node:dgram';
import type { Server } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { askFromPod, closeApp, leftovers, localApp, runInPod, snapshot, untilAnswer } from './support/inbound.ts';
import { kubectl, Laptop, type Running } from './support/kt.ts';

const NAME = 'kt-t-odd';
const LABEL = 'kt-t-odd=yes';
const laptop = new Laptop();
let first: Server & { port: number };
let second: Server & { port: number };

const SERVER = `const h=require('http'),d=require('dgram');for(const p of [80,8080,8082])h.createServer((q,r)=>r.end(JSON.stringify({name:'pod',port:p}))).listen(p);const s=d.createSocket('udp4').on('message',(m,f)=>s.send('pod '+m,f.port,f.address));s.bind(5353)`;
const labels = { app: NAME, 'kt-t-odd': 'yes' };
const workload = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: NAME, labels },
  spec: {
    replicas: 1,
    selector: { matchLabels: labels },
    template: {
      metadata: { labels },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: 'app',
            image: 'node:24-slim',
            command: ['node', '-e', SERVER],
            ports: [
              { name: 'http', containerPort: 8080 },
              { name: 'admin', containerPort: 8082 },
            ],
            readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
          },
        ],
      },
    },
  },
};
const service = (suffix: string, spec: object): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: `${NAME}-${suffix}`, labels },
  spec: { selector: labels, ...spec },
});
const web = { name: 'web', port: 80, targetPort: 8080 };
const SERVICES = [
  service('headless', { clusterIP: 'None', ports: [{ name: 'web', port: 8080 }] }),
  service('external', { type: 'ExternalName', externalName: 'orders.shop.svc.cluster.local', selector: null }),
  service('manual', { selector: null, ports: [web] }),
  service('local', { internalTrafficPolicy: 'Local', ports: [web] }),
  service('multi', {
    ports: [
      { ...web, targetPort: 'http' },
      { name: 'admin', port: 81, targetPort: 'admin' },
      { name: 'low', port: 82, targetPort: 80 },
    ],
  }),
  service('twice', { ports: [web, { name: 'alt', port: 81, targetPort: 8080 }] }),
  service('one', { ports: [web] }),
  service('two', { ports: [web] }),
  service('low', { ports: [{ name: 'web', port: 80 }] }),
  service('udp', { ports: [{ name: 'dns', port: 53, targetPort: 5353, protocol: 'UDP' }, web] }),
];

beforeAll(async () => {
  await kubectl(['delete', 'service,deployment', '-l', LABEL, '--ignore-not-found', '--now']);
  const items = [workload, ...SERVICES];
  await kubectl(['create', '-f', '-'], 'dev', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await kubectl(['rollout', 'status', `deployment/${NAME}`, '--timeout=60s']);
  first = await localApp('first');
  second = await localApp('second');
}, 120_000);
afterEach(() => laptop.stopAll());
afterAll(async () => {
  await laptop.close();
  await Promise.all([closeApp(first), closeApp(second)]);
  await kubectl(['delete', 'service,deployment', '-l', LABEL, '--ignore-not-found', '--now']);
});

/** Holds it while `work` runs; then it is as it was. */
async function holding(args: readonly string[], work: (kt: Running) => Promise<void>): Promise<void> {
  const names = (args[1] ?? '').split(',').map((name) => name.replace(/^.*\//, ''));
  const before = await Promise.all(names.map((name) => snapshot(name)));
  const kt = laptop.start([...args, '--output', 'json']);
  await kt.event('holding');
  try {
    await work(kt);
  } finally {
    await kt.stop();
  }
  expect(await Promise.all(names.map((name) => snapshot(name)))).toEqual(before);
  for (const name of names) expect(await leftovers(name)).toBe('');
}

/** Refused with the reason, and nothing was changed. */
async function refused(suffix: string, reason: string): Promise<void> {
  const name = `${NAME}-${suffix}`;
  const before = await snapshot(name);
  for (const command of ['exchange', 'mesh', 'mesh --mode manual']) {
    const kt = laptop.start([...command.split(' '), name, '--skipPortChecking']);
    expect((await kt.exited).code, command).toBe(3);
    expect(kt.stderr).toContain(reason);
    expect(kt.stderr).toContain('SERVICE_REFUSED');
  }
  expect(await snapshot(name)).toEqual(before);
  expect(await leftovers(name)).toBe('');
}

const nameAt = async (url: string, headers: Record<string, string> = {}): Promise<unknown> =>
  (await askFromPod(url, headers))['name'];
const until = (url: string, name: string): Promise<void> => untilAnswer(url, { name });

describe('works', { timeout: 120_000 }, () => {
  test('Headless: callers find the laptop by DNS, and are told that it takes a while', async () => {
    const name = `${NAME}-headless`;
    await holding(['exchange', name, '--expose', `${first.port}:8080`], async (kt) => {
      await kt.event('warning', ({ message }) => message.includes('is headless'));
      await until(`http://${name}:8080/`, 'first');
    });
    await until(`http://${name}:8080/`, 'pod');
  });

  test("internalTrafficPolicy Local: works on the agent's node, and says so before", async () => {
    const name = `${NAME}-local`;
    await holding(['exchange', name, '--expose', `${first.port}:80`], async (kt) => {
      await kt.event('warning', ({ message }) => message.includes('internalTrafficPolicy Local'));
      await until(`http://${name}/`, 'first');
    });
  });

  test('M6: multi-port and named target ports: each port its own way, those not named stay with the pods', async () => {
    const name = `${NAME}-multi`;
    await holding(
      ['mesh', name, '--versionMark', 'anna', '--expose', `${first.port}:web,${second.port}:admin`],
      async () => {
        const mark = { version: 'anna' };
        await expect.poll(() => nameAt(`http://${name}/`, mark), { timeout: 20_000 }).toBe('first');
        await untilAnswer(`http://${name}:81/`, { name: 'second' }, mark);
        expect(await askFromPod(`http://${name}/`)).toEqual({ name: 'pod', port: 8080 });
        expect(await askFromPod(`http://${name}:81/`)).toEqual({ name: 'pod', port: 8082 });
        expect(await askFromPod(`http://${name}:82/`, mark)).toEqual({ name: 'pod', port: 80 });
      },
    );
  });

  test('the same target port twice: both come to one local port; two local ports are refused', async () => {
    const name = `${NAME}-twice`;
    await holding(['exchange', name, '--expose', `${first.port}:80`], async () => {
      await until(`http://${name}/`, 'first');
      await until(`http://${name}:81/`, 'first');
    });
    const kt = laptop.start(['exchange', name, '--expose', `${first.port}:80,${second.port}:81`]);
    expect((await kt.exited).code).toBe(2);
    expect(kt.stderr).toContain('have the same target port 8080');
    expect(await leftovers(name)).toBe('');
  });

  test('two Services over one workload: one alone, then both in one command', async () => {
    const [one, two] = [`${NAME}-one`, `${NAME}-two`];
    await holding(['exchange', one, '--expose', `${first.port}:80`], async () => {
      await until(`http://${one}/`, 'first');
      expect(await nameAt(`http://${two}/`)).toBe('pod');
    });
    await holding(['exchange', `${one},svc/${two}`, '--expose', `${first.port}:80`], async (kt) => {
      await kt.event('holding', ({ service: held }) => held === two);
      await until(`http://${one}/`, 'first');
      await until(`http://${two}/`, 'first');
    });
    const several = laptop.start(['exchange', `deploy/${NAME}`, '--skipPortChecking']);
    expect((await several.exited).code).toBe(2);
    expect(several.stderr).toContain(`several Services lead to the deployment '${NAME}'`);
  });

  test('ports below 1024: the agent listens without any right', async () => {
    const name = `${NAME}-low`;
    await holding(['mesh', name, '--versionMark', 'anna', '--expose', `${first.port}:80`], async () => {
      await expect.poll(() => nameAt(`http://${name}/`, { version: 'anna' }), { timeout: 20_000 }).toBe('first');
      expect(await askFromPod(`http://${name}/`)).toEqual({ name: 'pod', port: 80 });
    });
  });

  test('UDP: comes to the laptop where it is named, stays with the pods where it is not', async () => {
    const name = `${NAME}-udp`;
    const app = createSocket('udp4').on('message', (text, { port, address }) =>
      app.send(`laptop ${text.toString()}`, port, address),
    );
    await new Promise<void>((resolve) => app.bind(0, '127.0.0.1', resolve));
    const ask = async (): Promise<string> =>
      (
        await runInPod(
          `const s=require('dgram').createSocket('udp4');s.on('message',t=>{console.log(String(t));process.exit()});setTimeout(()=>process.exit(),3000);s.send('hello',53,'${name}')`,
        )
      ).stdout.trim();
    try {
      const udp = `${app.address().port}:53/udp`;
      await holding(['exchange', name, '--expose', udp], async () => {
        await expect.poll(ask, { timeout: 30_000 }).toBe('laptop hello');
        expect(await nameAt(`http://${name}/`)).toBe('pod');
      });
      await expect.poll(ask, { timeout: 30_000 }).toBe('pod hello');
      await holding(['exchange', name, '--expose', `${first.port}:80`], async () => {
        await until(`http://${name}/`, 'first');
        expect(await ask()).toBe('pod hello');
      });
    } finally {
      app.close();
    }
  });
});

describe('refused before any change, with its reason', { timeout: 60_000 }, () => {
  test('ExternalName', () =>
    refused('external', 'it is an ExternalName for orders.shop.svc.cluster.local and has no pods'));
  test('without a selector', () => refused('manual', 'it has no selector: its endpoints were written by hand'));
  test('Headless with pods that have names of their own (StatefulSet)', async () => {
    const before = await snapshot('db');
    const kt = laptop.start(['exchange', 'db', '--skipPortChecking']);
    expect((await kt.exited).code).toBe(3);
    expect(kt.stderr).toContain('it is headless and its pods have names of their own');
    expect(await snapshot('db')).toEqual(before);
  });
});
