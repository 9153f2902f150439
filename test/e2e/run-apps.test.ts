// Must: applications as developers have them, each by `kt run` with the workload's variables, and called back from the cluster through
// `kt run --exchange`: Spring Cloud Kubernetes (DiscoveryClient, a ConfigMap as property source, load balancer), NestJS by npm, FastAPI by
// gunicorn and uvicorn. The Service that is taken is the test's own, in front of the shop's `stock`.
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Dialogue, startDialogue } from '../support/dialogue.ts';
import { execute, kubectl, Laptop, UID } from './support/kt.ts';
import { checksOf, fixture, ktRunWith, runAs } from './support/programs.ts';

const NAME = 'kt-t-apps';
const laptop = new Laptop();
/** Milliseconds for an application to answer: a JVM on two busy cores. */
const START_MS = 90_000;

const own = (kind: object): string => JSON.stringify({ apiVersion: 'v1', metadata: { name: NAME }, ...kind });
const asUser = async (folder: string): Promise<void> => {
  await execute('chown', ['-R', `${UID}:${UID}`, folder], { timeoutMs: 60_000 });
};
const must = async (file: string, args: string[], timeoutMs = 240_000): Promise<void> => {
  const done = await execute(file, args, { timeoutMs });
  expect(done, `${file} ${args.join(' ')}: ${done.stdout}${done.stderr}`).toMatchObject({ code: 0 });
};
const fromCluster = (): Promise<string> => {
  const script = `fetch('http://${NAME}/who').then((answer) => answer.text()).then(console.log)`;
  return kubectl(['exec', 'deploy/orders', '--', 'node', '-e', script]);
};

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

beforeAll(async () => {
  const spec = { selector: { app: 'stock' }, ports: [{ port: 80, targetPort: 8080 }] };
  await kubectl(['apply', '-f', '-'], 'dev', own({ kind: 'Service', spec }));
  await kubectl(['apply', '-f', '-'], 'dev', own({ kind: 'ConfigMap', data: { greeting: 'from the ConfigMap' } }));
});
afterAll(async () => {
  await kubectl(['delete', 'service,configmap', NAME, '--ignore-not-found', '--wait=false']);
  await laptop.close();
});

/** Runs the application in front of the Service until the test ends it. */
async function served(
  cwd: string,
  env: NodeJS.ProcessEnv,
  command: (port: number) => string[],
  path: string,
): Promise<{ app: Dialogue; answer: string }> {
  const port = await freePort();
  const flags = ['--env-from', 'deploy/orders', '--exchange', `${NAME}:${port}:80`];
  const line = ktRunWith(laptop, flags, ...command(port));
  const app = startDialogue(line, {
    uid: UID,
    gid: UID,
    cwd,
    detached: true,
    env: laptop.env('dev', { ...env, PORT: String(port) }),
  });
  const limit = Date.now() + START_MS;
  for (;;) {
    const asked = await execute('curl', ['-sS', '--max-time', '20', `http://127.0.0.1:${port}${path}`]);
    if (asked.code === 0) return { app, answer: asked.stdout };
    if (Date.now() > limit || app.child.exitCode !== null)
      throw new Error(`no answer: ${asked.stderr}\n${app.stderr()}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function calledBack({ app }: { app: Dialogue }): Promise<void> {
  expect(await fromCluster()).toContain('the laptop');
  // The whole group, as a terminal and an IDE do: npm passes no signal to what it has started.
  process.kill(-(app.child.pid ?? 0), 'SIGTERM');
  await app.end();
  expect(await fromCluster()).toContain('"service":"stock"');
}

const ANSWERS = { gateway: 'gateway', next: 'stock', orders: 'orders' };

test('FastAPI, by gunicorn with uvicorn workers', { timeout: 240_000 }, async () => {
  const folder = await fixture(laptop, 'fastapi-app');
  // Beside the application and not in a virtual environment: the user's Python is the system's, whoever runs the tests.
  const pip = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--target', join(folder, 'lib')];
  await must('python3', [...pip, '-r', join(folder, 'requirements.txt')]);
  await asUser(folder);
  const workers = ['-k', 'uvicorn.workers.UvicornWorker', '-w', '2', 'main:app'];
  const running = await served(
    folder,
    { PYTHONPATH: 'lib' },
    (port) => ['python3', '-m', 'gunicorn', '-b', `127.0.0.1:${port}`, ...workers],
    '/check',
  );
  expect(JSON.parse(running.answer), running.app.stderr()).toEqual(ANSWERS);
  await calledBack(running);
});

test('NestJS, by npm start', { timeout: 240_000 }, async () => {
  const folder = await fixture(laptop, 'nest-app');
  await must('npm', ['install', '--no-audit', '--no-fund', '--prefix', folder]);
  await must('npm', ['run', '-s', 'build', '--prefix', folder]);
  await asUser(folder);
  const running = await served(folder, {}, () => ['npm', 'start'], '/check');
  expect(JSON.parse(running.answer), running.app.stderr()).toEqual(ANSWERS);
  await calledBack(running);
});

describe('Spring Cloud Kubernetes', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await fixture(laptop, 'spring-cloud-shop');
    await must('mvn', ['-q', '-B', '-f', folder, '-DskipTests', 'package']);
    await asUser(folder);
  }, 300_000);
  const java = (...more: string[]): string[] => ['java', '-jar', 'target/spring-cloud-shop-1.jar', ...more];

  test('finds its ConfigMap, the services and their instances, as in a pod', { timeout: 200_000 }, async () => {
    const env = { CONFIG_NAME: NAME };
    const outcome = await runAs(laptop, ktRunWith(laptop, ['--env-from', 'deploy/orders'], ...java('--once')), {
      cwd: folder,
      env,
    });
    expect(checksOf(outcome), outcome.stderr).toEqual({
      'a property of the ConfigMap': 'from the ConfigMap',
      'the profile kubernetes': 'true',
      services: 'true',
      'instances of orders': '2',
      'an instance of orders': 'orders',
      'orders by the load balancer': 'orders',
      'a variable of the workload': 'http://stock:8080/',
    });
  });

  test('is called back from the cluster', { timeout: 200_000 }, async () => {
    await calledBack(await served(folder, { CONFIG_NAME: NAME }, () => java(), '/who'));
  });
});
