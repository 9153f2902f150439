// Must: `kt run --any` on programs that no shim reaches: a static Go binary, curl, redis-cli; by name and by address, as uid 12345. What
// passes through, and clear refusals. The supervisor is built here, as a maintainer does it.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDialogue } from '../support/dialogue.ts';
import { execute, Laptop, UID } from './support/kt.ts';
import { addresses, fixture, ktRunWith, type Outcome, runAs } from './support/programs.ts';

const laptop = new Laptop();
const supervisor = join(laptop.home, 'dist/shims/kt-any');
let program: string;
let known: Record<string, string>;

const any = (...command: string[]): Promise<Outcome> => runAs(laptop, ktRunWith(laptop, ['--any'], ...command));

beforeAll(async () => {
  rmSync(supervisor, { force: true });
  const folder = await fixture(laptop, 'any-client');
  program = join(laptop.home, 'any-client', 'any-client');
  const env = { ...process.env, CGO_ENABLED: '0' };
  const go = await execute('go', ['build', '-C', folder, '-o', program, '.'], { env, timeoutMs: 120_000 });
  expect(go, go.stderr).toMatchObject({ code: 0 });
  known = await addresses();
}, 180_000);
afterAll(() => laptop.close());

test('a kt that was built without the supervisor says so', async () => {
  const outcome = await any('true');
  expect(outcome.code).toBe(1);
  expect(outcome.stderr).toContain('this kt was built without the supervisor of --any');
});

describe('with the supervisor', () => {
  beforeAll(async () => {
    const built = await execute('shims/any/build.sh', [supervisor], { timeoutMs: 60_000 });
    expect(built, built.stderr).toMatchObject({ code: 0 });
  });

  test('a static Go binary: by name, by address, refused, unknown', async () => {
    const urls = ['http://orders/', 'http://stock.shop.svc.cluster.local:8080/', `http://${known['GATEWAY_ADDRESS']}/`];
    const more = [
      `http://${known['ORDERS_ADDRESS']}/`,
      'http://orders:81/',
      'http://nope.shop.svc/',
      'http://127.0.0.1:9/',
    ];
    const { stdout, stderr, code } = await any(program, ...urls, ...more);
    const lines = stdout.split('\n');
    expect([code, stderr]).toEqual([0, '']);
    for (const [index, service] of ['orders', 'stock', 'gateway', 'orders'].entries()) {
      expect(lines[index]).toContain(`= {"service":"${service}"`);
    }
    for (const line of [lines[4], lines[6]]) expect(line).toMatch(/^! .*connection refused/);
    expect(lines[5]).toMatch(/^! .*no such host/);
  });

  test('without kt the same program does not reach the cluster', async () => {
    const outcome = await runAs(laptop, [program, `http://${known['GATEWAY_ADDRESS']}/`]);
    expect(outcome.stdout).toMatch(/^! /);
  });

  test.each([
    ['curl', ['curl', '-sS', 'http://gateway/'], '"service":"gateway"'],
    ['redis-cli', ['redis-cli', '-h', 'cache', 'ping'], 'PONG'],
    ['a child of a child', ['sh', '-c', 'sh -c "curl -sS http://orders/; true" & wait'], '"service":"orders"'],
  ])('%s', async (_, command, expected) => {
    const outcome = await any(...command);
    expect(outcome.stdout, outcome.stderr).toContain(expected);
  });

  test('exit codes, signals, a program that is not there', async () => {
    expect(await any('sh', '-c', 'exit 7')).toMatchObject({ code: 7 });
    expect(await any('sh', '-c', 'kill -KILL $$')).toMatchObject({ code: 137 });
    const missing = await any('no-such-program');
    expect([missing.code, missing.stderr]).toEqual([
      127,
      expect.stringContaining("there is no program 'no-such-program'"),
    ]);
    const script = "trap 'echo got it; exit 9' TERM; echo ready; while :; do sleep 0.1; done";
    const signalled = await runAs(laptop, ktRunWith(laptop, ['--any'], 'sh', '-c', script), {
      onOutput: (stdout, child) => {
        if (stdout === 'ready\n') child.kill('SIGTERM');
      },
    });
    expect(signalled).toMatchObject({ code: 9, stdout: 'ready\ngot it\n' });
  });

  test('where the kernel forbids it, it says so and nothing was started', async () => {
    // Within itself: a process can have one listener only.
    const outcome = await any(supervisor, 'echo', 'started');
    expect([outcome.code, outcome.stdout]).toEqual([126, '']);
    expect(outcome.stderr).toContain('kt: --any is not possible here: seccomp: another program listens already');
  });

  test('it finds the next kt', { timeout: 120_000 }, async () => {
    const first = await laptop.connect();
    const command = ktRunWith(laptop, ['--any'], 'sh', '-c', `while read -r url; do ${program} "$url"; done`);
    const dialogue = startDialogue(command, { uid: UID, gid: UID, env: laptop.env() });
    const url = `http://${known['GATEWAY_ADDRESS']}/`;
    expect(await dialogue.ask(url)).toContain('"service":"gateway"');
    await first.stop('SIGKILL');
    expect(await dialogue.ask(url)).toMatch(/^! .*connection refused/);
    const second = await laptop.connect();
    expect(await dialogue.ask(url)).toContain('"service":"gateway"');
    expect(dialogue.stderr()).toMatch(/kt: kt is not running[^]*kt: kt is running again/);
    expect(await dialogue.end()).toBe(0);
    await second.stop();
  });
});
