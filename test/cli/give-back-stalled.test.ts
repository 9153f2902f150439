// Must: Ctrl-C while a Service is held and the line to the cluster stands still: kt says what it waits for, and one more Ctrl-C ends it.
// The built kt on a playground behind a line that can be stopped.
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Playground, startPlayground } from '../../src/playground/start.ts';
import { PlaygroundKt } from '../support/playground-kt.ts';

const folder = mkdtempSync(join(tmpdir(), 'kt-line-'));
const sockets = new Set<Socket>();
let playground: Playground;
let line: Server;
let kt: PlaygroundKt;

beforeAll(async () => {
  playground = await startPlayground();
  line = createServer((near) => {
    const far = connect(Number(new URL(playground.server).port), '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy()).pipe(other);
    }
  });
  line.listen(0, '127.0.0.1');
  await once(line, 'listening');
  const server = `https://127.0.0.1:${(line.address() as AddressInfo).port}`;
  const config = join(folder, 'config');
  writeFileSync(config, readFileSync(playground.kubeconfig, 'utf8').replaceAll(playground.server, server));
  kt = new PlaygroundKt({ kubeconfig: config });
});
afterAll(async () => {
  await kt.close();
  for (const socket of sockets) socket.destroy();
  line.close();
  await playground.close();
  rmSync(folder, { recursive: true });
});

/** Nothing passes any more, and nothing is refused. */
function stop(): void {
  line.removeAllListeners('connection').on('connection', (near: Socket) => sockets.add(near));
  for (const socket of sockets) socket.unpipe().pause();
}

test('the wait is explained, and a second Ctrl-C ends it', async () => {
  const running = await kt.hold(['exchange', 'orders', '--skipPortChecking']);
  stop();
  running.child.kill('SIGINT');
  const { text } = await running.event('step', ({ id, state }) => id === 'orders' && state === 'waiting');
  expect(text).toBe(
    'orders is being given back, which takes long; one more Ctrl-C goes without waiting: its original pods answer, and `kt recover orders` gives it back',
  );
  running.child.kill('SIGINT');
  expect((await running.exited).code).toBe(130);
}, 60_000);
