// Must: Ctrl-C works at every moment, also while the API server takes a question and never answers it: while nothing was changed yet, kt ends at once.
// The built kt against a server that hangs.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { kubeconfig } from '../cluster/support/kubeconfig-files.ts';
import { PlaygroundKt } from '../support/playground-kt.ts';

/** Milliseconds: far below those that kt itself waits for an answer (10 s for rights, 30 s for others), far above what it needs to end. */
const AT_ONCE_MS = 5_000;
/** Reviews and the version are answered: what comes behind them hangs. */
const RIGHTS = /selfsubjectaccessreviews|^\/version/;

const folder = mkdtempSync(join(tmpdir(), 'kt-hang-'));
const server = createServer();
let kt: PlaygroundKt;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const config = join(folder, 'config');
  const { port } = server.address() as AddressInfo;
  writeFileSync(config, kubeconfig({ cluster: `server: "http://127.0.0.1:${port}"`, user: '' }));
  kt = new PlaygroundKt({ kubeconfig: config });
});
afterEach(async () => {
  server.removeAllListeners('request');
  await kt.stopAll();
});
afterAll(async () => {
  await kt.close();
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

/** Resolves when something was asked that is not answered. */
function hang(answers: RegExp | undefined): Promise<void> {
  return new Promise((resolve) => {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      if (!answers?.test(request.url ?? '')) return resolve();
      request.resume().on('end', () => response.end('{"major":"1","minor":"34","status":{"allowed":true}}'));
    });
  });
}

const COMMANDS: readonly { readonly line: string; readonly answered?: RegExp }[] = [
  { line: 'connect --proxyPort 0 --dnsPort 0' },
  { line: 'connect --plan' },
  { line: 'run -- true' },
  { line: 'run --exchange orders:8080 -- true' },
  { line: 'run --env-from deploy/orders -- true' },
  { line: 'forward orders 0:80' },
  { line: 'forward orders 0:80', answered: RIGHTS },
  { line: 'exchange orders --skipPortChecking' },
  { line: 'exchange orders --skipPortChecking', answered: RIGHTS },
  { line: 'mesh orders --plan --skipPortChecking', answered: RIGHTS },
  { line: 'preview new --expose 8080 --skipPortChecking', answered: RIGHTS },
  { line: 'birdseye' },
  { line: 'doctor' },
  { line: 'doctor --rbac' },
];

test.each(COMMANDS)(
  'kt $line (answered before: $answered)',
  async ({ line, answered }) => {
    const hangs = hang(answered);
    const running = kt.start(line.split(' '));
    await Promise.race([hangs, running.exited]);
    running.child.kill('SIGINT');
    await expect.poll(() => running.child.exitCode, { timeout: AT_ONCE_MS }).toBe(130);
    expect(running.stderr).toContain('CANCELLED');
  },
  30_000,
);
