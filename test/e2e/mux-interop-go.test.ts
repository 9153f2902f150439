// Our muxer and hashicorp/yamux itself, which wrote the spec, over a loopback connection. Needs Go, no cluster: the peer is built here.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { type InteropPeer, muxInteropSuite } from '../compliance/mux-interop.ts';

/** Where Go's own archive is unpacked to (go.dev/doc/install), for a PATH that does not say so. */
const GO_BIN = '/usr/local/go/bin';
const SOURCES = 'test/fixtures/go-yamux';

const folder = await mkdtemp(join(tmpdir(), 'kt-go-yamux-'));
const program = join(folder, 'go-yamux');

beforeAll(async () => {
  const env = { ...process.env, PATH: [process.env['PATH'], GO_BIN].join(delimiter), CGO_ENABLED: '0' };
  const build = spawn('go', ['build', '-trimpath', '-o', program, '.'], { cwd: SOURCES, env, stdio: 'inherit' });
  const [code] = (await once(build, 'exit')) as [number | null];
  expect(code).toBe(0);
});
afterAll(() => rm(folder, { recursive: true }));

muxInteropSuite('hashicorp/yamux (Go)', async (role): Promise<InteropPeer> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const child = spawn(program, ['-role', role, '-connect', `127.0.0.1:${port}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += String(chunk)));
  const exited = once(child, 'close') as Promise<[number | null]>;
  const tooEarly = exited.then(([code]) => Promise.reject(new Error(`go-yamux ended with ${code}: ${stderr}`)));
  const [transport] = (await Promise.race([once(server, 'connection'), tooEarly])) as [Socket];
  tooEarly.catch(() => undefined);
  server.close();
  transport.setNoDelay(true);
  return {
    transport,
    keepsStreamsAtGoAway: true,
    complaints: async () => {
      const [code] = await exited;
      const lines = stderr.split('\n').filter((line) => line.includes('[ERR]') || line.includes('panic'));
      return code === 0 ? lines : [...lines, `exit code ${code}`];
    },
  };
});
