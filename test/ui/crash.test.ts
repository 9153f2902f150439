// What goes wrong in or under the screen: a view that crashes shows a panel and the session goes on; a link that is lost turns red, says what
// kt does about it, and turns green by itself.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { Board } from '../../src/session/board.ts';
import type { ServiceLine } from '../../src/session/overview.ts';
import { KEY } from '../support/screen-world.ts';
import { Terminal } from '../support/terminal.ts';

vi.setConfig({ testTimeout: 60_000 });

const folder = mkdtempSync(join(tmpdir(), 'kt-crash-'));
let terminal: Terminal | undefined;
let board: Board;
beforeAll(() => {
  process.env['KT_RUNTIME_DIR'] = folder;
});
afterEach(async () => {
  await terminal?.close();
  board.close();
});
afterAll(() => {
  delete process.env['KT_RUNTIME_DIR'];
  rmSync(folder, { recursive: true, force: true });
});

/** A session that this test plays, and its screen. */
async function open(cols = 100, rows = 24): Promise<Terminal> {
  board = new Board(() => undefined);
  await board.listen();
  const place = { namespace: 'shop', context: 'staging' };
  const who = { as: 'dev', server: 'https://x', user: 'anna', host: 'lap', since: new Date().toISOString() };
  board.emit({ type: 'opening', session: board.id, ...place, ...who });
  board.emit({
    type: 'ready',
    ...place,
    proxy: '127.0.0.1:1',
    dns: '127.0.0.1:2',
    agent: 'a',
    mode: 'agent',
    reduced: [],
  });
  board.emit({ type: 'link', state: 'up' });
  const env = { ...process.env, KT_RUNTIME_DIR: folder, TERM: 'xterm-256color', LANG: 'C.UTF-8' };
  terminal = new Terminal(process.execPath, ['dist/kt.mjs', 'ui'], { cols, rows, env: { ...env, CI: '' } });
  await terminal.until('looking at the namespace');
  return terminal;
}

const all = { type: 'services', fresh: true, gone: [], connected: [], trouble: null } as const;
const services = (changed: readonly ServiceLine[]): void => board.emit({ ...all, changed });

const ORDERS: ServiceLine = {
  name: 'orders',
  type: 'ClusterIP',
  ports: [{ port: 80, name: 'web', protocol: 'TCP', targetPort: 8080 }],
  ready: 2,
  originReady: null,
  state: 'normal',
  by: [],
  notes: [],
};

test('a view that crashes shows a panel; the other views, the keys and the session go on', async () => {
  const screen = await open();
  services([ORDERS]);
  await screen.until('▸ orders');
  // As a newer kt with another idea of a Service might say it.
  services([{ ...ORDERS, ports: undefined as unknown as ServiceLine['ports'] }]);
  await screen.until('This view has a defect; the session goes on');
  screen.type('4');
  await screen.until('Connected to shop (staging)');
  screen.type('1');
  await screen.until('This view has a defect');
  screen.type('4');
  await screen.until('Connected to shop');
  services([ORDERS]);
  screen.type('1');
  await screen.until('▸ orders');
  screen.type('q');
  expect(await screen.exited).toBe(0);
});

test('a lost link: red, since when and who is served by whom; green by itself; what happened stays in the log', async () => {
  const screen = await open(120);
  services([ORDERS]);
  board.emit({
    type: 'holding',
    service: 'orders',
    kind: 'exchange',
    mark: null,
    ports: [{ port: 80, local: 8080, protocol: 'TCP' }],
    since: new Date().toISOString(),
  });
  await screen.until('you hold orders');
  board.emit({ type: 'link', state: 'down', reason: 'it went silent for 15 s', code: 'LINK_DEAD' });
  board.emit({ type: 'inbound', service: 'orders', kind: 'exchange', state: 'down', reason: 'silent' });
  await screen.until(/API ╌╌ down ╌╌ agent ✕/);
  await screen.until(
    /link down for \d+ s: orders is served by the original pods, new connections wait, kt tries again/,
  );
  await screen.until(/▸ orders .*○ original pods/);
  board.emit({ type: 'link', state: 'up' });
  board.emit({ type: 'inbound', service: 'orders', kind: 'exchange', state: 'up' });
  await screen.until(/agent ●/);
  await screen.until('you hold orders');
  await screen.until(/▸ orders .*● to you/);
  screen.type('4');
  await screen.until('link down: it went silent for 15 s');
});

test('names and paths of others can neither move the cursor nor push columns', async () => {
  const screen = await open(100);
  services([
    {
      ...ORDERS,
      by: [{ user: '訂單\u001b[2J\u202e', host: 'pc', mark: null, since: null, live: true, tool: 'kt' }],
      state: 'exchanged',
    },
    { ...ORDERS, name: 'stock' },
  ]);
  const text = await screen.until('▸ orders');
  const rows = text.split('\n').filter((row) => / (orders|stock) /.test(row));
  expect(rows[0]).toContain('訂單[2J');
  expect(text).toContain('kt  shop');
  // Each CJK character takes two cells, so the state column begins at the same cell in both rows.
  const cells = (row: number, from: number): string => {
    const line = screen.screen.buffer.active.getLine(row);
    return Array.from({ length: 8 }, (_, at) => line?.getCell(from + at)?.getChars() ?? '').join('');
  };
  const header = text.split('\n').findIndex((row) => row.includes('SERVICE'));
  const state = text.split('\n')[header]?.indexOf('STATE') ?? 0;
  expect(cells(header + 1, state)).toMatch(/^● to/);
});

test('a burst of events is drawn at most some times a second, and a key is answered in it', async () => {
  const screen = await open();
  const many = Array.from(
    { length: 2_000 },
    (_, at): ServiceLine => ({ ...ORDERS, name: `service-${String(at).padStart(4, '0')}` }),
  );
  services(many);
  await screen.until('2000 Services');
  const before = screen.written;
  for (let round = 0; round < 100; round += 1)
    board.emit({ ...all, fresh: false, changed: many.slice(0, 200).map((one) => ({ ...one, ready: round % 10 })) });
  screen.type(KEY.down);
  await screen.until('▸ service-0001');
  // 100 pictures of 14 rows would be some 100 kB.
  expect(screen.written - before).toBeLessThan(50_000);
});
