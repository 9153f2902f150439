// Must: the screen on the real cluster, as dev, on a real terminal: a whole journey by keys, and a line that is cut. Everything is as it was
// afterwards.
import type { Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { KEY } from '../support/screen-world.ts';
import { Terminal } from '../support/terminal.ts';
import { closeApp, localApp, removeShop, TestShop, untilAnswer } from './support/inbound.ts';
import { Laptop, UID } from './support/kt.ts';
import { Wan } from './support/wan.ts';

const NAME = 'kt-t-screen';
/** Milliseconds: an agent's pod starts, a Service is given back and its agent drains. */
const STEP_MS = 60_000;
vi.setConfig({ testTimeout: 180_000 });

const laptop = new Laptop();
let app: Server & { port: number };
let shop: TestShop;
let terminal: Terminal | undefined;

beforeAll(async () => {
  shop = await TestShop.deploy(NAME);
}, 120_000);
afterAll(async () => {
  await laptop.close();
  await removeShop(NAME);
});
beforeEach(async () => {
  app = await localApp('laptop');
});
afterEach(async () => {
  await terminal?.close();
  if (app.listening) await closeApp(app);
});

function kt(args: readonly string[], env: NodeJS.ProcessEnv = {}): Terminal {
  const size = { cols: 160, rows: 50, cwd: join(laptop.home, 'work') };
  const own = { TERM: 'xterm-256color', LANG: 'C.UTF-8', ...env };
  terminal = new Terminal(laptop.node, [laptop.kt, ...args], { ...size, uid: UID, env: laptop.env('dev', own) });
  return terminal;
}

/** The cursor on the test's own Service, by the filter. */
async function pick(screen: Terminal): Promise<void> {
  screen.type(`/${NAME}`);
  await screen.until(`▸ ${NAME}`, STEP_MS);
  screen.type(KEY.enter);
  await screen.until('e exchange');
}

async function exchange(screen: Terminal): Promise<void> {
  await pick(screen);
  screen.type('e');
  await screen.until(`Exchange ${NAME}`);
  // The second port has the same target port: it is left out.
  screen.type(`${KEY.backspace.repeat(5)}${app.port}${KEY.tab}${KEY.backspace.repeat(5)}`);
  await screen.until('does not come here');
  await screen.until('✓ something listens');
  await screen.until(`patch service/${NAME}: selector`);
  screen.type(KEY.enter);
  await screen.until(`you hold ${NAME}`, STEP_MS);
}

test('open, exchange by keys, see the request appear, replay it, release, quit; the cluster is as before', async () => {
  const screen = kt(['connect', '--proxyPort', '0', '--dnsPort', '0']);
  await screen.until(/laptop ━.*━ API ━.*━ agent ●/, STEP_MS);
  await exchange(screen);
  screen.type('2');
  await screen.until('REQUEST OR CONNECTION');
  await untilAnswer(`http://${NAME}/api/7?x=1`, { name: 'laptop' });
  await screen.until(new RegExp(`→in {2}${NAME} {2}GET /api/7\\?x=1 .* 200`));
  screen.type(KEY.enter);
  await screen.until('GET /api/7?x=1 HTTP/1.1');
  screen.type('R');
  await screen.until(/the same answer|the status is the same/);
  screen.type(KEY.esc);
  await screen.until((text) => !text.includes('HTTP/1.1'));
  screen.type('1');
  await screen.until(`▸ ${NAME}`);
  screen.type('r');
  await screen.until(`same as: kt release ${NAME}`);
  screen.type(KEY.enter);
  await screen.until(`${NAME} is released`, STEP_MS);
  await untilAnswer(`http://${NAME}/`, { name: 'pod' });
  screen.type('q');
  expect(await screen.exited).toBe(0);
  await shop.expectUntouched();
});

test('the line is cut: the hop is red within 16 s and says what kt does, callers are served, and it is green by itself again', async () => {
  const wan = await Wan.start();
  try {
    const file = wan.kubeconfig(laptop.kubeconfig('dev'), join(laptop.home, 'wan.yaml'), UID);
    const screen = kt(['connect', '--proxyPort', '0', '--dnsPort', '0'], { KUBECONFIG: file });
    await screen.until(/laptop ━.*━ API ━.*━ agent ●/, STEP_MS);
    await exchange(screen);
    await wan.fault('stall');
    const stalled = performance.now();
    await screen.until(/╌╌ down ╌╌ agent ✕/, 20_000);
    const red = (performance.now() - stalled) / 1000;
    expect(red).toBeLessThan(16.5);
    await screen.until(`${NAME} is served by the original pods`);
    await untilAnswer(`http://${NAME}/`, { name: 'pod' });
    await wan.fault('resume');
    await screen.until(/laptop ━.*━ API ━.*━ agent ●/, STEP_MS);
    await screen.until(`you hold ${NAME}`, STEP_MS);
    await untilAnswer(`http://${NAME}/`, { name: 'laptop' });
    screen.type('q');
    await screen.until(`${NAME} goes back to its original pods`);
    screen.type('y');
    expect(await screen.exited).toBe(0);
    await shop.expectUntouched();
  } finally {
    await wan.close();
  }
});
