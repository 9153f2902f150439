// Must: the JVM agent beside others that developers have: JaCoCo, OpenTelemetry and a debugger, before it and after it, and all at once.
// The same program as in shim-jvm.test.ts; needs a JDK 17 and Maven, no cluster.
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runProgram } from '../support/run-program.ts';
import { ORDERS, type ShimWorld, shimWorld } from '../support/shim-world.ts';
import { findJdks } from './support/jdks.ts';
import { libraries } from './support/servers.ts';

const home17 = findJdks().find(({ feature }) => feature === 17)?.home ?? '';
const CHECKS = [
  'Socket by name',
  'SocketChannel non-blocking',
  'HttpURLConnection by name',
  'HttpClient by name',
  'JNDI SRV',
];
let world: ShimWorld;
let folder: string;
let jars: string;

beforeAll(async () => {
  world = await shimWorld();
  jars = await libraries('test/fixtures/jvm-agents');
  folder = await mkdtemp(join(tmpdir(), 'kt-agents-'));
  const compiled = await runProgram(
    join(home17, 'bin/javac'),
    ['-d', folder, 'test/fixtures/jvm-checks/Checks.java'],
    world.bare(),
  );
  expect(compiled).toMatchObject({ code: 0 });
}, 240_000);
afterAll(async () => {
  await world.stop();
  for (const one of [folder, dirname(jars)]) await rm(one, { recursive: true, force: true });
});

const jar = (start: string): string => join(jars, readdirSync(jars).find((name) => name.startsWith(start)) ?? '');
const jacoco = (): string => `-javaagent:${jar('org.jacoco')}=destfile=${join(folder, 'jacoco.exec')}`;
const telemetry = (): string => `-javaagent:${jar('opentelemetry')}`;
const debuggerAgent = (): string => '-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=127.0.0.1:0';
/** It sends to nobody here. */
const SILENT = {
  OTEL_TRACES_EXPORTER: 'none',
  OTEL_METRICS_EXPORTER: 'none',
  OTEL_LOGS_EXPORTER: 'none',
  OTEL_JAVAAGENT_LOGGING: 'none',
};

test.each([
  ['JaCoCo', () => [jacoco()]],
  ['OpenTelemetry', () => [telemetry()]],
  ['a debugger', () => [debuggerAgent()]],
  ['all of them', () => [jacoco(), telemetry(), debuggerAgent()]],
] as const)('%s, before and after kt', { timeout: 120_000 }, async (name, agents) => {
  // What stands in JAVA_TOOL_OPTIONS before kt's comes first, what stands on the command line comes last.
  for (const [before, after] of [
    [agents(), []],
    [[], agents()],
  ] as const) {
    const env = world.environment({ ...SILENT, ...(before.length > 0 ? { JAVA_TOOL_OPTIONS: before.join(' ') } : {}) });
    const outcome = await runProgram(join(home17, 'bin/java'), [...after, '-cp', folder, 'Checks', ...CHECKS], env);
    const lines = outcome.stdout.split('\n').filter((line) => CHECKS.some((check) => line.startsWith(check)));
    expect(lines, outcome.stderr).toEqual([
      'JNDI SRV = 1 2 5432 orders-0.orders.shop.svc.',
      `Socket by name = ping ${ORDERS}:7000`,
      `SocketChannel non-blocking = ping /${ORDERS}:7000`,
      'HttpURLConnection by name = {"service":"orders","path":"/","host":"orders"}',
      'HttpClient by name = {"service":"orders","path":"/","host":"orders.shop.svc"}',
    ]);
    expect(outcome.stderr).not.toMatch(/^kt: /m);
    if (/JaCoCo|all/.test(name)) expect(existsSync(join(folder, 'jacoco.exec'))).toBe(true);
  }
});
