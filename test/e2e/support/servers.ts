// Real servers on loopback ports for tests of clients: Redis (also as a cluster of one node), PostgreSQL, MariaDB, RabbitMQ, Kafka. Each
// in a folder of its own, gone with stop(). What Debian has and this machine lacks is installed first. Not pretend ones (pretend.ts).
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { execute } from './kt.ts';

export interface TestServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** A user without rights whom every system has; PostgreSQL does not start as root. */
const NOBODY = 65_534;
/** Milliseconds for a server to answer: Kafka on two busy cores needs most of it. */
const START_MS = 60_000;

/** Installs Debian's packages whose programs are not there. */
export async function needs(programs: Readonly<Record<string, string>>): Promise<void> {
  const missing = Object.entries(programs).filter(([program]) => !onPath(program));
  if (missing.length === 0) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const names = missing.map(([, name]) => name);
  for (const args of [
    ['update', '-qq'],
    ['install', '-y', '-qq', '--no-install-recommends', ...names],
  ]) {
    const done = await execute('apt-get', args, { env, timeoutMs: 300_000 });
    if (done.code !== 0) throw new Error(`apt-get ${args.join(' ')}: ${done.stderr}`);
  }
}

function onPath(program: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'];
  return folders.some((folder) => {
    try {
      return readdirSync(folder).includes(program);
    } catch {
      return false;
    }
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function workFolder(name: string, owner?: number): string {
  const folder = mkdtempSync(join(tmpdir(), `kt-${name}-`));
  chmodSync(folder, 0o755);
  if (owner !== undefined) chownSync(folder, owner, owner);
  return folder;
}

interface Start {
  readonly folder: string;
  readonly port: number;
  readonly command: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number;
  readonly stopped?: () => void;
}

/** Starts the program and waits until its port answers. */
async function start({ folder, port, command, env = {}, uid, stopped }: Start): Promise<TestServer> {
  const [file = '', ...args] = command;
  const child = spawn(file, args, {
    cwd: folder,
    env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin`, HOME: folder, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  let said = '';
  child.stderr.on('data', (piece: Buffer) => {
    said = (said + String(piece)).slice(-4000);
  });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async (): Promise<void> => {
    killGroup(child);
    await gone;
    stopped?.();
    rmSync(folder, { recursive: true, force: true });
  };
  const limit = Date.now() + START_MS;
  while (!(await answers(port))) {
    if (child.exitCode !== null || Date.now() > limit) {
      await stop();
      throw new Error(`${file} did not start: ${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { port, stop };
}

function killGroup(child: ChildProcess): void {
  try {
    process.kill(-(child.pid ?? 0), 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** `announce`: as a cluster of one node that says it is at this address. */
export async function startRedis(announce?: string): Promise<TestServer> {
  const [folder, port] = [workFolder('redis'), await freePort()];
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder];
  const cluster = ['--cluster-enabled', 'yes', '--cluster-port', String(await freePort()), '--cluster-announce-ip'];
  const more = announce === undefined ? [] : [...cluster, announce, '--cluster-announce-port', '6379'];
  const server = await start({ folder, port, command: ['redis-server', ...options, ...more] });
  if (announce !== undefined) {
    const slots = ['-p', String(port), 'cluster', 'addslotsrange', '0', '16383'];
    execFileSync('redis-cli', slots);
  }
  return server;
}

export async function startPostgres(): Promise<TestServer> {
  const [folder, port] = [workFolder('postgres', NOBODY), await freePort()];
  const data = join(folder, 'data');
  const bin = execFileSync('sh', ['-c', 'ls -d /usr/lib/postgresql/*/bin | tail -1'], { encoding: 'utf8' }).trim();
  const init = ['-D', data, '-U', 'kt', '--auth', 'trust', '--no-sync'];
  execFileSync(join(bin, 'initdb'), init, { uid: NOBODY, gid: NOBODY, cwd: folder, env: { HOME: folder } });
  const command = [join(bin, 'postgres'), '-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder, '-F'];
  return start({ folder, port, command, uid: NOBODY });
}

/** With a database `kt`. It has no tables of users, so it takes every name and password. */
export async function startMariadb(): Promise<TestServer> {
  const [folder, port] = [workFolder('mariadb'), await freePort()];
  const data = join(folder, 'data');
  mkdirSync(join(data, 'kt'), { recursive: true });
  const own = ['--no-defaults', `--datadir=${data}`, '--user=root', '--skip-grant-tables', '--skip-name-resolve'];
  // Without grant tables it listens on no port unless it is told to.
  const where = [
    `--port=${port}`,
    '--skip-networking=0',
    '--bind-address=127.0.0.1',
    `--socket=${join(folder, 'sock')}`,
  ];
  return start({ folder, port, command: ['mariadbd', ...own, ...where] });
}

export async function startRabbit(): Promise<TestServer> {
  const [folder, port, dist, epmd] = [workFolder('rabbit'), await freePort(), await freePort(), await freePort()];
  const env = {
    ERL_EPMD_PORT: String(epmd),
    RABBITMQ_NODENAME: `kt${port}@localhost`,
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_DIST_PORT: String(dist),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    RABBITMQ_CONFIG_FILE: join(folder, 'none'),
    LANG: 'C.UTF-8',
  };
  mkdirSync(join(folder, 'log'));
  // The port mapper of Erlang is a process of its own, which would stay.
  const stopped = (): void =>
    void spawn('epmd', ['-kill'], { env: { PATH: process.env['PATH'], ERL_EPMD_PORT: String(epmd) }, stdio: 'ignore' });
  return start({ folder, port, command: ['/usr/lib/rabbitmq/bin/rabbitmq-server'], env, stopped });
}

/** `libraries`: the server's jars. It says that it is at `advertised`. */
export async function startKafka(java: string, libraries: string, advertised: string): Promise<TestServer> {
  const [folder, port, controller] = [workFolder('kafka'), await freePort(), await freePort()];
  const config = join(folder, 'server.properties');
  writeFileSync(
    config,
    [
      'process.roles=broker,controller',
      'node.id=1',
      `controller.quorum.voters=1@127.0.0.1:${controller}`,
      `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
      `advertised.listeners=PLAINTEXT://${advertised}`,
      'controller.listener.names=CONTROLLER',
      'offsets.topic.replication.factor=1',
      'offsets.topic.num.partitions=1',
      'group.initial.rebalance.delay.ms=0',
      `log.dirs=${join(folder, 'logs')}`,
    ].join('\n'),
  );
  const run = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp', `${libraries}/*`];
  const format = [...run, 'kafka.tools.StorageTool', 'format', '-t', 'MkU3OEVBNTcwNTJENDM2Qg', '-c', config];
  execFileSync(java, format, { stdio: 'ignore', env: { PATH: process.env['PATH'] } });
  return start({ folder, port, command: [java, ...run, 'kafka.Kafka', config] });
}

/** The jars of a Maven project's dependencies, in a folder of their own. */
export async function libraries(project: string): Promise<string> {
  const folder = workFolder('maven');
  cpSync(join(project, 'pom.xml'), join(folder, 'pom.xml'));
  const done = await execute(
    'mvn',
    ['-q', '-B', '-f', folder, 'dependency:copy-dependencies', `-DoutputDirectory=${join(folder, 'libs')}`],
    {
      timeoutMs: 300_000,
    },
  );
  if (done.code !== 0) throw new Error(`mvn: ${done.stdout}${done.stderr}`);
  return join(folder, 'libs');
}
