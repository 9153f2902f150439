// Must: two developers, each with her own credentials, kubeconfig, session and laptop, on one Service, while callers of all three kinds (unmarked,
// hers, his) never stop: M3, M4 and M5 of the checklist, one who leaves, one who is killed, and the last one who restores.
import type { Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Callers, closeApp, localApp, removeShop, TestShop } from './support/inbound.ts';
import { Laptop, type Running, UID } from './support/kt.ts';
import { type Developer, secondDeveloper } from './support/second-developer.ts';
import { Wan } from './support/wan.ts';

const NAME = 'kt-t-two';
const laptops = [new Laptop(), new Laptop()] as const;
const [annas, bens] = laptops;
let apps: (Server & { port: number })[];
let ben: Developer;
let shop: TestShop;
let callers: { readonly unmarked: Callers; readonly anna: Callers; readonly ben: Callers };

beforeAll(async () => {
  ben = await secondDeveloper(bens, NAME);
  shop = await TestShop.deploy(NAME);
  apps = await Promise.all([localApp('anna'), localApp('ben')]);
}, 120_000);
afterAll(async () => {
  await Promise.all(laptops.map((laptop) => laptop.close()));
  await Promise.all(apps.map(closeApp));
  await ben?.remove();
  await removeShop(NAME);
});
/** After somebody holds it: a kept-alive connection from before would stay with its pod. */
async function callersCome(): Promise<void> {
  const start = (mark?: string): Promise<Callers> =>
    Callers.start(`http://${NAME}/`, mark === undefined ? {} : { headers: { VERSION: mark } });
  const [unmarked, anna, his] = await Promise.all([start(), start('anna'), start('ben')]);
  callers = { unmarked, anna, ben: his };
}
afterEach(async () => {
  const all = Object.entries(callers);
  console.log(Object.fromEntries(all.map(([mark, one]) => [mark, one.counts()])));
  for (const [, one] of all) expect(one.failures()).toEqual([]);
  await Promise.all(all.map(([, one]) => one.stop()));
});
const started: Running[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((one) => one.stop()));
});

/** As anna or as ben, on the laptop of each. */
function kt(developer: 'anna' | 'ben', command: 'mesh' | 'exchange', ...args: string[]): Running {
  const [laptop, app, config] =
    developer === 'anna' ? [annas, apps[0], annas.kubeconfig('dev')] : [bens, apps[1], ben.kubeconfig];
  const ports = ['--expose', `${app?.port ?? 0}:80`];
  const where = args.includes('--kubeconfig') ? [] : ['--kubeconfig', config];
  const running = laptop.start([command, NAME, ...ports, ...where, '--output', 'json', ...args]);
  started.push(running);
  return running;
}

async function holds(developer: 'anna' | 'ben', command: 'mesh' | 'exchange', ...args: string[]): Promise<Running> {
  const running = kt(developer, command, ...args);
  await running.event('holding');
  return running;
}

async function refused(running: Running, by: string): Promise<void> {
  expect((await running.exited).code).toBe(3);
  const error = running.events.find((event) => event.type === 'error');
  expect(error).toMatchObject({ code: 'SERVICE_HELD', message: expect.stringContaining(by) as string });
}

/** Who answered, from that line on. */
const who = (one: Callers, from = 0): (string | undefined)[] => [
  ...new Set(one.lines.slice(from).map((line) => line.split(' ')[1])),
];

describe('two developers on one Service', { timeout: 120_000 }, () => {
  test('M3, M4: each gets her own; a mark is one’s alone; one leaves and nobody notices; the last one restores', async () => {
    const one = await holds('anna', 'mesh', '--versionMark', 'anna');
    await callersCome();
    await callers.anna.answeredBy('anna');
    const two = await holds('ben', 'mesh', '--versionMark', 'ben');
    await callers.ben.answeredBy('ben');
    const marks = {
      unmarked: callers.unmarked.lines.length,
      anna: callers.anna.lines.length,
      ben: callers.ben.lines.length,
    };
    await refused(kt('ben', 'mesh', '--versionMark', 'anna'), 'holds requests with VERSION: anna');
    await refused(kt('anna', 'mesh', '--versionMark', 'ben'), 'holds requests with VERSION: ben');
    expect(who(callers.anna, marks.anna)).toEqual(['anna']);
    await one.stop();
    await one.event('released', ({ restored, remaining }) => !restored && remaining !== undefined);
    await callers.anna.answeredBy('pod');
    await callers.ben.answeredBy('ben');
    // Nothing of his went elsewhere, from the moment that he held it until now.
    expect(who(callers.ben, marks.ben)).toEqual(['ben']);
    expect(who(callers.unmarked)).toEqual(['pod']);
    await two.stop();
    await two.event('released', ({ restored }) => restored);
    await callers.ben.answeredBy('pod');
    await shop.expectUntouched();
  });

  test('one is killed: the other one’s traffic is his all the time, and the Service stays taken until he leaves', async () => {
    const one = await holds('anna', 'mesh', '--versionMark', 'anna');
    await callersCome();
    const two = await holds('ben', 'mesh', '--versionMark', 'ben');
    await callers.anna.answeredBy('anna');
    await callers.ben.answeredBy('ben');
    const from = callers.ben.lines.length;
    await one.stop('SIGKILL');
    await callers.anna.answeredBy('pod');
    // Her janitor gives her mark up and finds him there.
    await expect
      .poll(
        async () => {
          const again = kt('anna', 'mesh', '--versionMark', 'anna');
          const held = again.event('holding').then(() => true);
          const done = await Promise.race([held, again.exited.then(() => false)]).catch(() => false);
          await again.stop();
          return done;
        },
        { timeout: 40_000, interval: 500 },
      )
      .toBe(true);
    expect(who(callers.ben, from)).toEqual(['ben']);
    await two.stop();
    await callers.ben.answeredBy('pod');
    await shop.expectUntouched();
  });

  test('taken over while her line is cut: she is told when she is back, and disturbs nobody', async () => {
    const wan = await Wan.start();
    try {
      const config = wan.kubeconfig(annas.kubeconfig('dev'), join(annas.home, 'wan.yaml'), UID);
      const one = await holds('anna', 'mesh', '--versionMark', 'anna', '--kubeconfig', config);
      await callersCome();
      await callers.anna.answeredBy('anna');
      await wan.fault('cut');
      await callers.anna.answeredBy('pod');
      await refused(kt('ben', 'mesh', '--versionMark', 'anna'), 'whose laptop does not answer now holds');
      const taker = await holds('ben', 'mesh', '--versionMark', 'anna', '--take-over');
      await callers.anna.answeredBy('ben');
      const from = callers.anna.lines.length;
      await wan.fault('heal');
      await one.event('evicted');
      await one.event('inbound', ({ state }) => state === 'up', 2);
      expect((await one.stop()).code).toBe(0);
      expect(who(callers.anna, from)).toEqual(['ben']);
      await taker.stop();
      await callers.anna.answeredBy('pod');
      await shop.expectUntouched();
    } finally {
      await wan.close();
    }
  });

  test('M5: exchange on a meshed Service and mesh on an exchanged one are refused; taking over tells the loser', async () => {
    const one = await holds('anna', 'mesh', '--versionMark', 'anna');
    await callersCome();
    await callers.anna.answeredBy('anna');
    await refused(kt('ben', 'exchange'), 'holds requests with VERSION: anna');
    const taker = await holds('ben', 'exchange', '--take-over');
    await one.event('evicted');
    await callers.anna.answeredBy('ben');
    await callers.unmarked.answeredBy('ben', undefined, ['new']);
    await refused(kt('anna', 'mesh', '--versionMark', 'other'), 'holds all requests');
    await refused(kt('anna', 'exchange'), 'holds all requests');
    await one.stop();
    await callers.anna.answeredBy('ben');
    await taker.stop();
    await callers.anna.answeredBy('pod');
    await shop.expectUntouched();
  });
});
