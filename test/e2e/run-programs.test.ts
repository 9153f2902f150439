// Must: `kt run` on a Node and on a Python program, by name and by address; the same without kt fails. What passes through: exit code,
// signals, stdin, terminal. Names outside of the cluster are as without kt, also with a dead company proxy.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { execute, Laptop, UID } from './support/kt.ts';
import { addresses, checksOf, DEAD_PROXY, fixture, ktRun, runAs } from './support/programs.ts';

const laptop = new Laptop();
let env: Record<string, string>;
let server: Server;
let local = '';

beforeAll(async () => {
  env = await addresses();
  server = createServer((_, response) => response.end('from the laptop'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  local = String((server.address() as AddressInfo).port);
});
afterAll(async () => {
  server.close();
  await laptop.close();
});

const NODE = {
  fetch: 'gateway',
  'fetch by name.namespace': 'orders',
  'fetch by full name': 'stock',
  'fetch 20 at once': '20',
  http: 'gateway',
  ioredis: 'stored',
  'grpc-js': 'hello',
  http2: 'hello, grpc-status 0',
  'connection refused': 'ECONNREFUSED',
  'unknown name': 'ENOTFOUND',
  'fetch by address': 'gateway',
  'http by address': 'orders',
  'ioredis by address': 'stored',
  'grpc-js by address': 'hello',
};
const PYTHON = {
  urllib: 'gateway',
  'urllib by name.namespace': 'orders',
  'urllib by full name': 'stock',
  asyncio: 'gateway',
  'asyncio 20 at once': '20',
  redis: '+PONG',
  'connection refused': 'ECONNREFUSED',
  'unknown name': 'gaierror',
  'urllib by address': 'gateway',
  'asyncio by address': 'orders',
  'redis by address': '+PONG',
};

describe.each([
  { name: 'Node', folder: 'node-client', answers: NODE, command: () => [laptop.node, 'check.mjs'] },
  { name: 'Python', folder: 'python-client', answers: PYTHON, command: () => ['python3', 'check.py'] },
])('$name', ({ name, folder, answers, command }) => {
  let cwd: string;
  beforeAll(async () => {
    cwd = await fixture(laptop, folder);
    if (name !== 'Node') return;
    // As whoever runs the tests: the registry's settings are in that user's home.
    const install = await execute('npm', ['ci', '--prefix', cwd, '--no-audit', '--no-fund', '--ignore-scripts'], {
      timeoutMs: 80_000,
    });
    expect(install.code, install.stderr).toBe(0);
    await execute('chown', ['-R', `${UID}:${UID}`, cwd]);
  }, 90_000);

  /** These say how a failure looks, and hold without a cluster too. */
  const always = ['unknown name'];

  test('without kt nothing answers', { timeout: 120_000 }, async () => {
    const outcome = await runAs(laptop, command(), { cwd, env: { ...env } });
    expect(outcome.code).toBe(1);
    for (const [check, came] of Object.entries(checksOf(outcome))) {
      if (!always.includes(check)) expect(`${check}: ${came}`).toContain(': ! ');
    }
  });

  test('kt run: everything answers, by name and by address', { timeout: 60_000 }, async () => {
    const outcome = await runAs(laptop, ktRun(laptop, ...command()), { cwd, env: { ...env } });
    expect(checksOf(outcome), outcome.stderr).toEqual(answers);
    expect(outcome.code).toBe(0);
  });

  test('the same with a dead company proxy in the environment', { timeout: 60_000 }, async () => {
    const outcome = await runAs(laptop, ktRun(laptop, ...command()), { cwd, env: { ...env, ...DEAD_PROXY } });
    expect(checksOf(outcome), outcome.stderr).toEqual(answers);
    expect(outcome.code).toBe(0);
  });
});

describe('what is outside of the cluster is as without kt', () => {
  const script = `
    const { lookup } = require('node:dns/promises');
    const http = require('node:http');
    const tell = async (name, work) => console.log(name, await work().catch((error) => error.code));
    const get = (url) => new Promise((resolve, reject) => http.get(url, (answer) => {
      let text = ''; answer.on('data', (piece) => (text += piece)); answer.on('end', () => resolve(text));
    }).on('error', reject));
    (async () => {
      for (const host of ['localhost', '${hostname()}', 'nope.invalid'])
        await tell(host, async () => JSON.stringify(await lookup(host, { all: true })));
      for (const host of ['localhost', '127.0.0.1']) await tell(host, () => get('http://' + host + ':PORT/'));
      await tell('refused', () => get('http://127.0.0.1:9/'));
    })();`;

  test.each(['', 'with a dead company proxy'])('names, connects, refusals %s', { timeout: 60_000 }, async (proxy) => {
    const command = [laptop.node, '-e', script.replaceAll('PORT', local)];
    const without = await runAs(laptop, command);
    const within = await runAs(laptop, ktRun(laptop, ...command), { env: proxy ? DEAD_PROXY : {} });
    expect(without.stdout).toContain('localhost from the laptop');
    expect(within.stdout, within.stderr).toBe(without.stdout);
  });
});

describe('the program is as without kt', () => {
  const sh = (script: string): string[] => ktRun(laptop, 'sh', '-c', script);

  test.each([
    ['exit 0', 0],
    ['exit 7', 7],
    ['kill -9 $$', 137],
    ['kill -TERM $$', 143],
  ])('%s: exit code %i', { timeout: 60_000 }, async (script, code) => {
    expect(await runAs(laptop, sh(script))).toMatchObject({ code, stdout: '' });
  });

  test('a program that is not there: 127, and the reason', { timeout: 60_000 }, async () => {
    const outcome = await runAs(laptop, ktRun(laptop, 'no-such-program'));
    expect([outcome.code, outcome.stderr]).toEqual([
      127,
      expect.stringContaining("there is no program 'no-such-program'"),
    ]);
  });

  test('stdin, and its end', { timeout: 60_000 }, async () => {
    const input = 'a line\n'.repeat(50_000);
    const outcome = await runAs(laptop, sh('cat; echo over'), { input });
    expect(outcome.stdout === `${input}over\n`).toBe(true);
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const)(
    '%s is passed on',
    { timeout: 60_000 },
    async (name) => {
      const script = `trap 'echo got it; exit 9' ${name.slice(3)}; echo ready; while :; do sleep 0.1; done`;
      const outcome = await runAs(laptop, sh(script), {
        onOutput: (stdout, child) => {
          if (stdout === 'ready\n') child.kill(name);
        },
      });
      expect(outcome).toMatchObject({ code: 9, stdout: 'ready\ngot it\n' });
    },
  );

  test('a terminal: the program has it, and Ctrl-C reaches it once', { timeout: 60_000 }, async () => {
    const program = `test -t 0 && test -t 1 && echo terminal; stty size; n=0; trap 'n=$((n+1)); echo interrupted $n' INT; echo ready; read line; echo "line $line"; exit 5`;
    const quoted = ktRun(laptop, 'sh', '-c', program).map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
    let step = 0;
    const outcome = await runAs(
      laptop,
      ['script', '-qefc', `stty rows 33 cols 99; exec ${quoted.join(' ')}`, '/dev/null'],
      {
        onOutput: (stdout, child) => {
          if (step === 0 && stdout.includes('ready')) {
            step = 1;
            child.stdin?.write('\x03');
          } else if (step === 1 && stdout.includes('interrupted 1')) {
            step = 2;
            child.stdin?.write('typed\r');
          }
        },
      },
    );
    expect(outcome.stdout).toMatch(/terminal\s+33 99\s+ready/);
    expect(outcome.stdout).toContain('interrupted 1');
    expect(outcome.stdout).not.toContain('interrupted 2');
    expect(outcome.code).toBe(5);
  });
});
