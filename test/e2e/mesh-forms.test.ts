// Must (M2): every form of a mark, all of them at once on one Service, each named by the banner. As dev, in `shop`.
import type { Server } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { askFromPod, closeApp, localApp, removeShop, TestShop } from './support/inbound.ts';
import { Laptop, type Running } from './support/kt.ts';

const NAME = 'kt-t-marks';
const laptop = new Laptop();
let shop: TestShop;
const apps: (Server & { port: number })[] = [];

beforeAll(async () => {
  shop = await TestShop.deploy(NAME);
}, 120_000);
afterEach(() => laptop.stopAll());
afterAll(async () => {
  await laptop.close();
  await Promise.all(apps.map((app) => closeApp(app)));
  await removeShop(NAME);
});

const FORMS: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['none', [], /^VERSION: [0-9a-f]{6}$/],
  ['value', ['--versionMark', 'v1.0'], /^VERSION: v1\.0$/],
  ['key', ['--versionMark', 'lane:'], /^lane: [0-9a-f]{6}$/],
  ['key-value', ['--versionMark', 'x-dev-lane:blue'], /^x-dev-lane: blue$/],
  ['header', ['--header', 'X-Dev=Anna B'], /^X-Dev: Anna B$/],
];

describe('marks', { timeout: 150_000 }, () => {
  test('M2: none (random), v, k:, k:v with hyphens, --header: each leads to its own laptop, and the banner names it', async () => {
    const running: Running[] = [];
    for (const [name, args, banner] of FORMS) {
      const app = await localApp(name);
      apps.push(app);
      const kt = laptop.start(['mesh', NAME, '--expose', `${app.port}:80`, '--output', 'json', ...args]);
      running.push(kt);
      expect((await kt.event('holding')).mark).toMatch(banner);
    }
    for (const [index, [name]] of FORMS.entries()) {
      const mark = (await running[index]?.event('holding'))?.mark ?? '';
      const [header = '', value = ''] = mark.split(': ');
      const ask = async (key: string): Promise<unknown> =>
        (await askFromPod(`http://${NAME}/`, { [key]: value }))['name'];
      await expect.poll(() => ask(header), { timeout: 20_000 }).toBe(name);
      // Names of headers have no case; values have.
      expect(await ask(header.toUpperCase())).toBe(name);
      expect((await askFromPod(`http://${NAME}/`, { [header]: `${value}x` }))['name']).toBe('pod');
    }
    expect((await askFromPod(`http://${NAME}/`))['name']).toBe('pod');
    await Promise.all(running.map((kt) => kt.stop()));
    await shop.expectUntouched();
  });

  test('M2: the banner in plain lines', async () => {
    const kt = laptop.start(['mesh', NAME, '--skipPortChecking', '--versionMark', 'anna']);
    await expect
      .poll(() => kt.stderr, { timeout: 30_000 })
      .toContain('requests with the header below come to this laptop\n  VERSION: anna\n');
    await kt.stop();
    await shop.expectUntouched();
  });
});
