// The JVM agent in a real Java program on every JDK of this machine (17 is a must) and on Java 11 and 21, against a real broker with a pretend
// cluster behind it. Needs a JDK, no cluster. Also: the committed jar is what the sources give, byte for byte.

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Outcome, runProgram } from '../support/run-program.ts';
import { ORDERS, POD, type ShimWorld, shimWorld } from '../support/shim-world.ts';
import { fetchRuntimes, findJdks, runtimesIn } from './support/jdks.ts';

const JAR = resolve('shims/jvm/kt-jvm.jar');
/** The jar travels with every kt; DESIGN §8. */
const JAR_BYTES_MAX = 40 * 1024;
const jdks = findJdks();
const home17 = jdks.find((jdk) => jdk.feature === 17)?.home ?? 'JDK 17 is missing';
const runtimes = mkdtempSync(join(tmpdir(), 'kt-java-'));
const javas = [...jdks, ...runtimesIn(runtimes).filter(({ feature }) => jdks.every((jdk) => jdk.feature !== feature))];

let world: ShimWorld;
const classes = mkdtempSync(join(tmpdir(), 'kt jvm checks '));

beforeAll(async () => {
  world = await shimWorld();
  await fetchRuntimes(runtimes);
  const sources = ['Checks.java', 'kt/PatchChecks.java'].map((name) => `test/fixtures/jvm-checks/${name}`);
  const compiled = await runProgram(
    join(home17, 'bin/javac'),
    ['--release', '11', '-cp', JAR, '-d', classes, ...sources],
    world.bare(),
  );
  expect(compiled).toMatchObject({ code: 0 });
}, 180_000);
afterAll(async () => {
  await world.stop();
  for (const folder of [classes, runtimes]) await rm(folder, { recursive: true });
});

/** Check → what the line says after its name. */
function lines({ stdout }: Outcome): Map<string, string> {
  return new Map(
    stdout
      .split('\n')
      .map((line) => /^(.+?) ([=!] .*)$/.exec(line))
      .map((parts) => [parts?.[1] ?? '', parts?.[2] ?? '']),
  );
}

interface Run {
  readonly checks?: readonly string[];
  readonly options?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

function java(home: string, { checks = [], options = [], env = world.environment() }: Run = {}): Promise<Outcome> {
  return runProgram(join(home, 'bin/java'), [...options, '-cp', classes, 'Checks', ...checks], env);
}

/** What the JVM says by itself about the variable. */
const withoutBanner = (stderr: string): string => stderr.replaceAll(/^Picked up JAVA_TOOL_OPTIONS: .*\n/gm, '');

describe('the jar', () => {
  test('is what the sources give with JDK 17, byte for byte', async () => {
    const again = join(classes, 'again.jar');
    const built = await runProgram('shims/jvm/build.sh', [again], { ...world.bare(), JAVA_HOME: home17 });
    expect(built).toMatchObject({ code: 0 });
    expect(readFileSync(again).equals(readFileSync(JAR))).toBe(true);
  });

  test('is the one of shims/jvm/SHA256, and small', () => {
    const sum = createHash('sha256').update(readFileSync(JAR)).digest('hex');
    expect(readFileSync('shims/jvm/SHA256', 'utf8')).toBe(`${sum}  kt-jvm.jar\n`);
    expect(statSync(JAR).size).toBeLessThan(JAR_BYTES_MAX);
  });
});

/** What runtimes without JNDI's DNS (the packages of PyPI) answer, and what the plain sockets of Java 12 and older show as their peer. */
const NO_JNDI = '! ClassNotFoundException: com.sun.jndi.dns.DnsContextFactory';
const peerOn = (feature: number): unknown =>
  feature < 13 ? expect.stringMatching(/^= ping 127\.0\.0\.1:/) : `= ping ${ORDERS}:7000`;

describe.each(javas.map(({ feature, home }) => [feature, home] as const))('on Java %d', (feature, home) => {
  let all: Outcome;
  let said: Map<string, string>;
  beforeAll(async () => {
    world.programs.length = 0;
    all = await java(home, { options: ['-Xverify:all'] });
    said = lines(all);
  });

  test.each([
    ['InetAddress', `= [orders.shop/${ORDERS}]`],
    ['InetAddress of the whole name', `= ${ORDERS}`],
    ['InetAddress of localhost', '= true'],
    ['InetAddress of a literal', '= 192.0.2.1'],
    ['names from another class loader', `= ${ORDERS}`],
    ['JNDI SRV', jdks.some((jdk) => jdk.home === home) ? '= 1 2 5432 orders-0.orders.shop.svc.' : NO_JNDI],
    ['Socket by name', peerOn(feature)],
    ['Socket by address with a timeout', peerOn(feature)],
    ['Socket by a name that leads out of the networks', '= true'],
    ['40 Sockets at once', '= 40 of 40'],
    ['40 virtual threads', '= 40 of 40'],
    ['a server socket', '= true'],
    ['a connected DatagramSocket outside', '= 1'],
    ['SocketChannel blocking', `= ping orders/${ORDERS}:7000`],
    ['SocketChannel non-blocking', `= ping /${ORDERS}:7000`],
    ['SocketChannel.socket() with a timeout', '= ping'],
    ['AsynchronousSocketChannel', `= ping orders/${ORDERS}:7000`],
    ['HttpURLConnection by name', '= {"service":"orders","path":"/","host":"orders"}'],
    ['HttpURLConnection by pod address', `= {"service":"orders","path":"/","host":"${POD}:8080"}`],
    ['HttpURLConnection outside', '= outside'],
    ['HttpClient by name', '= {"service":"orders","path":"/","host":"orders.shop.svc"}'],
    ['HttpClient by pod address', `= {"service":"orders","path":"/","host":"${POD}:8080"}`],
    ['http.nonProxyHosts', '= null'],
    ['refused', '! ConnectException: Connection refused (kt: ECONNREFUSED nobody listens there)'],
    ['refused non-blocking', '! ConnectException: Connection refused (kt: ECONNREFUSED nobody listens there)'],
    ['refused asynchronous', '! ConnectException: Connection refused (kt: ECONNREFUSED nobody listens there)'],
    ['timeout', '! SocketTimeoutException: Connect timed out'],
    ['non-blocking, no answer', '= went on'],
    [
      'unknown name',
      '! UnknownHostException: nope.shop.svc (kt: ENOTFOUND no such name in the cluster: nope.shop.svc)',
    ],
  ])('%s', (check, expected) => {
    expect(said.get(check)).toEqual(expected);
  });

  test('HttpClient refused', () => {
    expect(said.get('HttpClient refused')).toMatch(/^! ConnectException/);
  });

  test('says nothing, and introduced itself once', () => {
    expect(withoutBanner(all.stderr)).toBe('');
    expect(world.programs.map(({ runtime, version }) => `${runtime} ${version.split('.')[0]}`)).toEqual([
      `java ${feature}`,
    ]);
  });

  test('every shape of method is patched and passes the verifier, and so do the hooked classes of this JDK', async () => {
    const ran = await runProgram(
      join(home, 'bin/java'),
      ['-Xverify:all', '-cp', classes, 'kt.PatchChecks'],
      world.environment(),
    );
    const results = [...lines(ran)].filter(([name]) => name !== '');
    expect(results.length).toBeGreaterThanOrEqual(18);
    expect(results.filter(([, result]) => result !== '= same' && result !== '= true')).toEqual([]);
  });

  test('a company proxy in the properties does not get what is the cluster', async () => {
    const asked: string[] = [];
    const proxy = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (chunk) => {
        asked.push(String(chunk).split('\r\n')[0] ?? '');
        socket.destroy();
      });
    });
    await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening));
    const { port } = proxy.address() as { port: number };
    const options = [`-Dhttp.proxyHost=127.0.0.1`, `-Dhttp.proxyPort=${port}`];
    const checks = [
      'HttpURLConnection by name',
      'HttpURLConnection by pod address',
      'HttpClient by name',
      'http.nonProxyHosts',
    ];
    const with_ = lines(await java(home, { checks, options }));
    expect([...with_.values()].filter((result) => result.startsWith('='))).toHaveLength(4);
    expect(with_.get('http.nonProxyHosts')).toBe('= localhost|127.*|[::1]|*.svc|*.cluster.local|198.18.0.*|198.19.*');
    expect(asked).toEqual([]);
    await java(home, { checks, options, env: world.bare() });
    expect(asked.length).toBeGreaterThan(0);
    proxy.close();
  });

  test('with kt gone: clear exceptions at once, one line on stderr, the rest works', async () => {
    const checks = ['InetAddress', 'refused', 'refused non-blocking', 'unknown name', 'HttpURLConnection outside'];
    const ran = await java(home, { checks, env: { ...world.environment(), KT_BROKER: '127.0.0.1:1' } });
    const result = lines(ran);
    for (const check of ['refused', 'refused non-blocking'])
      expect(result.get(check)).toMatch(/^! ConnectException: kt is not running/);
    expect(result.get('unknown name')).toMatch(/^! UnknownHostException: .*kt is not running/);
    // A short name may be the office network's.
    expect(result.get('InetAddress')).toMatch(/^! UnknownHostException: orders\.shop/);
    expect(result.get('HttpURLConnection outside')).toBe('= outside');
    expect(withoutBanner(ran.stderr)).toMatch(/^kt: kt is not running \(127\.0\.0\.1:1: .*\n$/);
  });

  test('the agent given twice is the agent given once; without its variables it does nothing', async () => {
    const twice = await java(home, { checks: ['Socket by name'], options: [`-javaagent:${JAR}`] });
    expect(lines(twice).get('Socket by name')).toEqual(peerOn(feature));
    const without = await java(home, { checks: ['refused'], options: [`-javaagent:${JAR}`], env: world.bare() });
    expect(lines(without).get('refused')).not.toContain('kt');
    expect(without.stderr).toBe('');
  });
});

test('without the agent the same program does not reach the cluster', async () => {
  const result = lines(
    await java(home17, { checks: ['Socket by name', 'HttpClient by name', 'InetAddress'], env: world.bare() }),
  );
  for (const value of result.values()) expect(value).toMatch(/^(! |$)/);
});
