// Must (M7): kt mesh --mode manual on the real cluster: nothing of the Service is changed; one more pod with its labels and the mark is an endpoint
// of it while the laptop is there, and none when it is not.
import { describe, expect, test } from 'vitest';
import type { Overview } from '../../src/session/overview.ts';
import { HoldBench } from './support/hold-bench.ts';
import { Callers, deployShop, leftovers, removeShop, runInPod, snapshot, untilAnswer } from './support/inbound.ts';
import { kubectl, type Running } from './support/kt.ts';

const NAME = 'kt-t-manual';
const bench = new HoldBench(NAME);
const { laptop } = bench;

const mesh = (...args: string[]): Promise<Running> => bench.hold('mesh', NAME, '--mode', 'manual', ...args);

interface Slices {
  readonly items: readonly {
    readonly endpoints: readonly {
      readonly addresses: readonly string[];
      readonly conditions: { readonly ready: boolean };
      readonly targetRef: { readonly name: string };
    }[];
  }[];
}

/** Ready endpoints of the Service that are kt's. */
async function ktEndpoints(): Promise<string[]> {
  const slices = JSON.parse(
    await kubectl(['get', 'endpointslices', '-l', `kubernetes.io/service-name=${NAME}`, '-o', 'json']),
  ) as Slices;
  return slices.items
    .flatMap(({ endpoints }) => endpoints)
    .filter(({ conditions, targetRef }) => conditions.ready && targetRef.name.includes('-kt-manual-'))
    .flatMap(({ addresses }) => addresses);
}

describe('manual', { timeout: 120_000 }, () => {
  test('M7: only a labelled endpoint: the Service is not changed, its pod leads to the laptop, and its end fails nobody', async () => {
    const before = await snapshot(NAME);
    const kt = await mesh('--versionMark', 'anna');
    expect(await snapshot(NAME)).toEqual(before);
    expect((await kt.event('holding')).mark).toBe('version=anna');
    await kt.event('warning', ({ message }) => message.includes('gets its share of everybody'));
    const labels = JSON.parse(
      await kubectl(['get', 'pods', '-l', `app=${NAME},version=anna`, '-o', 'jsonpath={.items[0].metadata.labels}']),
    ) as object;
    expect(labels).toMatchObject({ app: NAME, tier: 'test', version: 'anna', 'kt/role': 'manual' });
    await expect.poll(ktEndpoints, { timeout: 20_000 }).toHaveLength(1);
    // As a routing rule would: to this endpoint alone.
    const [address = ''] = await ktEndpoints();
    await untilAnswer(`http://${address}:8080/`, { name: 'laptop' });
    const seen = laptop.start(['birdseye', '--output', 'json']);
    await seen.exited;
    const { services } = JSON.parse(seen.stdout) as Overview;
    expect(services.find(({ name }) => name === NAME)).toMatchObject({
      state: 'meshed',
      by: [{ user: 'uid-12345', mark: 'version=anna (manual)', live: true }],
    });
    const callers = await Callers.start(`http://${NAME}/`);
    await callers.seen((lines) => lines.includes('new laptop') && lines.includes('new pod'), 'its share');
    const ending = callers.lines.length;
    expect((await kt.stop('SIGINT')).code, kt.stderr).toBe(0);
    await callers.answeredBy('pod');
    expect(callers.failures(ending)).toEqual([]);
    await callers.stop();
    await bench.shop.expectUntouched();
  });

  test('M7: the laptop goes away: its pod is no endpoint any more; after kill -9 it is removed without anybody', async () => {
    const kt = await mesh('--versionMark', 'x-lane:blue');
    await expect.poll(ktEndpoints, { timeout: 20_000 }).toHaveLength(1);
    await kt.stop('SIGKILL');
    await expect.poll(ktEndpoints, { timeout: 40_000 }).toHaveLength(0);
    await expect.poll(() => leftovers(NAME), { timeout: 60_000, interval: 1_000 }).toBe('');
    expect((await runInPod(`fetch('http://${NAME}/').then(r=>console.log(r.status))`)).stdout).toBe('200\n');
    await bench.shop.expectUntouched();
  });

  test('M7, M4, M5: the same mark is refused with who has it, another one is not; exchange and mesh auto are', async () => {
    const kt = await mesh('--versionMark', 'anna');
    const same = laptop.start([
      'mesh',
      NAME,
      '--mode',
      'manual',
      '--versionMark',
      'anna',
      '--expose',
      `${bench.app.port}:80`,
    ]);
    expect((await same.exited).code).toBe(3);
    expect(same.stderr).toMatch(/uid-12345 on .* has the endpoint version=anna of kt-t-manual already/);
    for (const command of ['exchange', 'mesh']) {
      const refused = laptop.start([command, NAME, '--expose', `${bench.app.port}:80`]);
      expect((await refused.exited).code).toBe(3);
      expect(refused.stderr).toMatch(/uid-12345 on .* meshes kt-t-manual in manual mode/);
    }
    const other = await mesh('--versionMark', 'ben');
    await Promise.all([kt.stop(), other.stop()]);
    await bench.shop.expectUntouched();
  });

  test('M7: in a namespace with Pod Security restricted', async () => {
    await removeShop(NAME, 'locked');
    await deployShop(NAME, 'locked');
    try {
      const before = await snapshot(NAME, 'locked');
      const kt = await mesh('--versionMark', 'anna', '--namespace', 'locked');
      await untilAnswer(`http://${NAME}.locked/`, { name: 'laptop' });
      expect(await snapshot(NAME, 'locked')).toEqual(before);
      await kt.stop();
      expect(await leftovers(NAME, 'locked')).toBe('');
    } finally {
      await removeShop(NAME, 'locked');
    }
  });

  test.each([
    ['a mark that can be no label', ['--versionMark', 'a b'], "'version=a b' can't be a label"],
    ["a label that is the selector's", ['--versionMark', 'tier:mine'], "selects its pods by the label 'tier' itself"],
  ])('M7: refused before anything is made: %s', async (_, args, message) => {
    const kt = laptop.start(['mesh', NAME, '--mode', 'manual', '--skipPortChecking', ...args]);
    expect((await kt.exited).code).toBe(2);
    expect(kt.stderr).toContain(message);
    await bench.shop.expectUntouched();
  });

  test.each(['reader', 'forwarder'] as const)(
    'M7: as %s: the missing verbs are named before any change',
    async (user) => {
      const kt = laptop.start(['mesh', NAME, '--mode', 'manual', '--skipPortChecking'], { user });
      expect((await kt.exited).code).toBe(4);
      expect(kt.stderr).toMatch(/you may not .*create, delete deployments/);
    },
  );
});
