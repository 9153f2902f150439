// The screen on a real terminal (a pty, and a buffer that understands what is written), on the playground: every view, form and size.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { SCREEN_HEAP } from '../../src/cli/screen.ts';
import { KEY, ScreenWorld } from '../support/screen-world.ts';
import type { Terminal } from '../support/terminal.ts';

// Each test starts kt twice, a session and its screen: seconds on a machine that has other work.
vi.setConfig({ testTimeout: 60_000 });

let world: ScreenWorld;
beforeAll(async () => {
  world = await ScreenWorld.start();
});
afterAll(() => world.close());

/** Leaves it and gives what stays on the terminal. */
async function quit(terminal: Terminal): Promise<string> {
  terminal.type('q');
  expect(await terminal.exited).toBe(0);
  return terminal.text();
}

test('kt connect: hops, Services, every view by its number, help; q ends the session and gives the terminal back', async () => {
  const terminal = await world.connect();
  const text = await terminal.until(/laptop ━ .*ms ━ API ━ .*ms ━ agent ●/);
  expect(text).toMatch(/ kt {2}shop · dev/);
  expect(text).toContain('you hold no traffic');
  expect(text).toMatch(/▸ db {2,}5432/);
  expect(text).toMatch(/orders {2,}80→8080 {2,}2/);
  expect(text).toContain('4 Services · 0 taken · 1 connected');
  expect(text).toContain('same as: kt exchange db --expose 5432');
  terminal.type('2');
  await terminal.until('REQUEST OR CONNECTION');
  terminal.type('3');
  await terminal.until('kt run -- mvn spring-boot:run');
  terminal.type('4');
  await terminal.until('✓ rights in shop');
  terminal.type('5');
  await terminal.until('r runs it');
  terminal.type('r');
  await terminal.until(/✓ kubeconfig +context 'dev'/);
  terminal.type('1');
  await terminal.until('▸ db');
  terminal.type('?');
  await terminal.until('all its requests come to this laptop');
  terminal.type(KEY.esc);
  await terminal.until('SERVICE');
  const left = await quit(terminal);
  expect(left).toContain('Ended: kt stop');
  expect(left).not.toContain('1 Services');
  expect(terminal.screen.buffer.active.type).toBe('normal');
});

describe('forms', () => {
  let terminal: Terminal;
  beforeAll(async () => {
    terminal = await world.connect({ cols: 100, rows: 30 });
  });
  afterAll(() => terminal.close());

  const pick = async (service: string): Promise<void> => {
    terminal.type('/');
    await terminal.until('esc shows all');
    terminal.type(service);
    await terminal.until(new RegExp(`▸ ${service}`));
    terminal.type(KEY.enter);
    await terminal.until('e exchange');
  };
  /** Closes what is open, then the filter. An escape alone: with a key right behind it, it would be another key. */
  const back = async (): Promise<void> => {
    terminal.type(KEY.esc);
    await terminal.until('SERVICE');
    terminal.type(KEY.esc);
    await terminal.until('  4 Services');
  };

  test('exchange: ports prefilled and looked at, the plan as objects, the command; a wrong port stops it', async () => {
    await pick('stock');
    terminal.type('e');
    const text = await terminal.until(/✕ nothing listens on :8080/);
    expect(text).toContain('Exchange stock');
    await terminal.until('create service/stock-kt-origin');
    await terminal.until('patch service/stock: selector');
    expect(terminal.text()).toContain('same as: kt exchange stock --expose 8080');
    terminal.type(`${KEY.backspace.repeat(4)}70000`);
    await terminal.until('a port is 1 to 65535');
    terminal.type(KEY.enter);
    await terminal.until('✕ 8080');
    terminal.type(`${KEY.backspace.repeat(5)}9123`);
    await terminal.until('same as: kt exchange stock --expose 9123:8080');
    await terminal.until('create service/stock-kt-origin');
    // Nothing listens there: refused before anything is written, and said with what to do.
    terminal.type(KEY.enter);
    await terminal.until('nothing listens on the local port 9123');
    await terminal.until('LISTEN_FAILED');
    await back();
  });

  test('a target port that has a name is prefilled with the number that its pods give it', async () => {
    await pick('gateway');
    terminal.type('e');
    await terminal.until(/80 web → http → local port {2}8080 .*nothing listens on :8080/);
    await terminal.until('same as: kt exchange gateway --expose 8080:80');
    await back();
  });

  test('what can not be taken says so before it is asked for', async () => {
    await pick('db');
    terminal.type('e');
    await terminal.until("db can't be taken over: it is headless");
    await back();
  });

  test('mesh asks for the mark; preview for a name; both say their command', async () => {
    await pick('orders');
    terminal.type('m');
    await terminal.until('Mesh orders');
    await terminal.until(/same as: kt mesh orders --versionMark VERSION:\S+ --expose 8080:80/);
    terminal.type(KEY.esc);
    await terminal.until('SERVICE');
    terminal.type('p');
    await terminal.until('name of the Service  orders-');
    await terminal.until('create service/orders-');
    await back();
  });

  test('forward: the port is there, is listed with the programs, and is released', async () => {
    await pick('stock');
    terminal.type('f');
    await terminal.until('same as: kt forward stock 8080');
    terminal.type(`${KEY.backspace.repeat(4)}0:8080${KEY.enter}`);
    const text = await terminal.until(/listening on 127\.0\.0\.1:\d+/);
    const port = /listening on 127\.0\.0\.1:(\d+)/.exec(text)?.[1] ?? '';
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    terminal.type('3');
    await terminal.until(new RegExp(`▸ forward .*127\\.0\\.0\\.1:${port} → stock`));
    terminal.type('r');
    await terminal.until(`same as: kt release 127.0.0.1:${port}`);
    terminal.type(KEY.enter);
    await terminal.until('Nothing yet.');
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
    terminal.type('1');
    await back();
  });

  test('route says why; the command line completes names and names what there is', async () => {
    await pick('orders');
    terminal.type('o');
    await terminal.until('Route of orders');
    await terminal.until(/orders {2}cluster, /);
    terminal.type(KEY.esc);
    await terminal.until('SERVICE');
    terminal.type(':route ord\t');
    await terminal.until(': route orders');
    terminal.type(KEY.enter);
    await terminal.until('Route of orders');
    await back();
    terminal.type(`:nonsense${KEY.enter}`);
    await terminal.until("no command 'nonsense'");
  });

  test('what programs get: the environment, without the token', async () => {
    terminal.type('3e');
    const text = await terminal.until('Environment of programs');
    expect(text).toContain('JAVA_TOOL_OPTIONS');
    expect(text).toContain('•••');
    terminal.type(KEY.esc);
    await terminal.until('Nothing yet.');
    terminal.type('1');
    await terminal.until('SERVICE');
  });

  test('another namespace: the session goes there, and back where it may not', async () => {
    terminal.type('n');
    await terminal.until('Go to another namespace or context');
    terminal.type(`${KEY.backspace.repeat(4)}nowhere${KEY.enter}`);
    await terminal.until(/you may not|no right/i);
    await terminal.until(/ kt {2}shop · dev/);
    await terminal.until('stock');
  });
});

describe('sizes', () => {
  test('200 columns: the detail stands beside the list; a resize redraws; small has one fact a line', async () => {
    const terminal = await world.connect({ cols: 200, rows: 60 });
    terminal.type(KEY.enter);
    await terminal.until(/▸ db .*│/);
    await terminal.until(/SERVICE .*│ db {2}Headless/);
    terminal.resize(80, 24);
    await terminal.until(
      (text) => text.split('\n').every((line) => line.length <= 80) && text.includes('db  Headless'),
    );
    terminal.type(KEY.esc);
    await terminal.until('SERVICE');
    terminal.resize(50, 12);
    await terminal.until((text) => !text.includes('API ━') && /^shop/m.test(text) && text.includes('▸ db'));
    await quit(terminal);
  });
});

test('colours, no colours, ASCII: shapes say the same', async () => {
  const plain = await world.connect({ env: { NO_COLOR: '1', LANG: 'C', LC_ALL: 'C' } });
  const text = await plain.until(/laptop = .* API = .* agent \*/);
  expect(text).toMatch(/^[\x20-\x7e\n]*$/);
  expect(text).toContain('> db');
  await quit(plain);
});

test('lines where nobody sees a screen: --plain, KT_PLAIN, --output plain, TERM=dumb', async () => {
  for (const [args, env] of [
    [['--plain'], {}],
    [[], { KT_PLAIN: '1' }],
    [['--output', 'plain'], {}],
    [[], { TERM: 'dumb' }],
  ] as const) {
    const terminal = world.kt(['connect', '--proxyPort', '0', '--dnsPort', '0', ...args], { env });
    await terminal.until('Press Ctrl-C to end.');
    expect(terminal.text()).not.toContain('1 Services');
    terminal.type(KEY.ctrlC);
    expect(await terminal.exited).toBe(0);
  }
});

test('kt ui attaches and leaves without ending the session; kt alone finds it; the end of the session ends the screen', async () => {
  const lines = world.kt(['connect', '--plain', '--proxyPort', '0', '--dnsPort', '0']);
  await lines.until('Press Ctrl-C to end.');
  const first = world.kt(['ui']);
  await first.until('stock');
  await first.until('q leave');
  first.type('q');
  expect(await first.exited).toBe(0);
  const second = world.kt([]);
  await second.until('stock');
  lines.type(KEY.ctrlC);
  expect(await lines.exited).toBe(0);
  expect(await second.exited).toBe(0);
  expect(second.text()).toContain('SIGINT');
});

test('kt ui typed by hand draws in a process with the heap of a screen; a signal to it gives the terminal back', async () => {
  const lines = world.kt(['connect', '--plain', '--proxyPort', '0', '--dnsPort', '0']);
  await lines.until('Press Ctrl-C to end.');
  const screen = world.kt(['ui']);
  await screen.until('stock');
  const { execFileSync } = await import('node:child_process');
  const [child, ...more] = execFileSync('ps', ['-o', 'args=', '--ppid', String(screen.pid)], { encoding: 'utf8' })
    .trim()
    .split('\n');
  for (const flag of SCREEN_HEAP) expect(child).toContain(flag);
  expect(child).toContain('ui --session');
  expect(child).not.toContain('--owner');
  expect(more).toEqual([]);
  process.kill(screen.pid, 'SIGTERM');
  await screen.exited;
  expect(screen.screen.buffer.active.type).toBe('normal');
  lines.type(KEY.ctrlC);
  expect(await lines.exited).toBe(0);
});

test('a screen that is killed leaves the session, and the terminal usable', async () => {
  const terminal = await world.connect();
  const { execFileSync } = await import('node:child_process');
  const child = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(terminal.pid)], { encoding: 'utf8' });
  const pid = Number(/(\d+) .* ui --session/.exec(child)?.[1]);
  process.kill(pid, 'SIGKILL');
  await terminal.until('the screen ended by itself (SIGKILL); the session goes on');
  expect(terminal.screen.buffer.active.type).toBe('normal');
  const again = world.kt(['ui']);
  await again.until('stock');
  terminal.type(KEY.ctrlC);
  expect(await terminal.exited).toBe(0);
  expect(await again.exited).toBe(0);
});

test('a credentials plugin that runs again while the screen is there: its words are in the log, not across the screen', async () => {
  const config = JSON.parse(readFileSync(world.playground.kubeconfig, 'utf8')) as {
    users: { name: string; user: { token?: string; exec?: object } }[];
  };
  const dev = config.users.find(({ name }) => name === 'dev');
  const { token } = dev?.user ?? {};
  expect(token).toBeTypeOf('string');
  const program = `
    console.error('visit https://login.test');
    const status = { token: ${JSON.stringify(token)}, expirationTimestamp: new Date().toISOString() };
    console.log(JSON.stringify({ kind: 'ExecCredential', apiVersion: 'client.authentication.k8s.io/v1', status }));
  `;
  // Old as soon as they are made: each request runs it again.
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: process.execPath, args: ['-e', program] };
  if (dev) dev.user = { exec: { ...exec, interactiveMode: 'IfAvailable' } };
  const file = join(world.folder, 'plugin-config');
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  const terminal = await world.connect({ env: { KUBECONFIG: file } });
  terminal.type('4');
  // The line for what is new has one of them, the log more; what stood above may have scrolled away.
  await terminal.until(/(! node: visit https:\/\/login\.test[^]*){2}/);
  expect(terminal.lines()[0]).toMatch(/^ kt {2}shop · dev/);
  await quit(terminal);
});
