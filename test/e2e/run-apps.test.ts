// Must: applications as developers have them, each by `kt run` with the workload's variables, and called back from the cluster through
// `kt run --exchange`: Spring Cloud Kubernetes (DiscoveryClient, a ConfigMap as property source, load balancer), NestJS by npm, FastAPI by
// gunicorn and uvicorn. The Service that is taken is the test's own, in front of the shop's `stock`.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CalledBack } from './support/call-back.ts';
import { execute, kubectl, Laptop, UID } from './support/kt.ts';
import { checksOf, fixture, ktRunWith, runAs } from './support/programs.ts';

const NAME = 'kt-t-apps';
const laptop = new Laptop();
const shop = new CalledBack(laptop, NAME);
/** With the variables of a workload. */
const FLAGS = ['--env-from', 'deploy/orders'];
const asUser = async (folder: string): Promise<void> => {
  await execute('chown', ['-R', `${UID}:${UID}`, folder], { timeoutMs: 60_000 });
};
const must = async (file: string, args: string[], timeoutMs = 240_000): Promise<void> => {
  const done = await execute(file, args, { timeoutMs });
  expect(done, `${file} ${args.join(' ')}: ${done.stdout}${done.stderr}`).toMatchObject({ code: 0 });
};
beforeAll(async () => {
  await shop.deploy();
  const metadata = { name: NAME };
  const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { greeting: 'from the ConfigMap' } };
  await kubectl(['apply', '-f', '-'], 'dev', JSON.stringify(config));
});
afterAll(async () => {
  await laptop.close();
  await shop.remove();
  await kubectl(['delete', 'configmap', NAME, '--ignore-not-found', '--wait=false']);
});

const ANSWERS = { gateway: 'gateway', next: 'stock', orders: 'orders' };

test('FastAPI, by gunicorn with uvicorn workers', { timeout: 240_000 }, async () => {
  const folder = await fixture(laptop, 'fastapi-app');
  // Beside the application and not in a virtual environment: the user's Python is the system's, whoever runs the tests.
  const pip = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--target', join(folder, 'lib')];
  await must('python3', [...pip, '-r', join(folder, 'requirements.txt')]);
  await asUser(folder);
  const workers = ['-k', 'uvicorn.workers.UvicornWorker', '-w', '2', 'main:app'];
  const command = (port: number): string[] => ['python3', '-m', 'gunicorn', '-b', `127.0.0.1:${port}`, ...workers];
  const running = await shop.serve({ cwd: folder, env: { PYTHONPATH: 'lib' }, command, flags: FLAGS }, '/check');
  expect(JSON.parse(running.answer), running.app.stderr()).toEqual(ANSWERS);
  await shop.expectCalledBack(running, '/who', 'the laptop');
});

test('NestJS, by npm start', { timeout: 240_000 }, async () => {
  const folder = await fixture(laptop, 'nest-app');
  await must('npm', ['install', '--no-audit', '--no-fund', '--prefix', folder]);
  await must('npm', ['run', '-s', 'build', '--prefix', folder]);
  await asUser(folder);
  const command = (): string[] => ['npm', 'start'];
  const running = await shop.serve({ cwd: folder, env: {}, command, flags: FLAGS }, '/check');
  expect(JSON.parse(running.answer), running.app.stderr()).toEqual(ANSWERS);
  await shop.expectCalledBack(running, '/who', 'the laptop');
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
    const outcome = await runAs(laptop, ktRunWith(laptop, FLAGS, ...java('--once')), {
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
    const application = { cwd: folder, env: { CONFIG_NAME: NAME }, command: () => java(), flags: FLAGS };
    await shop.expectCalledBack(await shop.serve(application, '/who'), '/who', 'the laptop');
  });
});
