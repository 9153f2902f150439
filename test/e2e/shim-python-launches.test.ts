// Must: the ways in which Python programs are started (interpreter, pools of processes, gunicorn's pre-forked workers, uvicorn with workers
// and reload), and the clients that they have: each reaches a name and an address of the cluster, and without kt neither. What stands on
// libpq is not reached, which docs/run.md says; with the supervisor of `--any`, and by a local port, it is. By the environment that `kt run`
// gives, against a broker with a pretend cluster. Needs python3, PyPI, PostgreSQL and a C compiler, no cluster.
import { appendFileSync, cpSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { runProgram } from '../support/run-program.ts';
import { type ShimWorld, shimWorld } from '../support/shim-world.ts';
import { ANSWERS, said, URLS } from './support/asked.ts';
import { curl, execute } from './support/kt.ts';
import { needs, startPostgres, type TestServer } from './support/servers.ts';
import { startWatched, type Watched } from './support/watched.ts';

const PACKAGES = ['gunicorn==27.0.1', 'uvicorn==0.54.0', 'requests==2.34.2', 'httpx==0.28.1', 'aiohttp==3.14.5'];
const DATABASES = ['pg8000==1.31.6', 'asyncpg==0.32.0', 'sqlalchemy==2.1.9', 'psycopg==3.3.9', 'psycopg-binary==3.3.9'];
const DB = '198.19.12.40';
/** By name and by address. */
const DATABASE = ['db.shop.svc:5432', `${DB}:5432`];
let world: ShimWorld;
let postgres: TestServer;
let folder: string;
let app: string;
let python: string;

beforeAll(async () => {
  await needs({ psql: 'postgresql', cc: 'gcc' });
  postgres = await startPostgres();
  world = await shimWorld({
    names: { db: [DB] },
    ports: { [`${DB}:5432`]: postgres.port },
    zone: { 'db.shop.svc': { A: [DB] } },
  });
  folder = await mkdtemp(join(tmpdir(), 'kt python '));
  // Apart from the packages: uvicorn watches all that is in its folder.
  app = join(folder, 'app');
  cpSync('test/fixtures/python-launches', app, { recursive: true });
  const venv = join(folder, 'venv');
  python = join(venv, 'bin/python');
  const must = async (file: string, args: readonly string[]): Promise<void> => {
    const done = await execute(file, args, { timeoutMs: 240_000 });
    expect(done, done.stderr).toMatchObject({ code: 0 });
  };
  await must('python3', ['-m', 'venv', venv]);
  const pip = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check'];
  await must(python, [...pip, ...PACKAGES, ...DATABASES, 'psycopg2-binary==2.9.13']);
  await must('shims/any/build.sh', [join(folder, 'kt-any')]);
}, 300_000);
afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

const ASK = { ASK: URLS.join(' ') };
const under = (): NodeJS.ProcessEnv => world.environment(ASK);
const bare = (): NodeJS.ProcessEnv => ({ ...world.bare(), ...ASK });
const failed = URLS.map((url) => expect.stringMatching(`^${url} ! `) as string);

test.each<[string, () => string[]]>([
  ['python FILE', () => ['ask.py']],
  ['python -m', () => ['-m', 'ask']],
  ['python -c', () => ['-c', 'import ask; print("\\n".join(ask.lines()))']],
  ['a pool of forked processes', () => ['spawned.py', 'fork']],
  ['a pool of started processes', () => ['spawned.py', 'spawn']],
  ['a pool behind a server of forks', () => ['spawned.py', 'forkserver']],
])('%s', async (_, args) => {
  const within = await runProgram(python, args(), under(), app);
  expect(said(within), within.stderr).toEqual(ANSWERS);
  const without = await runProgram(python, args(), bare(), app);
  expect(said(without), without.stderr).toEqual(failed);
});

describe('servers', () => {
  const start = (args: readonly string[], env: NodeJS.ProcessEnv): Watched => {
    const server = startWatched([python, '-m', ...args], { env, cwd: app });
    onTestFinished(() => server.stop());
    return server;
  };
  const ask = async (url: string): Promise<{ lines: string[]; pid: string | undefined }> => {
    const { stdout } = await curl(url);
    return { lines: said({ code: 0, stdout, stderr: '' }), pid: /^pid (\d+)$/m.exec(stdout)?.[1] };
  };
  const LISTENS = /(?:Listening at: |running on )(http:\/\/127\.0\.0\.1:\d+)/;
  const GUNICORN = ['gunicorn', '-b', '127.0.0.1:0', '-w', '2', 'served:wsgi'];
  const UVICORN = ['uvicorn', '--port', '0', 'served:asgi'];

  test.each<[string, string[]]>([
    ['gunicorn, its workers forked before', GUNICORN],
    ['gunicorn --preload', [...GUNICORN, '--preload']],
    ['gunicorn with threads', [...GUNICORN, '-k', 'gthread', '--threads', '4']],
    ['uvicorn --workers', [...UVICORN, '--workers', '2']],
  ])('%s: each of the two workers', async (_, args) => {
    const url = await start(args, under()).until(LISTENS);
    const pids = new Set<string | undefined>();
    const more = async (): Promise<number> => {
      for (const { lines, pid } of await Promise.all([ask(url), ask(url), ask(url), ask(url)])) {
        if (pid === undefined) continue;
        expect(lines).toEqual(ANSWERS);
        pids.add(pid);
      }
      return pids.size;
    };
    await expect.poll(more, { timeout: 40_000 }).toBe(2);
  });

  test('uvicorn --reload: before and after a file was saved', async () => {
    const url = await start([...UVICORN, '--reload'], under()).until(LISTENS);
    const pids = new Set<string>();
    const one = async (): Promise<number> => {
      const { lines, pid } = await ask(url);
      if (pid !== undefined) {
        expect(lines).toEqual(ANSWERS);
        pids.add(pid);
      }
      return pids.size;
    };
    await expect.poll(one, { timeout: 40_000 }).toBe(1);
    // Again until it is seen: uvicorn takes stock of the files some time after its start.
    const saved = (): Promise<number> => {
      appendFileSync(join(app, 'served.py'), '\n');
      return one();
    };
    await expect.poll(saved, { timeout: 40_000, interval: 1000 }).toBeGreaterThan(1);
  });

  test.each([
    ['gunicorn', GUNICORN],
    ['uvicorn', UVICORN],
  ])('%s without kt', async (_, args) => {
    const url = await start(args, bare()).until(LISTENS);
    await expect.poll(async () => (await ask(url)).lines, { timeout: 40_000 }).toEqual(failed);
  });
});

describe('clients', () => {
  const client = (name: string, to: readonly string[], env: NodeJS.ProcessEnv, before: string[] = []) => {
    const [file = '', ...args] = [...before, python, 'clients.py', name, ...to];
    return runProgram(file, args, env, app);
  };
  const all = (name: string, to: readonly string[], answer: string): string =>
    to.map((one) => `${name} ${one} ${answer}\n`).join('');

  test.each([
    ['requests', URLS, 'orders'],
    ['httpx', URLS, 'orders'],
    ['httpx async', URLS, 'orders'],
    ['aiohttp', URLS, 'orders'],
    ['pg8000', DATABASE, '42'],
    ['asyncpg', DATABASE, '42'],
    ['sqlalchemy', DATABASE, '42'],
  ])('%s', async (name, to, answer) => {
    const within = await client(name, to, under());
    expect(within.stdout, within.stderr).toBe(all(name, to, `= ${answer}`));
    const without = await client(name, to, bare());
    expect(without.stdout, without.stderr).toMatch(new RegExp(`^(${name} \\S+ ! \\w+\\n){${to.length}}$`));
  });

  describe.each([
    ['psycopg', {}],
    ['psycopg', { PSYCOPG_IMPL: 'python' }],
    ['psycopg async', {}],
    ['psycopg2', {}],
  ])('%s %j, on libpq', (name, implementation) => {
    test('is not reached by the shim: an error, at once or by its own time limit', async () => {
      const outcome = await client(name, DATABASE, { ...under(), ...implementation });
      expect(outcome.stdout, outcome.stderr).toMatch(new RegExp(`^(${name} \\S+ ! \\w+\\n){2}$`));
    });

    test('with --any it is', async () => {
      const env = { ...under(), ...implementation, KT_ANY_DNS: world.environment()['KT_DNS'] };
      const outcome = await client(name, DATABASE, env, [join(folder, 'kt-any')]);
      expect(outcome.stdout, outcome.stderr).toBe(all(name, DATABASE, '= 42'));
    });

    test('by a local port, as `kt forward` gives it, it is', async () => {
      const local = [`127.0.0.1:${postgres.port}`];
      const outcome = await client(name, local, { ...under(), ...implementation });
      expect(outcome.stdout, outcome.stderr).toBe(all(name, local, '= 42'));
    });
  });
});

test('public names never reach kt', async () => {
  const asked: string[] = [];
  const isClusterName = world.router.isClusterName.bind(world.router);
  world.router.isClusterName = (name) => {
    asked.push(name);
    return isClusterName(name);
  };
  onTestFinished(() => {
    world.router.isClusterName = isClusterName;
  });
  const code = `import asyncio, socket
def look(name):
    try: return sorted({one[4][0] for one in socket.getaddrinfo(name, 80)})
    except OSError as error: return error.errno
async def again(name):
    try: return len(await asyncio.get_running_loop().getaddrinfo(name, 80)) > 0
    except OSError as error: return error.errno
for name in ('www.kt.invalid', 'a.b.invalid', 'localhost', '127.0.0.1', '::1', socket.gethostname()):
    print(name, look(name), asyncio.run(again(name)))`;
  const within = await runProgram(python, ['-c', code], under());
  const without = await runProgram(python, ['-c', code], bare());
  expect(within.stdout, within.stderr).toBe(without.stdout);
  expect(within.stdout.split('\n')).toHaveLength(7);
  expect(asked).toEqual([]);
});
