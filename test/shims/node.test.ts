// The Node shim in a real Node program, against a real broker with a pretend cluster behind it (virtual addresses, loopback servers).
// The same program without the shim must fail where it matters, which proves that these tests can fail.
import { connect, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runProgram } from '../support/run-program.ts';
import { ORDERS, ORDERS_6, REFUSED, type ShimWorld, shimWorld } from '../support/shim-world.ts';

interface Check {
  readonly check: string;
  readonly ok?: unknown;
  readonly error?: string;
  readonly message?: string;
}

interface Ran {
  readonly checks: Map<string, Check>;
  readonly stderr: string;
  readonly code: number | null;
}

let world: ShimWorld;
let all: Ran;

beforeAll(async () => {
  world = await shimWorld();
  all = await run([], world.environment());
});
afterAll(() => world.stop());

async function run(checks: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  const { stdout, stderr, code } = await runProgram(process.execPath, ['test/support/node-checks.mjs', ...checks], env);
  const lines = stdout.split('\n').filter(Boolean);
  return {
    checks: new Map(lines.map((line) => JSON.parse(line) as Check).map((line) => [line.check, line])),
    stderr,
    code,
  };
}

describe('a program under the shim', () => {
  test.each<[string, unknown]>([
    ['dns.lookup', { address: ORDERS, family: 4 }],
    ['dns.lookup all', [{ address: ORDERS, family: 4 }]],
    ['dns.lookup by callback', [ORDERS, 4]],
    ['dns.lookup imported by name', ORDERS],
    ['dns.promises.lookup', { address: ORDERS, family: 4 }],
    ['dns.resolve4', [ORDERS]],
    ['dns.resolve by type', [ORDERS]],
    ['dns.promises.resolve4 ttl', [{ address: ORDERS, ttl: 5 }]],
    ['new Resolver().resolve4', [ORDERS]],
    ['dns.resolveSrv', ['orders-0.orders.shop.svc:5432']],
    ['dns.reverse', ['orders-0.orders.shop.svc']],
    ['dns.reverse by callback', ['orders-0.orders.shop.svc']],
    ['dns.Resolver reverse', ['orders-0.orders.shop.svc']],
    ['dns.resolve6 ttl', [{ address: ORDERS_6, ttl: 5 }]],
    ['dns.resolveSrv by callback', ['orders-0.orders.shop.svc:5432']],
    ['dns.promises.resolveSrv', ['orders-0.orders.shop.svc:5432']],
    ['dns.Resolver resolveSrv', ['orders-0.orders.shop.svc:5432']],
    ['dns.promises.Resolver resolve SRV', ['orders-0.orders.shop.svc:5432']],
    ['dns.Resolver resolve4', [ORDERS]],
    ['dns.resolveTxt', [['version=1']]],
    ['dns.promises.resolve TXT', [['version=1']]],
    ['dns.resolveCname', ['orders.shop.svc']],
    ['localhost is untouched', '127.0.0.1'],
    ['net.connect by name', `ping ${ORDERS}:7000`],
    ['net.connect by address', `ping ${ORDERS}:7000`],
    ['net.connect mapped address', `ping ${ORDERS}:7000`],
    ['net.connect without happy eyeballs', `ping ${ORDERS}:7000`],
    ['net.connect with own lookup', `ping ${ORDERS}:7000`],
    ['net.connect by a name that leads out of the networks', 'orders'],
    ['a socket used twice', 'twice'],
    ['http.get', 'orders'],
    ['http.get with an agent', ['orders', 'orders']],
    ['http2.connect', 'connected'],
    ['fetch by name', 'orders'],
    ['fetch by pod address', 'orders'],
    ['fetch 20 at once', 20],
    ['fetch outside of the cluster', 'outside'],
    ['worker thread', 'orders'],
    ['child process', 'orders'],
    ['destroyed while dialling', 'closed, failed: false'],
    ['timeout while dialling', 'closed'],
  ])('%s', (check, expected) => {
    expect(all.checks.get(check)).toEqual({ check, ok: expected });
  });

  test.each([
    ['refused address', 'ECONNREFUSED', `connect ECONNREFUSED ${REFUSED}:80`],
    ['refused name, happy eyeballs', 'ECONNREFUSED', `connect ECONNREFUSED ${REFUSED}:80`],
    ['fetch refused', 'ECONNREFUSED', `connect ECONNREFUSED ${REFUSED}:80`],
    [
      'unknown name',
      'ENOTFOUND',
      'getaddrinfo ENOTFOUND nope.shop.svc (kt: ENOTFOUND no such name in the cluster: nope.shop.svc)',
    ],
    ['dns.lookup family 6', 'ENOTFOUND', 'getaddrinfo ENOTFOUND orders'],
    ['dns.promises.resolve6', 'ENODATA', 'queryAaaa ENODATA orders'],
    // That they are not there is the cluster's word: the system's servers would not know the name at all.
    ['dns.resolvePtr, not there', 'ENODATA', 'queryPtr ENODATA orders.shop.svc'],
    ['dns.resolveAny, not there', 'ENODATA', 'queryAny ENODATA orders.shop.svc'],
    ['dns.resolve ANY, not there', 'ENODATA', 'queryAny ENODATA orders.shop.svc'],
    ['dns.resolveMx, not there', 'ENODATA', 'queryMx ENODATA orders.shop.svc'],
    ['dns.Resolver resolve NS, not there', 'ENODATA', 'queryNs ENODATA orders.shop.svc'],
    ['SRV of an unknown name', 'ENOTFOUND', 'querySrv ENOTFOUND _db._tcp.nope.shop.svc'],
    ['a Resolver with servers of its own', 'ECONNREFUSED', 'querySrv ECONNREFUSED _db._tcp.orders.shop.svc'],
    ['a wrong argument throws as ever', 'ERR_INVALID_ARG_TYPE', expect.stringContaining('hostname')],
  ])('%s: %s', (check, error, message) => {
    expect(all.checks.get(check)).toEqual({ check, error, message });
  });

  test('aborted while dialling', () => {
    expect(all.checks.get('aborted while dialling')?.message).toMatch(/timeout/);
  });

  test('says nothing, ends with 0, and introduced itself, its worker and its child', () => {
    expect(all.stderr).toBe('');
    expect(all.code).toBe(0);
    expect(world.programs.map(({ runtime }) => runtime)).toEqual(['node', 'node', 'node']);
    expect(new Set(world.programs.map(({ pid }) => pid)).size).toBe(2);
  });

  test('an unreferenced socket does not keep the program', async () => {
    const ran = await run(['an unreferenced socket does not keep the program'], world.environment());
    expect(ran.code).toBe(0);
    expect(world.broker.stats.pending).toBe(0);
  });

  test('without the shim the same program does not reach the cluster', async () => {
    const ran = await run(['http.get', 'dns.resolve4', 'fetch outside of the cluster'], world.bare());
    expect(ran.checks.get('http.get')).toHaveProperty('error');
    expect(ran.checks.get('dns.resolve4')).toHaveProperty('error');
    expect(ran.checks.get('fetch outside of the cluster')).toHaveProperty('ok', 'outside');
  });
});

describe('names that are no candidates', () => {
  test('never reach the broker', async () => {
    const before = world.dialer.resolved.length;
    const asked: string[] = [];
    const isClusterName = world.router.isClusterName.bind(world.router);
    world.router.isClusterName = (name) => {
      asked.push(name);
      return isClusterName(name);
    };
    const code = `const { lookup } = require('node:dns');
      for (const name of ['a.b.invalid', '127.0.0.1', '::1', 'localhost', 'x.localhost', require('node:os').hostname(), 'ä b'])
        lookup(name, () => {});`;
    expect(await runProgram(process.execPath, ['-e', code], world.environment())).toMatchObject({
      code: 0,
      stderr: '',
    });
    expect(asked).toEqual([]);
    expect(world.dialer.resolved.length).toBe(before);
  });
});

describe('with kt gone', () => {
  test('errors are clear and immediate, one line on stderr, the rest works', async () => {
    const env = { ...world.environment(), KT_BROKER: '127.0.0.1:1' };
    const ran = await run(
      ['refused address', 'unknown name', 'localhost is untouched', 'fetch outside of the cluster'],
      env,
    );
    expect(ran.checks.get('refused address')).toMatchObject({ error: 'ECONNREFUSED' });
    expect(ran.checks.get('unknown name')).toMatchObject({
      error: 'ENOTFOUND',
      message: expect.stringContaining('is not running') as string,
    });
    expect(ran.checks.get('fetch outside of the cluster')).toHaveProperty('ok', 'outside');
    expect(ran.stderr).toBe(
      'kt: kt is not running (127.0.0.1:1: ECONNREFUSED); cluster names and addresses cannot be reached\n',
    );
  });

  test('a broker that closes without an answer is the same', async () => {
    const rude = createServer((socket) => socket.on('error', () => undefined).destroy());
    await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
    const { port } = rude.address() as { port: number };
    const ran = await run(['refused address'], { ...world.environment(), KT_BROKER: `127.0.0.1:${port}` });
    expect(ran.checks.get('refused address')).toMatchObject({ error: 'ECONNREFUSED' });
    expect(ran.stderr).toContain('is not running');
    rude.close();
  });

  test('a broker that hangs up once is asked once more, and nothing is said', async () => {
    const port = Number(String(world.environment()['KT_BROKER']).split(':')[1]);
    let count = 0;
    const moody = createServer((socket) => {
      socket.on('error', () => undefined);
      count += 1;
      if (count % 2 === 1) socket.destroy();
      else {
        const broker = connect(port, '127.0.0.1').on('error', () => undefined);
        socket.pipe(broker).pipe(socket);
      }
    });
    await new Promise<void>((resolve) => moody.listen(0, '127.0.0.1', resolve));
    const address = moody.address() as { port: number };
    const env = { ...world.environment(), KT_BROKER: `127.0.0.1:${address.port}`, KT_SESSION_FILE: '' };
    const ran = await run(['dns.lookup', 'net.connect by name'], env);
    expect(ran.checks.get('dns.lookup')).toHaveProperty('ok', { address: ORDERS, family: 4 });
    expect(ran.checks.get('net.connect by name')).toHaveProperty('ok', `ping ${ORDERS}:7000`);
    expect(ran.stderr).toBe('');
    expect(count).toBeGreaterThanOrEqual(4);
    moody.close();
  });

  test('a wrong token is another kt: the own one is gone, and the reason is said', async () => {
    const ran = await run(['refused address'], { ...world.environment(), KT_TOKEN: 'wrong', KT_SESSION_FILE: '' });
    expect(ran.checks.get('refused address')).toMatchObject({ error: 'ECONNREFUSED' });
    expect(ran.stderr).toContain('ERR EACCES wrong token');
  });
});
