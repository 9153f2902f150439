// Real company proxies on free loopback ports, each with a configuration of its own: tinyproxy and squid from the distribution. Used by
// corporate-network.test.ts.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Milliseconds until it listens. */
const START_MS = 15_000;

export interface CompanyProxy {
  /** http://127.0.0.1:PORT, with name and password where there are any. */
  readonly url: string;
  close(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function start(
  command: string,
  argsOf: (file: string) => string[],
  lines: readonly string[],
  port: number,
): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'kt-proxy-'));
  const file = join(folder, 'conf');
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o644 });
  const child: ChildProcess = spawn(command, argsOf(file), { stdio: 'ignore' });
  const end = Date.now() + START_MS;
  while (!(await listens(port))) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`${command} does not listen on ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    rmSync(folder, { recursive: true, force: true });
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export async function tinyproxy({ idleSeconds = 600, user = '' } = {}): Promise<CompanyProxy> {
  const port = await freePort();
  const [name, password] = user.split(':');
  const lines = [
    `Port ${port}`,
    'Listen 127.0.0.1',
    `Timeout ${idleSeconds}`,
    'MaxClients 100',
    'Allow 127.0.0.1',
    'ConnectPort 6443',
    'LogLevel Error',
    ...(user === '' ? [] : [`BasicAuth ${name ?? ''} ${password ?? ''}`]),
  ];
  const close = await start('tinyproxy', (file) => ['-d', '-c', file], lines, port);
  return { url: `http://${user === '' ? '' : `${user}@`}127.0.0.1:${port}`, close };
}

/** Connects to port 6443 and to nothing else. `ntlm`: only for who logs in by NTLM, as Windows domains have it. */
export async function squid({ ntlm = false } = {}): Promise<CompanyProxy> {
  const port = await freePort();
  const lines = [
    `http_port 127.0.0.1:${port}`,
    ...(ntlm
      ? [
          'auth_param ntlm program /usr/lib/squid/ntlm_fake_auth',
          'acl known proxy_auth REQUIRED',
          'http_access deny !known',
        ]
      : []),
    'acl api port 6443',
    'http_access deny CONNECT !api',
    'http_access allow localhost',
    'http_access deny all',
    'cache deny all',
    'access_log none',
    'cache_log /dev/null',
    'pid_filename none',
    'coredump_dir /tmp',
    'shutdown_lifetime 1 seconds',
  ];
  const close = await start('squid', (file) => ['-N', '-f', file], lines, port);
  return { url: `http://127.0.0.1:${port}`, close };
}
