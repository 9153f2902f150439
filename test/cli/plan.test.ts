// Must: every command that changes something takes --plan, says what it would do, and changes nothing: not an object of the cluster, not a session of
// the laptop. And `kt undo` takes back the last Service that was taken. The built kt on a playground.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { loadClusterConfig } from '../../src/cluster/config.ts';
import { ClusterApi } from '../../src/cluster/rest.ts';
import { type Playground, startPlayground } from '../../src/playground/start.ts';
import { PlaygroundKt } from '../support/playground-kt.ts';

let playground: Playground;
let kt: PlaygroundKt;
let api: ClusterApi;
let app: ChildProcess;
let port: number;

beforeAll(async () => {
  playground = await startPlayground();
  kt = new PlaygroundKt(playground);
  api = new ClusterApi(await loadClusterConfig({ kubeconfig: playground.kubeconfig, context: 'admin' }));
  const code =
    "const s=require('http').createServer((q,r)=>r.end('laptop')).listen(0,'127.0.0.1',()=>console.log(s.address().port))";
  app = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = (await once(app.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  port = Number(String(said));
});
afterEach(() => kt.stopAll());
afterAll(async () => {
  app.kill();
  await kt.close();
  api.close();
  await playground.close();
});

/** Every object that kt could change, with its version. */
async function objects(): Promise<string[]> {
  const paths = [
    '/api/v1/namespaces/shop/pods',
    '/api/v1/namespaces/shop/services',
    '/apis/apps/v1/namespaces/shop/deployments',
  ];
  interface Listed {
    readonly items: readonly { readonly metadata: { readonly name: string; readonly resourceVersion: string } }[];
  }
  const lists = await Promise.all(paths.map((path) => api.request<Listed>('GET', path)));
  return lists
    .flatMap(({ items }) => items.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`))
    .sort();
}

describe('--plan', () => {
  test.each<[string, () => string[], RegExp]>([
    ['connect', () => ['connect'], /create the pod kt-agent-dev-…[^]*delete the pod/],
    ['forward', () => ['forward', 'orders', '0:80'], /create the pod kt-agent-dev-…/],
    ['run', () => ['run', '--plan', '--', 'false'], /create the pod kt-agent-dev-…/],
    [
      'run with a Service',
      () => ['run', '--plan', '--exchange', `orders:${port}:80`, '--', 'false'],
      /create the pod[^]*exchange orders in shop:/,
    ],
    [
      'exchange',
      () => ['exchange', 'orders', '--expose', `${port}:80`],
      /exchange orders in shop:[^]*at the end, in reverse:/,
    ],
    ['mesh', () => ['mesh', 'orders', '--expose', `${port}:80`, '--versionMark', 'x'], /mesh orders in shop:/],
    ['preview', () => ['preview', 'mine', '--expose', `${port}:80`], /preview mine in shop:/],
    ['recover', () => ['recover'], /no Service of shop is taken over/],
    ['clean', () => ['clean'], /nothing of kt is left|would clean/],
    ['undo', () => ['undo'], /no Service of shop is taken over/],
  ])('%s', async (_, command, says) => {
    const before = await objects();
    const words = command();
    const done = await kt.run(words.includes('--plan') ? words : [...words, '--plan']);
    expect(done.stdout, done.stderr).toMatch(says);
    expect(done.code).toBe(0);
    expect(await objects()).toEqual(before);
    expect(kt.sockets()).toEqual([]);
  });

  test('as JSON', async () => {
    const { stdout } = await kt.run(['connect', '--plan', '--output', 'json']);
    expect(JSON.parse(stdout)).toMatchObject({ connect: { mode: 'agent', namespace: 'shop' }, plans: [] });
  });

  test('for who may create nothing', async () => {
    const forwarder = await kt.run(['connect', '--plan'], 'forwarder');
    expect(forwarder.stdout).toContain('nothing is changed in the cluster');
    const reader = await kt.run(['connect', '--plan'], 'reader');
    expect(reader.code).toBe(4);
    expect(reader.stderr).toContain('RIGHTS_MISSING');
  });

  test('stop, release and undo of what is held', async () => {
    const held = await kt.hold(['exchange', 'orders', '--expose', `${port}:80`]);
    const before = await objects();
    expect((await kt.run(['stop', '--plan'])).stdout).toMatch(/would stop shop[^]*gives back orders/);
    expect((await kt.run(['release', 'orders', '--plan'])).stdout).toContain('orders would be released');
    const undo = await kt.run(['undo', '--plan']);
    expect(undo.stdout).toContain('orders would be released');
    expect(undo.stderr).toContain('same as: kt release orders');
    expect(await objects()).toEqual(before);
    await held.stop();
  });
});

test('undo takes the last Service back, then the one before', async () => {
  const [first, second] = [
    await kt.hold(['exchange', 'orders', '--expose', `${port}:80`]),
    await kt.hold(['mesh', 'stock', '--expose', `${port}:8080`, '--versionMark', 'x']),
  ];
  expect((await kt.run(['undo'])).stdout).toBe('stock is released\n');
  expect((await kt.run(['undo'])).stdout).toBe('orders is released\n');
  await first.stop();
  await second.stop();
  expect((await kt.run(['undo'])).stdout).toBe('no Service of shop is taken over\n');
});
