// A line to the terminal that takes few bytes a tick, while much happens: what waits between the screen and who looks is bounded, in bytes.
// A slow ssh link is this, whatever its round trip.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Board } from '../../src/session/board.ts';
import type { InboundRecord } from '../../src/session/traffic/types.ts';
import { playNamespace, playSession } from '../support/played-session.ts';
import { Terminal } from '../support/terminal.ts';

vi.setConfig({ testTimeout: 60_000 });

/** Bytes each tick; the session tells a request in each, so that every picture is another. */
const SLOW = 128;
/** Bytes after which the line has nothing of before it was slow. */
const FULL = 40 * 1024;
/** Bytes that may wait: what the system holds for a terminal, and two pictures of 120x40. */
const WAITING_MAX = 32 * 1024;
/** Milliseconds for what is seen over it; a hang must end the test. */
const LIMIT_MS = 30_000;

const folder = mkdtempSync(join(tmpdir(), 'kt-slow-'));
let board: Board;
let terminal: Terminal;
beforeAll(async () => {
  process.env['KT_RUNTIME_DIR'] = folder;
  board = await playSession();
  const env = { ...process.env, KT_RUNTIME_DIR: folder, TERM: 'xterm-256color', LANG: 'C.UTF-8', CI: '' };
  terminal = new Terminal(process.execPath, ['dist/kt.mjs', 'ui'], { cols: 120, rows: 40, env });
  await terminal.until('looking at the namespace');
  playNamespace(board);
  await terminal.until('postgres');
});
afterAll(async () => {
  await terminal.close();
  board.close();
  delete process.env['KT_RUNTIME_DIR'];
  rmSync(folder, { recursive: true, force: true });
});

let next = 1_000;
function request(path: string): InboundRecord {
  return {
    id: next++,
    time: new Date().toISOString(),
    state: 'done',
    ms: 14,
    received: 310,
    sent: 1_200,
    error: null,
    direction: 'in',
    service: 'orders',
    caller: '10.0.0.7:41234',
    rule: 'exchange: all requests',
    reason: 'exchange: all requests',
    local: 8080,
    protocol: 'http/1.1',
    method: 'GET',
    path,
    host: 'orders',
    status: 200,
    answerMs: 9,
    upgrade: null,
  };
}

function happen(records: readonly InboundRecord[]): void {
  board.emit({ type: 'traffic', records, fresh: false, dropped: 0, limit: 2_000 });
}

/** Bytes that passed until it is seen. */
async function passed(seen: string): Promise<number> {
  const begun = terminal.written;
  await terminal.until(seen, LIMIT_MS);
  return terminal.written - begun;
}

test('much happens, few bytes pass: keys work, and the last picture arrives, behind a bounded number of bytes', async () => {
  terminal.type('2');
  await terminal.until('REQUEST OR CONNECTION');
  const begun = terminal.written;
  let busy = true;
  const fast = terminal.slowDown(SLOW, () => {
    if (busy) happen([request(`/api/orders/${next}`)]);
  });
  // What comes from here on waits behind all that the line holds.
  await terminal.until(() => terminal.written - begun > FULL, LIMIT_MS);
  terminal.type('3');
  expect(await passed('LAST CONNECTIONS')).toBeLessThan(WAITING_MAX);
  terminal.type('2');
  expect(await passed('REQUEST OR CONNECTION')).toBeLessThan(WAITING_MAX);
  await terminal.until(() => terminal.written - begun > FULL * 2, LIMIT_MS);
  busy = false;
  happen([request('/the-last-one')]);
  expect(await passed('/the-last-one')).toBeLessThan(WAITING_MAX);
  fast();
  terminal.type('q');
  expect(await terminal.exited).toBe(0);
  expect(terminal.screen.buffer.active.type).toBe('normal');
});
