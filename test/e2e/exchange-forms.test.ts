// Must (E2-E5, E9): every form of a target and of a port that exchange takes, what it asks of the local port, two that start at the same moment,
// and a local app that is restarted. As dev, in `shop`.
import { describe, expect, test } from 'vitest';
import { HoldBench } from './support/hold-bench.ts';
import { askFromPod, closeApp, localApp, untilAnswer } from './support/inbound.ts';
import { kubectl, type Running } from './support/kt.ts';

const NAME = 'kt-t-forms';
const bench = new HoldBench(NAME);
const { laptop } = bench;

interface Plans {
  readonly plans: readonly {
    readonly service: string;
    readonly ports: readonly { readonly servicePort: number; readonly listen: number; readonly local: number }[];
  }[];
}

async function planned(...args: string[]): Promise<Plans['plans'][number] | undefined> {
  const kt = laptop.start(['exchange', ...args, '--plan', '--skipPortChecking', '--output', 'json']);
  expect((await kt.exited).code, kt.stderr).toBe(0);
  // Behind the events.
  const line = kt.stdout.split('\n').find((text) => text.startsWith('{"plans"')) ?? '{"plans":[]}';
  return (JSON.parse(line) as Plans).plans[0];
}
const failed = async (...args: string[]): Promise<string> => {
  const kt = laptop.start(['exchange', ...args]);
  expect((await kt.exited).code).not.toBe(0);
  return kt.stderr;
};

describe('forms', { timeout: 90_000 }, () => {
  test('E2: every form of a target means the Service that leads there', async () => {
    const pod = await kubectl(['get', 'pods', '-l', `app=${NAME}`, '-o', 'jsonpath={.items[0].metadata.name}']);
    const targets = [
      NAME,
      `svc/${NAME}`,
      `service/${NAME}`,
      `deploy/${NAME}`,
      `deployment/${NAME}`,
      `pod/${pod.trim()}`,
    ];
    const found = await Promise.all(targets.map(async (target) => (await planned(target))?.service));
    expect(found).toEqual(targets.map(() => NAME));
    expect(await failed('deploy/no-such')).toContain("there is no deployment 'no-such' in the namespace 'shop'");
    expect(await failed('pod/no-such', '--namespace', 'locked')).toContain(
      "no pod 'no-such' in the namespace 'locked'",
    );
    await bench.shop.expectUntouched();
  });

  test.each([
    [['80'], [[80, 80]]],
    [['9000:80'], [[80, 9000]]],
    [['9000:8081'], [[8081, 9000]]],
    [['9000:8080'], [[80, 9000]]],
    [['9000:web'], [[80, 9000]]],
    [['9000:http'], [[80, 9000]]],
    [['alt'], [[8081, 8080]]],
    [
      ['9000:web,9000:alt'],
      [
        [80, 9000],
        [8081, 9000],
      ],
    ],
    [
      ['9000:80', '--expose', '9000:8081'],
      [
        [80, 9000],
        [8081, 9000],
      ],
    ],
    [
      [],
      [
        [80, 8080],
        [8081, 8080],
      ],
    ],
  ])('E3: --expose %j', async (expose, wanted) => {
    const plan = await planned(NAME, ...(expose.length > 0 ? ['--expose', ...expose] : []));
    expect(plan?.ports.map(({ servicePort, local }) => [servicePort, local])).toEqual(wanted);
  });

  test('E3: an unknown port is an error before any change, and names those that there are', async () => {
    expect(await failed(NAME, '--expose', `${bench.app.port}:99`)).toContain(
      `${NAME} has no port '99': it has 80 (web) → 8080, 8081 (alt) → 8080`,
    );
    await bench.shop.expectUntouched();
  });

  test('E4: nothing listens on the local port: an error by default, and --skipPortChecking starts all the same', async () => {
    const free = await localApp('later');
    await closeApp(free);
    expect(await failed(NAME, '--expose', `${free.port}:80`)).toContain(
      `nothing listens on the local port ${free.port}`,
    );
    await bench.shop.expectUntouched();
    const kt = laptop.start([
      'exchange',
      NAME,
      '--expose',
      `${free.port}:80`,
      '--skipPortChecking',
      '--output',
      'json',
    ]);
    await kt.event('holding');
    expect((await askFromPod(`http://${NAME}/`))['name']).toBe('pod');
    const later = await localApp('later', free.port);
    await untilAnswer(`http://${NAME}/`, { name: 'later' });
    await kt.stop();
    await closeApp(later);
    await bench.shop.expectUntouched();
  });

  test('E5: two that start at the same moment: one has it, the other is told who', async () => {
    const start = (): Running =>
      laptop.start(['exchange', NAME, '--expose', `${bench.app.port}:80`, '--output', 'json']);
    const both = [start(), start()];
    const outcomes = await Promise.all(
      both.map((kt) =>
        kt.event('holding').then(
          () => 'holds',
          () => 'refused',
        ),
      ),
    );
    expect(outcomes.toSorted()).toEqual(['holds', 'refused']);
    const loser = both[outcomes.indexOf('refused')];
    expect((await loser?.exited)?.code).toBe(3);
    expect(loser?.stdout).toMatch(/"code":"SERVICE_HELD","message":"uid-12345 on [^"]*(is taking|holds)/);
    await untilAnswer(`http://${NAME}/`, { name: 'laptop' });
    // Its origin has the pods now.
    expect(await failed(`deploy/${NAME}`, '--expose', `${bench.app.port}:80`)).toContain('holds all requests on port');
    await both[outcomes.indexOf('holds')]?.stop();
    await bench.shop.expectUntouched();
  });

  test.each([
    ['exchange', 'reader'],
    ['exchange', 'forwarder'],
    ['mesh', 'reader'],
    ['mesh', 'forwarder'],
  ] as const)('%s as %s: every missing verb is named before any change', async (command, user) => {
    const kt = laptop.start([command, NAME, '--skipPortChecking'], { user });
    expect((await kt.exited).code).toBe(4);
    expect(kt.stderr).toMatch(/you may not .*create, patch, delete services/);
    expect(kt.stderr).toMatch(/create, delete deployments/);
    if (user === 'reader') expect(kt.stderr).toContain('get pods/portforward');
    else expect(kt.stderr).toContain('watch pods');
    await bench.shop.expectUntouched();
  });

  test('E9: the local app is restarted, and kt is not', async () => {
    const kt = laptop.start(['exchange', NAME, '--expose', `${bench.app.port}:80`, '--output', 'json']);
    await kt.event('holding');
    const answers = (name: string): Promise<void> => untilAnswer(`http://${NAME}/`, { name });
    await answers('laptop');
    await closeApp(bench.app);
    await answers('pod');
    bench.app = await localApp('restarted', bench.app.port);
    await answers('restarted');
    expect((await kt.stop()).code).toBe(0);
    await bench.shop.expectUntouched();
  });
});
