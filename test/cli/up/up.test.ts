// Must: `kt up` does what the file says, shows its programs' lines with their names, ends with them, by Ctrl-C or by `kt down`, and leaves nothing: no Service
// taken, no pod, no process. The built kt on a playground.
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { loadClusterConfig } from '../../../src/cluster/config.ts';
import { ClusterApi } from '../../../src/cluster/rest.ts';
import { type Playground, startPlayground } from '../../../src/playground/start.ts';
import { isAlive } from '../../../src/session/alive.ts';
import { PlaygroundKt } from '../../support/playground-kt.ts';

const ASK =
  "fetch(process.env.URL).then(async (a) => console.log('answer', await a.text()), (e) => console.log('!', e.cause?.code))";
const SERVE = `require('node:http').createServer((q, r) => r.end('laptop ' + process.env.WHO)).listen(process.env.PORT, '127.0.0.1', () => console.log('listening'))`;
let playground: Playground;
let kt: PlaygroundKt;
let api: ClusterApi;
let folder: string;

beforeAll(async () => {
  playground = await startPlayground();
  kt = new PlaygroundKt(playground);
  api = new ClusterApi(await loadClusterConfig({ kubeconfig: playground.kubeconfig, context: 'admin' }));
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kt up '));
  mkdirSync(join(folder, 'sub'));
  writeFileSync(join(folder, 'ask.cjs'), ASK);
  writeFileSync(join(folder, 'sub', 'serve.cjs'), SERVE);
});
afterEach(async () => {
  await kt.stopAll();
  await rm(folder, { recursive: true });
});
afterAll(async () => {
  await kt.close();
  api.close();
  await playground.close();
});

function file(text: string): string {
  const path = join(folder, 'kt.yaml');
  writeFileSync(path, text);
  return path;
}

const FREE = ['--proxyPort', '0', '--dnsPort', '0'];
const up = (path: string, ...more: string[]) => kt.start(['up', '--file', path, ...FREE, ...more]);

async function leftovers(): Promise<string[]> {
  interface Listed {
    readonly items: readonly { readonly metadata: { readonly name: string } }[];
  }
  const pods = await api.request<Listed>(
    'GET',
    '/api/v1/namespaces/shop/pods?labelSelector=app.kubernetes.io%2Fname%3Dkt-agent',
  );
  const services = await api.request<Listed>(
    'GET',
    '/api/v1/namespaces/shop/services?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dkt',
  );
  return [...pods.items, ...services.items].map(({ metadata }) => metadata.name);
}

test('programs that end: their lines with their names, the exit code of the first that failed, nothing is left', async () => {
  const path = file(`run:
  asks:
    command: node ask.cjs
    env: { URL: "http://gateway/" }
  fails: { command: [node, -e, "process.exit(7)"] }
`);
  const running = up(path);
  expect((await running.exited).code).toBe(7);
  expect(running.stdout).toMatch(/^asks {2}\| answer .*gateway/m);
  expect(running.stdout).toContain('fails | ended with exit code 7\n');
  expect(kt.sockets()).toEqual([]);
  expect(await leftovers()).toEqual([]);
});

test('a Service is taken, answered by a program of the file, and given back by Ctrl-C', async () => {
  const path = file(`exchange: ["orders:18471:80"]
forward: ["stock 0:8080"]
run:
  orders:
    command: node serve.cjs
    folder: sub
    env: { PORT: "18471", WHO: anna }
`);
  const running = up(path, '--output', 'json');
  await running.event('holding');
  await running.event('forwarding');
  const asked = async (): Promise<string> =>
    (await kt.run(['run', '--', process.execPath, '-e', ASK.replace('process.env.URL', "'http://orders/'")])).stdout;
  await expect.poll(asked, { timeout: 15_000 }).toBe('answer laptop anna\n');
  expect((await kt.run(['status'])).stdout).toContain('orders');
  expect((await running.stop('SIGINT')).code).toBe(0);
  expect(kt.sockets()).toEqual([]);
  expect(await leftovers()).toEqual([]);
});

test('kt down ends it from elsewhere', async () => {
  const path = file('namespace: shop\nrun:\n  stays: { command: [node, -e, "setInterval(() => 1, 1000)"] }\n');
  const running = up(path, '--output', 'json');
  await running.event('ready');
  const down = await kt.run(['down', '--file', path]);
  expect(down.stdout, down.stderr).toContain('stopped shop');
  expect((await running.exited).code).toBe(0);
  expect(await leftovers()).toEqual([]);
});

test('--plan shows all of it and changes nothing', async () => {
  const path = file(
    'exchange: ["orders:18471:80"]\nforward: [stock 8080]\nrun:\n  orders: { command: mvn spring-boot:run }\n',
  );
  const planned = await kt.run(['up', '--file', path, '--plan']);
  expect(planned.stdout, planned.stderr).toMatch(
    /create the pod[^]*exchange orders in shop:[^]*forward stock 8080\nstart orders: mvn spring-boot:run\n$/,
  );
  expect(await leftovers()).toEqual([]);
});

test.each([
  ['exchange: ["nobody:80"]', 'SERVICE_NOT_FOUND', 3],
  ['exchange: ["orders:http:80:1"]', 'USAGE', 2],
  ['runs: {}', 'CONFIG_INVALID', 2],
  ['run:\n  x: { command: [no-such-program-of-kt] }', '', 127],
])('%j: exit code and nothing left', async (text, code, exit) => {
  const running = up(file(text));
  expect((await running.exited).code, running.stderr).toBe(exit);
  expect(running.stderr).toContain(code);
  expect(kt.sockets()).toEqual([]);
  expect(await leftovers()).toEqual([]);
});

test('a program that does not want to end: a second Ctrl-C ends kt at once, and takes the program along', async () => {
  const stubborn =
    "process.on('SIGTERM', () => console.log('asked')); setInterval(() => 1, 1000); console.log('pid', process.pid)";
  const path = file(`run:\n  stays: { command: [node, -e, ${JSON.stringify(stubborn)}] }\n`);
  const running = up(path);
  const stdout = (): string => running.stdout;
  await expect.poll(stdout, { timeout: 15_000 }).toContain('pid');
  running.child.kill('SIGINT');
  await expect.poll(stdout, { timeout: 15_000 }).toContain('asked');
  expect((await running.stop('SIGINT')).code).toBe(130);
  // It was told again, and what it does is its own matter; here it is ended.
  const pid = Number(/pid (\d+)/.exec(running.stdout)?.[1]);
  process.kill(pid, 'SIGKILL');
});

test('kt up is killed: its programs end', async () => {
  const path = file(
    `run:\n  stays: { command: [node, -e, "setInterval(() => 1, 1000); console.log('pid', process.pid)"] }\n`,
  );
  const running = up(path);
  await expect.poll(() => running.stdout, { timeout: 15_000 }).toMatch(/pid \d+/);
  const pid = Number(/pid (\d+)/.exec(running.stdout)?.[1]);
  await running.stop('SIGKILL');
  await expect.poll(() => isAlive(pid), { timeout: 15_000 }).toBe(false);
});
