// Must: kt under load survives what networks do. No dial that begins after a short fault fails (it parks), requests succeed again
// soon after, open streams fail with a reason in time, and kt is never restarted. Faults are made by the relay before the API server.
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { curl, kubectl, Laptop, type Ready, type Running, UID } from './support/kt.ts';
import { holdOpen, Load } from './support/load.ts';
import { Wan } from './support/wan.ts';

const laptop = new Laptop();
let wan: Wan;
let kt: Running & { ready: Ready };
let load: Load;

/** Fails the test with the reasons, not only with a count. */
const expectNone = (failed: { error: string | undefined; startedAt: number }[]): void =>
  expect(failed.map((one) => one.error)).toEqual([]);

function currentAgent(): string {
  const created = kt.events.findLast((event) => event.type === 'agent' && event.state === 'created');
  return created?.type === 'agent' ? created.pod : '';
}

/** The agent's process as root sees it: the cluster of the tests runs on this machine. */
function processOf(pod: string): number {
  const found = readdirSync('/proc').find((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      return (
        readFileSync(`/proc/${entry}/environ`, 'utf8').split('\0').includes(`HOSTNAME=${pod}`) &&
        readFileSync(`/proc/${entry}/cmdline`, 'utf8').startsWith('node\0-e')
      );
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error(`no process of ${pod}`);
  return Number(found);
}

beforeAll(async () => {
  wan = await Wan.start();
  const config = wan.kubeconfig(laptop.kubeconfig('dev'), join(laptop.home, 'wan.yaml'), UID);
  kt = await laptop.connect(['--kubeconfig', config]);
});
afterAll(async () => {
  await kt?.stop();
  await wan?.close();
  await laptop.close();
});
beforeEach(async () => {
  load = new Load(kt.ready.proxy);
  await load.answeredSince(Date.now());
});
afterEach(async () => {
  await load.stop();
  expect(kt.child.exitCode).toBe(null);
});

describe('the line to the API server', () => {
  test('reset: no new dial fails, answers within 1 s', async () => {
    const at = Date.now();
    await wan.fault('reset-all');
    const after = Date.now();
    const first = await load.answeredSince(after);
    expect(first.endedAt - at).toBeLessThanOrEqual(1_000);
    await load.stop();
    expectNone(load.failedBetween(after, Date.now()));
  });

  test('cut for 5 s: dials wait, none fails, answers within 3 s of its return', async () => {
    await wan.fault('cut');
    const cut = Date.now();
    await wait(5_000);
    await wan.fault('heal');
    const healed = Date.now();
    const first = await load.answeredSince(cut);
    expect(first.endedAt - healed).toBeLessThanOrEqual(3_000);
    await load.stop();
    expectNone(load.failedBetween(cut, Date.now()));
  });

  test('cut for 60 s: dials fail with the reason after they parked, answers within 3 s of its return', async () => {
    await wan.fault('cut');
    const cut = Date.now();
    const told = await curl('-i', '--max-time', '30', '-x', `http://${kt.ready.proxy}`, 'http://gateway/');
    expect(told.stdout).toMatch(/^HTTP\/1\.1 50[234][^]*X-Kt-Error: LINK_PARKED/i);
    await wait(60_000 - (Date.now() - cut));
    await wan.fault('heal');
    const healed = Date.now();
    const first = await load.answeredSince(healed);
    expect(first.endedAt - healed).toBeLessThanOrEqual(3_000);
    await load.stop();
    expectNone(load.failedBetween(healed, Date.now()));
  });

  test('stalled for 60 s: open streams fail within 16 s, answers within 3 s of its return', async () => {
    const stream = holdOpen(kt.ready.proxy);
    await stream.flowing;
    await wan.fault('stall');
    const stalled = Date.now();
    expect((await stream.failed) - stalled).toBeLessThanOrEqual(16_000);
    await wait(60_000 - (Date.now() - stalled));
    await wan.fault('resume');
    const resumed = Date.now();
    const first = await load.answeredSince(resumed);
    expect(first.endedAt - resumed).toBeLessThanOrEqual(3_000);
    await load.stop();
    expectNone(load.failedBetween(resumed, Date.now()));
  });
});

describe('the agent', () => {
  test('killed: another one is made, no new dial fails, answers within 3 s', async () => {
    const seen = kt.events.length;
    process.kill(processOf(currentAgent()), 'SIGKILL');
    const killed = Date.now();
    const down = await kt.event('link', (event) => event.state === 'down', seen);
    const first = await load.answeredSince(Date.parse(down.time));
    expect(first.endedAt - killed).toBeLessThanOrEqual(3_000);
    await kt.event('agent', (event) => event.state === 'created', seen);
    await load.stop();
    expectNone(load.failedBetween(Date.parse(down.time), Date.now()));
  });

  test('deleted in the usual way: another one takes over before it ends, and nobody notices', async () => {
    const seen = kt.events.length;
    const deleted = Date.now();
    await kubectl(['delete', 'pod', currentAgent(), '--wait=false']);
    await kt.event('agent', (event) => event.state === 'created', seen);
    await load.answeredSince(Date.now());
    await load.stop();
    expectNone(load.failedBetween(deleted, Date.now()));
  });
});

describe('clients', () => {
  test('eight downloads broken off in the middle: everything else goes on', async () => {
    const [host = '', port = ''] = kt.ready.proxy.split(':');
    const begin = Date.now();
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const socket = connect(Number(port), host);
        socket.on('error', () => undefined);
        socket.write('GET http://files/1GiB HTTP/1.1\r\nHost: files\r\n\r\n');
        await once(socket, 'data');
        socket.pause();
        socket.resetAndDestroy();
      }),
    );
    await load.answeredSince(Date.now());
    const { stdout } = await curl(
      '-x',
      `socks5h://${kt.ready.proxy}`,
      '-o',
      '/dev/null',
      '-w',
      '%{size_download}',
      'http://files/256MiB',
    );
    expect(stdout).toBe(String(256 * 1024 * 1024));
    await load.stop();
    expectNone(load.failedBetween(begin, Date.now()));
  });
});
