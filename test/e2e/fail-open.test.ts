// Must: a taken Service goes on answering whatever happens to the laptop, while callers in the cluster never stop: HTTP on new and on kept-alive
// connections, and raw TCP. Each fault prints who answered how often. The faults of the line are made by the relay before the API server.
import { readdirSync, readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  Callers,
  closeApp,
  type LocalTcpApp,
  leftovers,
  localApp,
  localTcpApp,
  removeShop,
  TCP_PORT,
  TestShop,
  WITH_TCP,
} from './support/inbound.ts';
import { kubectl, Laptop, type Running, UID } from './support/kt.ts';
import { Wan } from './support/wan.ts';

const NAME = 'kt-t-failopen';
const AGENT = ['-l', `kt/role=ingress,kt/service=${NAME}`];
/** Nobody waits longer than 2 s for a laptop that is silent; the rest is what a busy machine takes. */
const SILENT_MS = 4_000;
/** In flight on the laptop when it dies: at most one of each caller, and what may be asked twice is asked again by the agent. */
const IN_FLIGHT = ['tcp'];

const laptop = new Laptop();
let wan: Wan;
let http: Server & { port: number };
let tcp: LocalTcpApp;
let shop: TestShop;
let kt: Running;
let callers: Callers;

async function exchange(): Promise<Running> {
  const ports = `${http.port}:80,${tcp.port}:${TCP_PORT}`;
  const config = join(laptop.home, 'wan.yaml');
  const running = laptop.start(['exchange', NAME, '--expose', ports, '--kubeconfig', config, '--output', 'json']);
  await running.event('holding');
  return running;
}

beforeAll(async () => {
  wan = await Wan.start();
  wan.kubeconfig(laptop.kubeconfig('dev'), join(laptop.home, 'wan.yaml'), UID);
  shop = await TestShop.deploy(NAME, WITH_TCP);
  http = await localApp('laptop');
  tcp = await localTcpApp('laptop');
  kt = await exchange();
}, 120_000);
afterAll(async () => {
  await laptop.close();
  await wan?.close();
  await Promise.all([closeApp(http), tcp.close()]);
  await removeShop(NAME);
});
beforeEach(async () => {
  callers = await Callers.start(`http://${NAME}/`, {
    kinds: ['new', 'kept', 'tcp'],
    tcpPort: TCP_PORT,
    timeoutMs: SILENT_MS,
  });
  await callers.answeredBy('laptop');
});
afterEach(() => callers.stop());

/** Those that failed and were not in flight: one of each kind may have been. */
function unexpected(from: number): string[] {
  const allowed = new Set(IN_FLIGHT);
  return callers.failures(from).filter((line) => !allowed.delete(line.split(' ')[0] ?? ''));
}

const print = (what: string, from: number): void => console.log(`${what}:`, callers.counts(from));

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

describe('fail-open', { timeout: 120_000 }, () => {
  test('the connections to the API server are reset: no request fails but what was in flight, and the laptop is back within 2 s', async () => {
    const from = callers.lines.length;
    const seen = kt.events.length;
    await wan.fault('reset-all');
    const reset = Date.now();
    const up = await kt.event('inbound', ({ state }) => state === 'up', seen);
    expect(Date.parse(up.time) - reset).toBeLessThanOrEqual(2_000);
    await callers.answeredBy('laptop');
    print('API connections reset', from);
    expect(unexpected(from)).toEqual([]);
  });

  test('the local program dies: the pods answer at once; it is back: so is the traffic', async () => {
    const from = callers.lines.length;
    await Promise.all([closeApp(http), tcp.close()]);
    await callers.answeredBy('pod');
    // Its program was not asked again: what may be asked twice is not repeated where the laptop's own program broke off.
    const gone = callers.lines.length;
    http = await localApp('laptop', http.port);
    tcp = await localTcpApp('laptop', tcp.port);
    await callers.answeredBy('laptop');
    print('local program dies and comes back', from);
    expect(callers.failures(from).length).toBeLessThanOrEqual(3);
    expect(callers.failures(gone)).toEqual([]);
  });

  test('the line is cut: the pods answer at once; it is back: so is the traffic', async () => {
    const from = callers.lines.length;
    await wan.fault('cut');
    await callers.answeredBy('pod');
    await wan.fault('heal');
    await callers.answeredBy('laptop');
    print('API connection cut and healed', from);
    expect(unexpected(from)).toEqual([]);
  });

  test('the line stalls: nobody waits longer than 2 s before it is found dead, nobody at all after; it goes on: so does the traffic', async () => {
    const from = callers.lines.length;
    const seen = kt.events.length;
    await wan.fault('stall');
    await callers.answeredBy('pod');
    // Found dead, by the laptop at least; the agent is as fast.
    await kt.event('inbound', ({ state }) => state === 'down', seen);
    await callers.answeredBy('pod');
    const dead = callers.lines.length;
    await wan.fault('resume');
    await callers.answeredBy('laptop');
    print('API connection stalled until it was found dead, and resumed', from);
    // In flight when the line fell silent: it has to fail, or its caller gives up.
    expect(callers.failures(from).length).toBeLessThanOrEqual(3);
    expect(callers.failures(dead)).toEqual([]);
  });

  test.each<[string, () => Promise<unknown>]>([
    [
      'its process is killed',
      async () => {
        const name = await kubectl(['get', 'pods', ...AGENT, '-o', 'jsonpath={.items[0].metadata.name}']);
        process.kill(processOf(name.trim()), 'SIGKILL');
      },
    ],
    ['it is deleted without grace', () => kubectl(['delete', 'pod', ...AGENT, '--grace-period=0', '--force'])],
  ])(
    'the agent is killed (%s): requests are answered again within 3 s, and the laptop is back without a command',
    async (what, kill) => {
      const from = callers.lines.length;
      await kill();
      const killed = Date.now();
      await callers
        .seen((lines) => lines.some((line) => line.startsWith('new !')), 'a failure', from)
        .catch(() => undefined);
      const failed = callers.lines.length;
      await callers.seen(
        (lines) => lines.some((line) => line === 'new pod' || line === 'new laptop'),
        'an answer',
        failed,
      );
      const answered = Date.now() - killed;
      // On a slow machine the Service led to its own pods for a moment: a kept-alive connection that was made then stays there.
      await callers.answeredBy('laptop', undefined, ['new', 'tcp']);
      const back = callers.lines.length;
      print(`agent killed (${what}), answered again after ${answered} ms`, from);
      expect(answered).toBeLessThanOrEqual(3_000);
      await callers.seen((lines) => lines.length > 40, 'some more answers', back);
      expect(callers.failures(back)).toEqual([]);
    },
  );

  test('the agent crashes again at once, which the kubelet punishes with 10 s and more: the pods answer within 3 s, until it is back', async () => {
    const from = callers.lines.length;
    const seen = kt.events.length;
    const name = (await kubectl(['get', 'pods', ...AGENT, '-o', 'jsonpath={.items[0].metadata.name}'])).trim();
    process.kill(processOf(name), 'SIGKILL');
    await callers.answeredBy('laptop', undefined, ['new', 'tcp']);
    process.kill(processOf(name), 'SIGKILL');
    const killed = Date.now();
    await kt.event('warning', ({ message }) => message.includes('goes to its own pods meanwhile'), seen);
    await callers.answeredBy('pod', undefined, ['new', 'tcp']);
    const answered = Date.now() - killed;
    await kt.event('warning', ({ message }) => message.includes('its agent is there again'), seen);
    const back = callers.lines.length;
    await callers.answeredBy('laptop', back, ['new', 'tcp']);
    print(`agent killed twice, all answered again after ${answered} ms`, from);
    expect(callers.failures(back)).toEqual([]);
  });

  test('the laptop sleeps (its processes stand still) and wakes: as a line that stalls', async () => {
    const from = callers.lines.length;
    const seen = kt.events.length;
    kt.child.kill('SIGSTOP');
    await callers.answeredBy('pod');
    // Longer than a silent link lives.
    await callers.seen((lines) => lines.length > 1_500, 'many answers', from);
    const asleep = callers.lines.length;
    kt.child.kill('SIGCONT');
    await kt.event('inbound', ({ state }) => state === 'up', seen);
    await callers.answeredBy('laptop');
    print('laptop asleep and awake', from);
    expect(callers.failures(from).length).toBeLessThanOrEqual(3);
    expect(callers.failures(asleep)).toEqual([]);
  });

  test('kt is killed: the pods answer at once, the Service is given back by itself; started again, all comes to the laptop', async () => {
    const from = callers.lines.length;
    await kt.stop('SIGKILL');
    await callers.answeredBy('pod');
    await expect.poll(() => leftovers(NAME), { timeout: 60_000, interval: 1_000 }).toBe('');
    await callers.answeredBy('pod');
    print('kt killed', from);
    expect(unexpected(from)).toEqual([]);
    await shop.expectUntouched();
    const again = callers.lines.length;
    kt = await exchange();
    await callers.answeredBy('laptop', again, ['new', 'tcp']);
    await kt.stop();
    await callers.answeredBy('pod');
    print('taken again and given back', again);
    expect(callers.failures(again)).toEqual([]);
    await shop.expectUntouched();
  });
});
