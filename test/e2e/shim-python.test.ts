// The Python shim in a real Python program, against a real broker with a pretend cluster behind it. Needs python3, no cluster.
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Outcome, runProgram } from '../support/run-program.ts';
import { ORDERS, type ShimWorld, shimWorld } from '../support/shim-world.ts';

interface Check {
  readonly check: string;
  readonly ok?: unknown;
  readonly error?: string;
  readonly message?: string;
}

let world: ShimWorld;
let folder: string;
let all: Outcome;
let said: Map<string, Check>;

beforeAll(async () => {
  world = await shimWorld();
  folder = await mkdtemp(join(tmpdir(), 'kt python '));
  mkdirSync(join(folder, 'mine'));
  writeFileSync(join(folder, 'mine', 'sitecustomize.py'), 'WHO = "mine"\n');
  all = await python([], world.environment({ PYTHONPATH: join(folder, 'mine') }));
  said = checks(all);
});
afterAll(async () => {
  await world.stop();
  await rm(folder, { recursive: true });
});

function python(wanted: readonly string[], env: NodeJS.ProcessEnv, interpreter = 'python3'): Promise<Outcome> {
  return runProgram(interpreter, ['test/fixtures/python-checks/checks.py', ...wanted], env);
}

function checks({ stdout }: Outcome): Map<string, Check> {
  const lines = stdout.split('\n').filter(Boolean);
  return new Map(lines.map((line) => JSON.parse(line) as Check).map((check) => [check.check, check]));
}

describe('a program under the shim', () => {
  test.each<[string, unknown]>([
    ['getaddrinfo', [ORDERS, 80]],
    ['getaddrinfo of bytes', [ORDERS, 80]],
    ['getaddrinfo of localhost', ['127.0.0.1', 80]],
    ['gethostbyname', ORDERS],
    ['gethostbyname_ex', ['orders', [], [ORDERS]]],
    ['connect by name', `ping ${ORDERS}:7000`],
    ['connect by address', `ping ${ORDERS}:7000`],
    ['connect without a timeout', `ping ${ORDERS}:7000`],
    ['connect by IPv4 in IPv6', 'ping'],
    ['create_connection', `ping ${ORDERS}:7000`],
    ['non-blocking, repeated', `ping ${ORDERS}:7000`],
    ['a name that leads out of the networks', 'orders'],
    ['urllib by name', 'orders'],
    ['urllib by pod address', 'orders'],
    ['urllib outside', 'outside'],
    ['asyncio by name', `ping ${ORDERS}:7000`],
    ['asyncio by address', `ping ${ORDERS}:7000`],
    ['asyncio 40 at once', 40],
    ['20 threads', 20],
    ['child process', 'orders'],
    ['forked process', 'orders'],
    ['refused connect_ex', 'ECONNREFUSED'],
    ["the user's sitecustomize", 'mine'],
    ['socket class', '_socket.socket'],
  ])('%s', (check, expected) => {
    expect(said.get(check)).toEqual({ check, ok: expected });
  });

  test.each([
    ['refused', 'ConnectionRefusedError', /Connection refused \(kt: nobody listens there\)/],
    ['refused asyncio', 'ConnectionRefusedError', /Connection refused \(kt: nobody listens there\)/],
    ['timeout', /^(TimeoutError|timeout)$/, /timed out/],
    ['unknown name', 'gaierror', /Name or service not known \(kt: ENOTFOUND/],
    ['getaddrinfo family 6', 'gaierror', /no IPv6 address/],
  ])('%s: %s', (check, error, message) => {
    expect(said.get(check)?.error).toMatch(error);
    expect(said.get(check)?.message).toMatch(message);
  });

  test('says nothing, and a repeated connect dials once', () => {
    expect(all.stderr).toBe('');
    expect(all.code).toBe(0);
    expect(world.programs[0]).toMatchObject({
      runtime: 'python',
      version: expect.stringMatching(/^3\.\d+\.\d+$/) as string,
    });
    expect(world.broker.stats.pending).toBe(0);
  });

  test('also in a virtual environment', async () => {
    const made = await runProgram('python3', ['-m', 'venv', '--without-pip', join(folder, 'venv')], world.bare());
    expect(made).toMatchObject({ code: 0 });
    const ran = await python(['urllib by name'], world.environment(), join(folder, 'venv', 'bin', 'python'));
    expect(checks(ran).get('urllib by name')).toHaveProperty('ok', 'orders');
  });

  test("an error in the user's sitecustomize is reported as ever, and the program runs", async () => {
    mkdirSync(join(folder, 'broken'));
    writeFileSync(join(folder, 'broken', 'sitecustomize.py'), 'raise ValueError("mine")\n');
    const ran = await python(
      ['urllib by name'],
      world.environment({ PYTHONPATH: [join(folder, 'broken')].join(delimiter) }),
    );
    expect(checks(ran).get('urllib by name')).toHaveProperty('ok', 'orders');
    expect(ran.stderr).toMatch(/Error in sitecustomize.*\nValueError: mine/);
  });
});

test('without the shim the same program does not reach the cluster', async () => {
  const result = checks(await python(['connect by address', 'getaddrinfo', 'urllib outside'], world.bare()));
  expect(result.get('connect by address')).toHaveProperty('error');
  expect(result.get('getaddrinfo')).toHaveProperty('error');
  expect(result.get('urllib outside')).toHaveProperty('ok', 'outside');
});

test('with kt gone: clear errors at once, one line on stderr, the rest works', async () => {
  const env = { ...world.environment(), KT_BROKER: '127.0.0.1:1' };
  const ran = await python(['refused', 'refused connect_ex', 'unknown name', 'urllib outside'], env);
  const result = checks(ran);
  expect(result.get('refused')).toMatchObject({ error: 'ConnectionRefusedError' });
  expect(result.get('refused')?.message).toContain('kt is not running');
  expect(result.get('refused connect_ex')).toHaveProperty('ok', 'ECONNREFUSED');
  expect(result.get('unknown name')).toMatchObject({ error: 'gaierror' });
  expect(result.get('unknown name')?.message).toContain('kt is not running');
  expect(result.get('urllib outside')).toHaveProperty('ok', 'outside');
  expect(ran.stderr).toMatch(/^kt: kt is not running \(127\.0\.0\.1:1: .*\n$/);
});

describe('uvloop, which connects in C', () => {
  const program = `
import asyncio, sys, uvloop
async def main():
    reader, writer = await asyncio.open_connection("orders", 7000)
    writer.write(b"ping")
    writer.write_eof()
    print((await reader.read()).decode(), type(asyncio.get_running_loop()).__module__)
if sys.argv[1] == "run": uvloop.run(main())
elif sys.argv[1] == "install":
    uvloop.install()
    asyncio.run(main())
elif sys.argv[1] == "policy":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(main())
else: uvloop.new_event_loop().run_until_complete(main())
`;
  let interpreter: string;
  beforeAll(async () => {
    const venv = join(folder, 'uvloop');
    expect(await runProgram('python3', ['-m', 'venv', venv], world.bare())).toMatchObject({ code: 0 });
    interpreter = join(venv, 'bin', 'python');
    // With the machine's settings: they say where packages come from.
    const pip = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', 'uvloop==0.21.0'];
    const installed = await runProgram(interpreter, pip, process.env);
    expect(installed, installed.stderr).toMatchObject({ code: 0 });
  }, 120_000);

  test.each(['run', 'install', 'policy', 'loop'])('%s: asyncio stands in for it', async (way) => {
    const ran = await runProgram(interpreter, ['-c', program, way], world.environment());
    expect([ran.stdout, ran.code], ran.stderr).toEqual(['ping asyncio.unix_events\n', 0]);
  });

  test('without kt it is itself', async () => {
    const ran = await runProgram(interpreter, ['-c', 'import uvloop; print(uvloop.Loop.__module__)'], world.bare());
    expect(ran.stdout).toBe('uvloop\n');
  });
});
