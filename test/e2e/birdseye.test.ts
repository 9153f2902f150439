// Must (B1): kt birdseye on the real cluster, as dev and as reader: who has which Service, by kt and by kt-connect, who is connected since
// when; it creates nothing. The Services are the test's own.
import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Overview, ServiceLine } from '../../src/session/overview.ts';
import { kubectl, Laptop, type Ready, type Running, type User } from './support/kt.ts';

const laptop = new Laptop();
const [MESHED, FREE, FOREIGN] = ['kt-t-bird', 'kt-t-bird-free', 'kt-t-bird-old'] as const;
const PODS = ['kt-t-bird-old-shadow', 'kt-t-bird-old-connect'];

const service = (name: string, more: object = {}, selector: object = { app: 'orders' }): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, ...more },
  spec: { selector, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
});
/** A pod as kt-connect labels it. */
const shadow = (name: string, role: string, user: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    labels: { 'control-by': 'kt', 'kt-role': role, 'kt-target': name },
    annotations: { 'kt-user': user, 'kt-last-heart-beat': String(Math.round(Date.now() / 1000)) },
  },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'standalone', image: 'busybox:stable', command: ['sleep', '600'] }],
  },
});

async function remove(): Promise<void> {
  await kubectl(['delete', 'service', MESHED, FREE, FOREIGN, '--ignore-not-found']);
  await kubectl(['delete', 'pod', ...PODS, '--ignore-not-found', '--now']);
}

beforeAll(async () => {
  await remove();
  const target = { 'control-by': 'kt', 'kt-role': 'shadow-exchange', 'kt-target': PODS[0] };
  const items = [
    service(MESHED),
    service(FREE),
    service(FOREIGN, { annotations: { 'kt-selector': '{"app":"orders"}' } }, target),
    shadow(PODS[0] ?? '', 'shadow-exchange', 'cleo'),
    shadow(PODS[1] ?? '', 'shadow-connect', 'dora'),
  ];
  await kubectl(['create', '-f', '-'], 'dev', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
}, 60_000);
afterAll(async () => {
  await laptop.close();
  await remove();
}, 60_000);

async function run(args: readonly string[] = [], user: User = 'dev'): Promise<string> {
  const kt = laptop.start(['birdseye', ...args], { user });
  const { code } = await kt.exited;
  expect(`${code} ${kt.stderr}`).toBe('0 ');
  return kt.stdout;
}

const overview = async (user: User = 'dev', ...args: string[]): Promise<Overview> =>
  JSON.parse(await run([...args, '--output', 'json'], user)) as Overview;

const of = ({ services }: Overview, name: string): ServiceLine | undefined => services.find((one) => one.name === name);

/** Names of everything that kt could make. */
const objects = (): Promise<string> =>
  kubectl(['get', 'pods,services,deployments,configmaps', '-l', 'app.kubernetes.io/managed-by=kt', '-o', 'name']);

describe('B1: birdseye', { timeout: 120_000 }, () => {
  test('Services with types, ports and ready endpoints; nothing is made', async () => {
    const before = await objects();
    const seen = await overview();
    expect(seen.namespace).toBe('shop');
    expect(of(seen, FREE)).toEqual({
      name: FREE,
      type: 'ClusterIP',
      ports: [{ port: 80, name: 'http', protocol: 'TCP', targetPort: 8080 }],
      ready: 2,
      originReady: null,
      state: 'normal',
      by: [],
      notes: [],
    });
    expect(of(seen, 'db')).toMatchObject({ type: 'Headless', ready: 2 });
    expect(of(seen, 'empty')).toMatchObject({ ready: 0 });
    expect(of(seen, 'partner')).toMatchObject({ type: 'ExternalName', ready: null });
    expect(of(seen, 'echo')?.ports).toContainEqual({
      port: 7000,
      name: 'echo-udp',
      protocol: 'UDP',
      targetPort: 7000,
    });
    expect(await objects()).toBe(before);
  });

  test('what kt-connect did: exchanged by its user, and who is connected', async () => {
    for (const user of ['dev', 'reader'] as const) {
      const seen = await overview(user);
      expect(of(seen, FOREIGN)).toMatchObject({
        state: 'exchanged',
        by: [{ user: 'cleo', host: null, tool: 'kt-connect' }],
        notes: [],
      });
      expect(seen.connected).toContainEqual(
        expect.objectContaining({
          user: 'dora',
          pod: PODS[1],
          tool: 'kt-connect',
          lastActive: expect.any(String) as string,
        }),
      );
    }
  });

  describe('while it is meshed', () => {
    let connected: Running & { ready: Ready };
    let meshing: Running;
    beforeAll(async () => {
      connected = await laptop.connect();
      meshing = laptop.start(['mesh', MESHED, '--versionMark', 'anna', '--skipPortChecking', '--output', 'json']);
      await meshing.event('holding');
    }, 60_000);
    afterAll(async () => {
      await meshing?.stop();
      await connected?.stop();
    }, 60_000);
    const me = { user: 'uid-12345', host: hostname() };

    test('dev sees who holds it now, with the mark, asked of the agent itself; its helpers are not shown', async () => {
      const seen = await overview();
      expect(of(seen, MESHED)).toMatchObject({
        state: 'meshed',
        ready: 1,
        originReady: 2,
        by: [{ ...me, mark: 'VERSION: anna', live: true, tool: 'kt' }],
        notes: [],
      });
      const since = Date.parse(of(seen, MESHED)?.by[0]?.since ?? '');
      expect(Math.abs(Date.now() - since)).toBeLessThan(60_000);
      // By state, and without kt-t-bird-kt-origin.
      const own = seen.services.map(({ name }) => name).filter((name) => name.startsWith(MESHED));
      expect(own).toEqual([FOREIGN, MESHED, FREE]);
      expect(seen.connected).toContainEqual(
        expect.objectContaining({ ...me, pod: connected.ready.agent, since: expect.any(String) as string }),
      );
    });

    test('reader, who may not port-forward, sees what the journal says, and that it is that', async () => {
      const line = of(await overview('reader'), MESHED);
      expect(line).toMatchObject({ state: 'meshed', by: [{ ...me, mark: null, live: null }] });
      expect(line?.notes.join()).toContain("the agent can't be asked (you may not port-forward)");
    });

    test("plain lines, and kt-connect's options", async () => {
      const text = await run(['--hideNaturalService', '--sortBy', 'name']);
      expect(text).not.toContain(`${FREE} `);
      expect(text).toMatch(new RegExp(`${MESHED} .*1 \\(original 2\\).*meshed by uid-12345@.*VERSION: anna`));
      expect(text).toContain('Connected: ');
      expect(await run(['--showConnector=false'])).not.toContain('Connected');
      const names = (await overview('dev', '--sortBy', 'name')).services.map(({ name }) => name);
      expect(names).toEqual(names.toSorted());
    });

    test('a laptop that was killed: shown until its agent knows, then given back by its janitor', async () => {
      meshing.child.kill('SIGKILL');
      await meshing.exited;
      // 15 s until the agent gives a silent link up, and the hand-back.
      const end = Date.now() + 90_000;
      let line = of(await overview(), MESHED);
      while (line?.state !== 'normal' && Date.now() < end) line = of(await overview(), MESHED);
      expect(line).toMatchObject({ state: 'normal', by: [], ready: 2, originReady: null });
    });
  });
});
