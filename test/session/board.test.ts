// A session's board over its real socket: what a view sees first and then, what it may ask for, and what runs only while somebody looks.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KtError } from '../../src/errors.ts';
import { attach } from '../../src/session/attach.ts';
import { Board } from '../../src/session/board.ts';
import { ask, findSessions } from '../../src/session/control-client.ts';
import type { SessionEvent, StampedEvent } from '../../src/session/events.ts';
import { watchShims } from '../../src/session/shim-watch.ts';
import { initialState, reduce } from '../../src/session/state.ts';

const folder = mkdtempSync(join(tmpdir(), 'kt-board-'));
beforeAll(() => {
  process.env['KT_RUNTIME_DIR'] = folder;
});
afterAll(() => {
  delete process.env['KT_RUNTIME_DIR'];
  rmSync(folder, { recursive: true, force: true });
});

const HOLDING: SessionEvent = {
  type: 'holding',
  service: 'orders',
  kind: 'mesh',
  mark: 'VERSION: anna',
  ports: [{ port: 80, local: 8080, protocol: 'TCP' }],
  since: '2026-01-01T00:00:00.000Z',
};

async function opened(): Promise<{ board: Board; told: SessionEvent[] }> {
  const told: SessionEvent[] = [];
  const board = new Board((event) => told.push(event));
  await board.listen();
  return { board, told };
}

/** The next event of the type. */
const next = <T extends SessionEvent['type']>(
  view: Awaited<ReturnType<typeof attach>>,
  type: T,
): Promise<Extract<StampedEvent, { type: T }>> =>
  new Promise((resolve) => {
    const end = view.subscribe((event) => {
      if (event.type !== type) return;
      end();
      resolve(event as Extract<StampedEvent, { type: T }>);
    });
  });

test('a view sees the state and the log, then every event; fleeting ones are for views only', async () => {
  const { board, told } = await opened();
  board.emit(HOLDING);
  const view = await attach(board.path);
  expect(view.session).toBe(board.id);
  expect(view.state.holds).toMatchObject([{ service: 'orders', link: 'up' }]);
  expect(view.log.map(({ type }) => type)).toEqual(['holding']);
  const down = next(view, 'inbound');
  board.emit({ type: 'inbound', service: 'orders', kind: 'mesh', state: 'down', reason: 'cut' });
  await down;
  expect(view.state.holds[0]).toMatchObject({ link: 'down', linkReason: 'cut' });
  const pulse = next(view, 'pulse');
  board.emit({ type: 'pulse', apiMs: 3, agentMs: 4, received: 1, sent: 2, streams: 0, inbound: {} });
  await pulse;
  expect(view.state.pulse).toMatchObject({ apiMs: 3 });
  expect(view.log.map(({ type }) => type)).toEqual(['holding', 'inbound']);
  expect(told.map(({ type }) => type)).toEqual(['holding', 'inbound']);
  board.emit({ type: 'ended', reason: 'over' });
  board.close();
  await expect(view.closed).resolves.toBe('over');
});

test('an action is answered by who registered for it, with its own error, or refused', async () => {
  const { board } = await opened();
  board.onAction('release', ({ service }) => {
    if (service === 'stock') throw new KtError('SERVICE_NOT_RESTORED', 'not yet', { hint: 'again' });
    return Promise.resolve({ service });
  });
  const view = await attach(board.path);
  await expect(view.act({ kind: 'release', service: 'orders' })).resolves.toEqual({ service: 'orders' });
  await expect(view.act({ kind: 'release', service: 'stock' })).rejects.toMatchObject({
    code: 'SERVICE_NOT_RESTORED',
    hint: 'again',
  });
  await expect(view.act({ kind: 'doctor' })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  await expect(ask(board.path, { ask: 'act', action: 'release' })).rejects.toMatchObject({ code: 'USAGE' });
  await expect(ask(board.path, { ask: 'nonsense' })).rejects.toMatchObject({ code: 'USAGE' });
  await view.act({ kind: 'stop' });
  await expect(board.ended).resolves.toBe('kt stop');
  board.close();
});

test('what is for views runs only while one looks', async () => {
  const { board } = await opened();
  const seen: string[] = [];
  let stopped: () => void = () => undefined;
  const forget = board.whileWatched(() => {
    seen.push('start');
    return () => {
      seen.push('stop');
      stopped();
    };
  });
  const gone = (): Promise<void> => new Promise((resolve) => (stopped = resolve));
  const [one, other] = [await attach(board.path), await attach(board.path)];
  expect(seen).toEqual(['start']);
  const end = gone();
  one.close();
  other.close();
  await end;
  expect(seen).toEqual(['start', 'stop']);
  const third = await attach(board.path);
  expect(seen).toEqual(['start', 'stop', 'start']);
  forget();
  expect(seen).toEqual(['start', 'stop', 'start', 'stop']);
  third.close();
  board.close();
});

test('a program that ended leaves the state while a view looks, also one that ended before', async () => {
  const { board } = await opened();
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  const unwatch = watchShims(board);
  board.emit({ type: 'shim', runtime: 'node', version: '24', pid: child.pid ?? 0 });
  board.emit({ type: 'shim', runtime: 'node', version: '24', pid: process.pid });
  const view = await attach(board.path);
  const gone = next(view, 'shimGone');
  child.kill('SIGKILL');
  await gone;
  expect(view.state.shims.map(({ pid }) => pid)).toEqual([process.pid]);
  unwatch();
  view.close();
  board.close();
});

test('kt status finds it with its holds, and a view that attaches to nothing is told', async () => {
  const { board } = await opened();
  board.emit(HOLDING);
  const found = await findSessions();
  expect(found.find(({ status }) => status.session === board.id)?.status.holds).toMatchObject([{ service: 'orders' }]);
  board.close();
  await expect(attach(board.path)).rejects.toMatchObject({ code: 'SESSION_LOST' });
});

test('the state: holds come, change and go; a new place begins anew', () => {
  const holding = reduce(initialState, HOLDING);
  const evicted = reduce(holding, { type: 'evicted', service: 'orders', by: 'leo on pc' });
  expect(evicted.holds).toMatchObject([{ evictedBy: 'leo on pc' }]);
  expect(reduce(evicted, HOLDING).holds).toMatchObject([{ evictedBy: null }]);
  const callers = [{ caller: 'gateway-1', connections: 3, pods: ['orders-1'] }];
  const kept = reduce(holding, { type: 'kept', service: 'orders', callers, reason: null });
  expect(kept.holds).toMatchObject([{ kept: callers }]);
  expect(reduce(kept, { type: 'kept', service: 'orders', callers: [], reason: null }).holds).toMatchObject([
    { kept: [] },
  ]);
  expect(reduce(holding, { type: 'released', service: 'orders', kind: 'mesh', restored: true }).holds).toEqual([]);
  const forward = { type: 'forwarding', local: '127.0.0.1:1', remote: 'db:1', protocol: 'TCP' } as const;
  const forwarded = reduce(holding, forward);
  expect(reduce(forwarded, { type: 'unforwarded', local: '127.0.0.1:1' }).forwards).toEqual([]);
  const opening = { type: 'opening', session: 'x', namespace: 'other', context: 'c', as: 'dev', server: 's' } as const;
  const elsewhere = reduce(forwarded, { ...opening, user: 'u', host: 'h', since: 'now' });
  expect(elsewhere).toEqual({
    ...initialState,
    namespace: 'other',
    context: 'c',
    as: 'dev',
    server: 's',
    user: 'u',
    host: 'h',
    since: 'now',
  });
});
