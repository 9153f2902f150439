// Must: `kt run -- mvn spring-boot:run` on a real Spring Boot application reaches Services, Redis and PostgreSQL of the cluster by name
// and by address; the same without kt fails, which proves that the test can. Taken by `--exchange`, a pod gets its answers. The database is
// deployed by the test.
import { existsSync, utimesSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CalledBack, end } from './support/call-back.ts';
import { findJdks } from './support/jdks.ts';
import { execute, kubectl, Laptop, UID } from './support/kt.ts';
import { addresses, checksOf, DEAD_PROXY, fixture, ktRun, runAs } from './support/programs.ts';

const jdks = findJdks();
const laptop = new Laptop();
const shop = new CalledBack(laptop, 'kt-t-spring');
const NAME = 'postgres';
const PASSWORD = 'kt-e2e';
let project: string;
let env: NodeJS.ProcessEnv;

/** Pod and Service of a PostgreSQL, ready to take connections. */
async function deployPostgres(): Promise<string> {
  const images = await execute('../shared/cluster/images', ['postgres'], { timeoutMs: 120_000 });
  if (images.code !== 0) throw new Error(`the image of PostgreSQL: ${images.stderr}`);
  await removePostgres();
  const labels = { app: NAME };
  const container = {
    name: NAME,
    image: 'postgres:15',
    env: [{ name: 'POSTGRES_PASSWORD', value: PASSWORD }],
    ports: [{ containerPort: 5432 }],
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
    readinessProbe: { tcpSocket: { port: 5432 }, periodSeconds: 1 },
  };
  const spec = { terminationGracePeriodSeconds: 0, containers: [container], volumes: [{ name: 'data', emptyDir: {} }] };
  const items = [
    { apiVersion: 'v1', kind: 'Pod', metadata: { name: NAME, labels }, spec },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: NAME },
      spec: { selector: labels, ports: [{ port: 5432 }] },
    },
  ];
  await kubectl(['create', '-f', '-'], 'dev', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await kubectl(['wait', '--for=condition=Ready', `pod/${NAME}`, '--timeout=90s']);
  return (await kubectl(['get', 'service', NAME, '-o', 'jsonpath={.spec.clusterIP}'])).trim();
}

const removePostgres = (): Promise<string> =>
  kubectl(['delete', 'pod,service', NAME, '--ignore-not-found', '--now', '--wait']);

const boot = (...more: string[]): string[] => ['mvn', '-q', ...more, 'spring-boot:run'];
/** Checks at its start, and ends. */
const ONCE = '-Dspring-boot.run.arguments=--once';
const once = (...more: string[]): string[] => [...boot(...more), ONCE];

beforeAll(async () => {
  project = await fixture(laptop, 'spring-shop');
  // The user has no entry in passwd, so the JVM has to be told where home is.
  const repository = join(laptop.own('m2'), 'repository');
  if (existsSync(join(homedir(), '.m2/repository')))
    await execute('cp', ['-r', join(homedir(), '.m2/repository'), repository]);
  await execute('chown', ['-R', `${UID}:${UID}`, join(laptop.home, 'm2')], { timeoutMs: 60_000 });
  const [postgres, known] = await Promise.all([deployPostgres(), addresses()]);
  env = {
    ...known,
    POSTGRES_ADDRESS: `${postgres}:5432`,
    POSTGRES_PASSWORD: PASSWORD,
    // Its web server's; nobody asks it here.
    PORT: '0',
    MAVEN_OPTS: `-Duser.home=${laptop.own('work')} -Dmaven.repo.local=${repository}`,
  };
}, 240_000);
afterAll(async () => {
  await laptop.close();
  await shop.remove();
  await removePostgres();
});

const ANSWERS = {
  RestClient: 'gateway',
  "RestClient on the JDK's HttpClient": 'orders',
  'RestClient on HttpURLConnection': 'stock',
  WebClient: 'orders',
  Redis: 'stored',
  JDBC: 'row',
  'RestClient by address': 'gateway',
  'WebClient by address': 'orders',
  'HttpClient by address': 'stock',
  'Redis by address': 'stored',
  'JDBC by address': 'row',
};

test('without kt nothing answers (this also fetches what Maven needs)', { timeout: 200_000 }, async () => {
  const outcome = await runAs(laptop, once(), { cwd: project, env });
  expect(outcome.code, outcome.stderr).not.toBe(0);
  const checks = checksOf(outcome);
  expect(Object.keys(checks), outcome.stdout).toEqual(Object.keys(ANSWERS));
  for (const came of Object.values(checks)) expect(came).toMatch(/^! /);
});

test('kt run -- mvn spring-boot:run: everything answers, by name and by address', { timeout: 200_000 }, async () => {
  const outcome = await runAs(laptop, ktRun(laptop, ...once('-o')), { cwd: project, env });
  expect(checksOf(outcome), outcome.stderr).toEqual(ANSWERS);
  expect(outcome.code).toBe(0);
});

test.each([
  ['spring-boot:test-run', ['mvn', '-q', '-o', 'spring-boot:test-run', ONCE], {}],
  ['arguments for its JVM', [...once('-o'), '-Dspring-boot.run.jvmArguments=-Xmx300m -Dsaid="by the user"'], {}],
  ...jdks
    .filter(({ feature }) => feature > 17)
    .map(({ feature, home }): [string, string[], NodeJS.ProcessEnv] => [
      `JDK ${feature}`,
      once('-o'),
      { JAVA_HOME: home },
    ]),
])('the same by %s', { timeout: 200_000 }, async (_, command, more) => {
  const outcome = await runAs(laptop, ktRun(laptop, ...command), { cwd: project, env: { ...env, ...more } });
  expect(checksOf(outcome), outcome.stderr).toEqual(ANSWERS);
  expect(outcome.code).toBe(0);
});

test('devtools: restarted in its JVM after a recompile, everything answers again', { timeout: 240_000 }, async () => {
  await shop.deploy();
  const { app } = await shop.serve({ cwd: project, env, command: () => boot('-Pdevtools') }, '/check');
  const starts = (): string[] =>
    [...app.stdout().matchAll(/Starting ShopApplication.* with PID (\d+)/g)].map(([, pid = '']) => pid);
  try {
    expect(starts()).toHaveLength(1);
    const now = new Date();
    utimesSync(join(project, 'target/classes/shop/Checks.class'), now, now);
    await expect.poll(() => starts().length, { timeout: 60_000 }).toBe(2);
    expect(new Set(starts()).size).toBe(1);
    await expect.poll(() => app.stdout().match(/Started ShopApplication/g)?.length, { timeout: 60_000 }).toBe(2);
    await expect
      .poll(() => shop.fromPod('/check'), { timeout: 30_000, interval: 500 })
      .toContain('"JDBC by address","ok":"row"');
    expect(await shop.fromPod('/check')).not.toContain('error');
  } finally {
    await end(app);
  }
});

test('the same with a dead company proxy in the environment', { timeout: 200_000 }, async () => {
  const outcome = await runAs(laptop, ktRun(laptop, ...once('-o')), { cwd: project, env: { ...env, ...DEAD_PROXY } });
  expect(checksOf(outcome), outcome.stderr).toEqual(ANSWERS);
  expect(outcome.code).toBe(0);
});

test('kt run --exchange: a pod calls it back, and its answer comes from the database and Redis', {
  timeout: 240_000,
}, async () => {
  await shop.deploy();
  const running = await shop.serve({ cwd: project, env, command: () => boot('-o') }, '/check');
  const checks = JSON.parse(running.answer) as { check: string; ok?: string }[];
  expect(Object.fromEntries(checks.map(({ check, ok }) => [check, ok])), running.app.stderr()).toEqual(ANSWERS);
  await shop.expectCalledBack(running, '/check', '{"check":"JDBC","ok":"row"}');
});
